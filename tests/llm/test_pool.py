"""What is loaded, what is unloaded, and what is told about it. With models made of names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import ModelError
from appliance.events import Event, Logged, ModelLoaded, ModelLoading, ModelUnloaded
from appliance.fakes import FakeChatEngine
from appliance.llm.engine import LoadStopped, ModelNeed, Proceed, always
from appliance.llm.pool import EnginePool

MB = 1_000_000


class Engine(FakeChatEngine):
    memory_bytes = 5 * MB

    def __init__(self, role: str, log: list[str]) -> None:
        super().__init__()
        self.name, self._log = role, log

    def close(self) -> None:
        self._log.append(f"-engine {self.name}")


class Shelf:
    """A source whose models are named by letters; each role is ``letter`` or ``letter.other``."""

    def __init__(self, sizes: dict[str, int]) -> None:
        self.sizes = sizes
        self.log: list[str] = []
        self.broken = ""

    def need(self, role: str) -> ModelNeed:
        name = role[0]
        return ModelNeed(name, name, self.sizes[name] * MB, self.sizes[name] * MB)

    def open(self, role: str, proceed: Proceed) -> Shelved:
        if not proceed():
            raise LoadStopped
        if role[0] == self.broken:
            raise ModelError(f"{role} is damaged")
        self.log.append(f"+{role[0]}")
        return Shelved(role[0], self.log)


class Shelved:
    def __init__(self, name: str, log: list[str]) -> None:
        self._name, self._log = name, log

    def engine(self, role: str, proceed: Proceed) -> Engine:
        return Engine(role, self._log)

    def close(self) -> None:
        self._log.append(f"-{self._name}")


class Bench:
    def __init__(self, budget_mb: int, **sizes: int) -> None:
        self.shelf = Shelf(sizes)
        self.pool = EnginePool(self.shelf, budget_mb * MB, pinned=("a",))
        self.events: list[Event] = []

    def use(self, *roles: str, proceed: Proceed = always) -> None:
        for role in roles:
            assert self.pool.engine(role, proceed, self.events.append, 7).name == role

    def loads(self) -> list[str]:
        return [entry for entry in self.shelf.log if "engine" not in entry]


def test_a_model_is_loaded_once_and_tells_so() -> None:
    bench = Bench(100, a=40, b=40)
    bench.use("a", "a", "b", "a", "b")
    assert bench.loads() == ["+a", "+b"]
    loading, loaded, expected, _ = bench.events
    assert isinstance(loading, ModelLoading)
    assert (loading.role, loading.model, loading.turn_id) == ("a", "a", 7)
    assert loading.expected_s == -1
    assert isinstance(loaded, ModelLoaded)
    assert loaded.memory_mb == 40
    assert isinstance(expected, ModelLoading)
    assert expected.expected_s > 0, "from the speed of the first load"


def test_the_least_recently_used_goes_first_and_the_pinned_never() -> None:
    bench = Bench(100, a=40, b=30, c=30, d=30)
    bench.use("a", "b", "c", "b", "d")
    assert bench.loads() == ["+a", "+b", "+c", "-c", "+d"]
    (gone,) = (event for event in bench.events if isinstance(event, ModelUnloaded))
    assert (gone.model, gone.memory_mb) == ("c", 70)
    bench.use("c", "a")
    assert bench.loads()[5:] == ["-b", "+c"]


def test_roles_with_the_same_file_share_it() -> None:
    bench = Bench(60, a=40, b=10)
    bench.use("a", "a.code", "a.classify")
    assert bench.loads() == ["+a"]
    assert bench.pool.memory_bytes == 50 * MB, "two more contexts of 5 MB"
    bench.use("b")
    assert bench.pool.memory_bytes == 60 * MB


def test_engines_are_closed_before_their_model() -> None:
    bench = Bench(100, a=10, b=50, c=50)
    bench.use("a", "b", "b.code", "c")
    assert bench.shelf.log == ["+a", "+b", "-engine b", "-engine b.code", "-b", "+c"]
    bench.pool.close()
    assert bench.shelf.log[-2:] == ["-engine a", "-a"]


def test_what_cannot_fit_is_refused_and_unloads_nothing() -> None:
    bench = Bench(100, a=40, b=30, c=70)
    bench.use("a", "b")
    with pytest.raises(ModelError, match=r"70 MB.*11 MB more.*memory_budget"):
        bench.use("c")
    assert bench.loads() == ["+a", "+b"]


def test_a_pinned_model_is_loaded_whatever_the_budget_with_a_warning() -> None:
    bench = Bench(30, a=40)
    bench.use("a")
    assert isinstance(bench.events[0], Logged)
    assert "memory_budget" in bench.events[0].text


def test_a_load_that_fails_or_is_stopped_leaves_nothing() -> None:
    bench = Bench(100, a=40, b=30)
    bench.use("a")
    bench.shelf.broken = "b"
    with pytest.raises(ModelError, match="damaged"):
        bench.use("b")
    bench.shelf.broken = ""
    with pytest.raises(LoadStopped):
        bench.use("b", proceed=lambda: False)
    assert bench.pool.memory_bytes == 40 * MB
    bench.use("b")
    assert bench.pool.memory_bytes == 70 * MB


@given(st.lists(st.sampled_from(["a", "a.x", "b", "b.x", "c", "d", "e"]), max_size=40))
def test_the_budget_holds_whatever_is_asked(roles: list[str]) -> None:
    bench = Bench(100, a=20, b=30, c=40, d=60, e=90)
    for role in ["a", *roles]:
        try:
            bench.use(role)
        except ModelError:
            assert role == "e"
        assert bench.pool.memory_bytes <= 100 * MB
        assert "-a" not in bench.shelf.log
