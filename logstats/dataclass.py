"""Dataclasses that cost little to declare: each method is compiled when it is first called.

The standard library writes Python source for the methods of each dataclass, and compiles it when the class is declared,
which takes as long as importing a whole module (CPython 3.11: 0.3 ms). Most classes are never instantiated by the
command that runs, and hardly any is compared or printed. So `dataclass` takes the fields, as the standard library does,
and leaves the methods to it for when they are needed. They are then the same functions. `dataclasses.fields`, `replace`
and `asdict` work as usual; `inspect.signature` shows the fields only after the first instance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        whole: type | None = None,
        /,
        *,
        frozen: bool = False,
        eq: bool = True,
        slots: bool = False,
        kw_only: bool = False,
    ) -> type | Callable[[type], type]:
        """As `dataclasses.dataclass`; these are the options that it has."""

        def declare(cls: type) -> type:
            own = vars(cls)
            hashed = own.get("__hash__") is not None
            cls = _fields_only(slots=slots, kw_only=kw_only)(cls)
            for name in ("__init__", "__repr__", *(["__eq__"] if eq else [])):
                if name not in own:
                    setattr(cls, name, _compiled_when_called(cls, name))
            if eq and not hashed:
                cls.__hash__ = _compiled_when_called(cls, "__hash__") if frozen else None
            if frozen:
                cls.__setattr__, cls.__delattr__ = _refuse_assignment, _refuse_deletion
                if slots:  # to copy and pickle it: the default assigns each
                    cls.__getstate__, cls.__setstate__ = _state, _set_state
            return cls

        return declare if whole is None else declare(whole)


def _fields_only(**options: bool) -> Callable[[type], type]:
    return dataclasses.dataclass(init=False, repr=False, eq=False, **options)


def _compiled_when_called(cls: type, name: str) -> Callable[..., Any]:
    """A method that has the standard library make it, takes its place, and calls it."""

    def method(self: object, *given: Any, **named: Any) -> Any:
        made = _compile(cls, name)
        setattr(cls, name, made)
        return made(self, *given, **named)

    method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    return method


def _compile(cls: type, name: str) -> Callable[..., Any]:
    """The method that the standard library makes for a class of these fields."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    namespace: dict[str, Any] = {
        "__annotations__": {name: field.type for name, field in fields.items()},
        "__module__": cls.__module__,
        "__doc__": name,  # without one, the standard library spells out the signature
        **fields,
    }
    if hasattr(cls, "__post_init__"):
        namespace["__post_init__"] = None  # the method looks it up in the instance
    frozen = {"frozen": True} if vars(cls).get("__setattr__") is _refuse_assignment else {}
    part = {"__init__": "init", "__repr__": "repr"}.get(name, "eq")  # with which a frozen class gets a hash
    options = {"init": False, "repr": False, "eq": False, "match_args": False, **frozen, part: True}
    made = vars(dataclasses.dataclass(**options)(type(cls.__name__, (), namespace)))[name]
    made.__qualname__ = f"{cls.__qualname__}.{name}"
    return made  # type: ignore[no-any-return]


def _refuse_assignment(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
