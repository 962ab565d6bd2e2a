"""`logstats.dataclass` against `dataclasses.dataclass`: the same classes, declared with both."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError, field
from functools import partial
from typing import Any, ClassVar

import pytest

import logstats.dataclass as ours

OPTIONS = [
    {"frozen": True, "slots": True},
    {"frozen": True, "slots": True, "kw_only": True},
    {"frozen": True},
    {"slots": True},
    {"slots": True, "eq": False},
    {},
]


def declared(dataclass: Callable[..., Any], options: dict[str, bool]) -> tuple[Any, Any]:
    @dataclass(**options)
    class Base:
        """A base."""

        kind: ClassVar[str] = "base"
        name: str
        parts: list[int] = field(default_factory=list)
        shown: int = field(default=3, repr=False)
        counted: int = field(default=0, compare=False)

        def __post_init__(self) -> None:
            if self.name == "bad":
                raise ValueError(self.name)

    @dataclass(**options)
    class More(Base):
        """A base, and more."""

        weight: float | None = None

        def __repr__(self) -> str:
            return f"more of {self.name}"

    return Base, More


def outcome(call: Callable[[], object]) -> object:
    try:
        return call()
    except Exception as error:
        return type(error), str(error)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_class_behaves_like_that_of_the_standard_library(options: dict[str, bool]) -> None:
    theirs, mine = declared(dataclasses.dataclass, options), declared(ours.dataclass, options)
    questions: list[Callable[[Any, Any], object]] = [
        lambda base, more: repr(base(name="a", parts=[1])),
        lambda base, more: repr(more(name="a", weight=2.0)),
        lambda base, more: base("a", [1]).parts,
        lambda base, more: base(),
        lambda base, more: base(name="a", other=1),
        lambda base, more: base(name="bad"),
        lambda base, more: base(name="a", counted=1) == base(name="a", counted=2),
        lambda base, more: base(name="a") == base(name="b"),
        lambda base, more: base(name="a") == more(name="a"),
        lambda base, more: base(name="a") != "a",
        lambda base, more: hash(base(name="a", parts=())) == hash(base(name="a", parts=(), counted=9)),
        lambda base, more: hash(base(name="a")) and None,
        lambda base, more: setattr(more(name="a"), "weight", 1.0),
        lambda base, more: delattr(more(name="a"), "weight"),
        lambda base, more: dataclasses.asdict(more(name="a", parts=[1])),
        lambda base, more: repr(dataclasses.replace(base(name="a"), name="b", parts=[2])),
        lambda base, more: [(f.name, f.type, f.kw_only, f.repr) for f in dataclasses.fields(more)],
        lambda base, more: (
            base.__match_args__,
            more.__match_args__,
            more.kind,
            more.__doc__,
            hasattr(more, "__dict__"),
        ),
        lambda base, more: (
            vars(base).get("__slots__"),
            vars(more).get("__slots__"),
            hasattr(base(name="a"), "__dict__"),
        ),
        lambda base, more: dataclasses.astuple(copy.deepcopy(more(name="a", parts=[1], weight=0.5))),
        lambda base, more: more(name="a").parts is more(name="a").parts,
        lambda base, more: setattr(more(name="a"), "neither", 1) if "slots" not in options else None,
    ]
    for number, ask in enumerate(questions):
        assert outcome(partial(ask, *mine)) == outcome(partial(ask, *theirs)), number
    assert (mine[0].__init__.__name__, mine[0].__init__.__qualname__.rpartition(".")[2]) == ("__init__", "__init__")


@ours.dataclass(frozen=True, slots=True)
class Pair:
    """Two numbers."""

    left: int
    right: int = 2


@ours.dataclass(frozen=True, slots=True)
class Failed(Exception):
    """An exception with fields."""

    reason: str


@ours.dataclass
class Plain:
    """Without options."""

    one: int = 1


def test_instances_are_pickled_and_raised() -> None:
    assert pickle.loads(pickle.dumps(Pair(1))) == Pair(1, 2)
    assert {Pair(1), Pair(1, 2)} == {Pair(1)}
    assert Plain() == Plain(1) != Plain(2)
    match Pair(5):
        case Pair(left, right):
            assert (left, right) == (5, 2)
    with pytest.raises(Failed) as caught:
        raise Failed("shape")
    assert caught.value.reason == "shape"
    with pytest.raises(FrozenInstanceError):
        Pair(1).left = 2  # type: ignore[misc]


def test_declaring_makes_nothing() -> None:
    """Neither fields nor methods; the standard library compiles by `exec`."""
    code = (
        "from __future__ import annotations\n"
        "import builtins, dataclasses, logstats.dataclass\n"
        "def exec(*_, **__): raise AssertionError\n"
        "dataclasses.exec = dataclasses.dataclass = exec\n"
        "@logstats.dataclass.dataclass(frozen=True, slots=True)\n"
        "class A:\n"
        "    'One.'\n"
        "    a: int\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
