"""A limit on texts that pydantic checks when a profile is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler


@dataclass(frozen=True)
class Pattern:
    """The whole text matches *regex*. Unlike pydantic's own it does not import pydantic."""

    regex: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> Any:
        """Check the text after pydantic made sure that it is one."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, text: str) -> str:
        if not re.fullmatch(self.regex, text, flags=re.ASCII):
            raise ValueError("should have no characters but those that belong there")
        return text
