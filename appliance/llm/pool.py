"""Which models are in memory: loaded on demand, within a budget, the least recently used go first.

The unit is a model, weights and contexts together. Roles whose models are the same file share
the weights; each has a context of its own on them. The model of a pinned role is never unloaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from appliance.clock import milliseconds_since, monotonic
from appliance.errors import ModelError
from appliance.events import Event, Logged, ModelLoaded, ModelLoading, ModelUnloaded
from appliance.llm.engine import ChatEngine, ModelNeed, ModelSource, OpenModel, Proceed

Notify = Callable[[Event], None]


@dataclass
class _Loaded:
    """A model in memory with the engines that stand on it."""

    need: ModelNeed
    model: OpenModel
    memory_bytes: int
    pinned: bool
    engines: dict[str, ChatEngine] = field(default_factory=dict)

    def close(self) -> None:
        for engine in self.engines.values():
            engine.close()
        self.model.close()


class EnginePool:
    """Hands out the engine of a role, loading and unloading models. For one thread."""

    def __init__(
        self, source: ModelSource, budget_bytes: int, pinned: Iterable[str] = ("chat",)
    ) -> None:
        """*budget_bytes* is what all models may take together; *pinned* are roles."""
        self._source = source
        self._budget = budget_bytes
        self._pinned = frozenset(pinned)
        self._loaded: OrderedDict[str, _Loaded] = OrderedDict()
        """By key; the least recently used first."""
        self._bytes_per_second = 0.0
        """Of the last load, hashing included; 0 before the first."""

    def engine(self, role: str, proceed: Proceed, notify: Notify, turn_id: int = 0) -> ChatEngine:
        """Return the engine of *role*, whose model is loaded if it is not in memory.

        *notify* is told what is loaded and unloaded; *turn_id* goes into these events.

        Raises:
            UsageError: there is no such role.
            ModelError: there is no model for it, it cannot be loaded, or the budget is too small.
            LoadStopped: *proceed* said no.
        """
        need = self._source.need(role)
        loaded = self._loaded.get(need.key)
        if loaded is None:
            loaded = self._load(role, need, proceed, notify, turn_id)
        self._loaded.move_to_end(need.key)
        loaded.pinned = loaded.pinned or role in self._pinned
        if role not in loaded.engines:
            self._add_engine(loaded, role, proceed, notify)
        return loaded.engines[role]

    @property
    def memory_bytes(self) -> int:
        """Return what all loaded models take together, about."""
        return sum(loaded.memory_bytes for loaded in self._loaded.values())

    def close(self) -> None:
        """Free all memory."""
        while self._loaded:
            self._loaded.popitem()[1].close()

    def _load(
        self, role: str, need: ModelNeed, proceed: Proceed, notify: Notify, turn_id: int
    ) -> _Loaded:
        pinned = role in self._pinned
        self._make_room(need.memory_bytes, f"model {need.name}", notify, must=pinned)
        expected = need.file_bytes / self._bytes_per_second if self._bytes_per_second else -1.0
        notify(ModelLoading(role=role, model=need.name, expected_s=expected, turn_id=turn_id))
        began = monotonic()
        model = self._source.open(role, proceed)
        loaded = _Loaded(need, model, need.memory_bytes, pinned)
        try:
            loaded.engines[role] = model.engine(role, proceed)
        except BaseException:
            loaded.close()
            raise
        self._loaded[need.key] = loaded
        self._bytes_per_second = need.file_bytes / max(monotonic() - began, 1e-3)
        notify(
            ModelLoaded(
                role=role,
                model=need.name,
                load_ms=milliseconds_since(began),
                memory_mb=self.memory_bytes / 1e6,
                turn_id=turn_id,
            )
        )
        return loaded

    def _add_engine(self, loaded: _Loaded, role: str, proceed: Proceed, notify: Notify) -> None:
        """Make another role's engine on weights that are in memory."""
        engine = loaded.model.engine(role, proceed)
        try:
            name = f"the role {role} on model {engine.name}"
            must = role in self._pinned
            self._make_room(engine.memory_bytes, name, notify, keep=loaded.need.key, must=must)
        except ModelError:
            engine.close()
            raise
        loaded.engines[role] = engine
        loaded.memory_bytes += engine.memory_bytes

    def _make_room(
        self, memory_bytes: int, name: str, notify: Notify, *, keep: str = "", must: bool = False
    ) -> None:
        """Unload models until *memory_bytes* more fit; that of the key *keep* stays.

        Raises:
            ModelError: they cannot fit, and it is no *must*; then nothing was unloaded.
        """
        victims = [k for k, loaded in self._loaded.items() if not loaded.pinned and k != keep]
        staying = self.memory_bytes - sum(self._loaded[key].memory_bytes for key in victims)
        missing = staying + memory_bytes - self._budget
        if missing > 0:
            sentence = (
                f"{name} takes about {memory_bytes // 1_000_000:,} MB of memory, which is "
                f"{missing // 1_000_000 + 1:,} MB more than llm.memory_budget leaves; choose a "
                "smaller model or raise the budget"
            )
            if not must:
                raise ModelError(sentence)
            notify(Logged(level="warning", text=f"{sentence} (it is loaded all the same)"))
        for key in victims:
            if self.memory_bytes + memory_bytes <= self._budget:
                return
            loaded = self._loaded.pop(key)
            loaded.close()
            notify(ModelUnloaded(model=loaded.need.name, memory_mb=self.memory_bytes / 1e6))
