"""The version of what is in the documents, and how older documents become newer ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from appliance.errors import StorageError
from appliance.storage.changes import Tables

Migration = Callable[[Tables], None]
"""Changes the tables in place, from the version before to its own."""


@dataclass(frozen=True)
class Schema:
    """The version a program works with, and the way there.

    The program one version older must be able to go on with the migrated store, for an update
    may be taken back. A migration therefore only adds (fields the older program does not know,
    and keeps); what it replaces is removed one version later. It must also bear to be applied
    twice: after a downgrade and an upgrade it meets documents of both kinds.
    """

    version: int = 1
    migrations: Mapping[int, Migration] = field(default_factory=dict)
    """By the version they lead to: 2 stands for the step from 1 to 2."""

    def check(self, stored: int, name: str) -> None:
        """Raise StorageError when *stored* is too new for this program."""
        if stored > self.version + 1:
            raise StorageError(
                f"{name} was written by a newer Luna (schema {stored}, this one knows up to "
                f"{self.version}); update Luna; nothing was changed"
            )

    def migrate(self, tables: Tables, stored: int) -> None:
        """Bring *tables* from the version *stored* to this one; a newer one stays as it is."""
        for version in range(stored + 1, self.version + 1):
            if step := self.migrations.get(version):
                step(tables)
