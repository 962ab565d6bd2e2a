"""Dataclasses that cost little to declare: fields and methods are made when they are first needed.

The standard library looks at each field of a dataclass when the class is declared, writes Python source for its
methods, and compiles it, which takes as long as importing a whole module (CPython 3.11: 0.3 ms). Most classes are never
instantiated by the command that runs, and hardly any is compared or printed. So `dataclass` notes the names of the
fields, and makes the rest when it is needed: `__init__` from its fields, comparing and hashing without any source of
its own, and all else by the standard library. The fields and methods are the same as those that it makes.
`dataclasses.fields`, `replace` and `asdict` work as usual; `inspect.signature` shows the fields only after the first
instance, and what the standard library refuses, such as a list as a default, is refused only then. There is no
`InitVar`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

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
            if _is_plain(cls):
                cls = _noted(cls, slots=slots, kw_only=kw_only)
            else:
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


def _is_plain(cls: type) -> bool:
    """Whether each annotation of a class is a field of it, and there are no others."""
    if any(hasattr(base, "__dataclass_fields__") for base in cls.__bases__):
        return False
    kinds = vars(cls).get("__annotations__", {}).values()
    return all(isinstance(kind, str) and not any(word in kind for word in _NO_FIELDS) for kind in kinds)


_NO_FIELDS = ("ClassVar", "InitVar", "KW_ONLY")


def _noted(cls: type, *, slots: bool, kw_only: bool) -> type:
    """The class, whose fields are made when something first asks for them."""
    contents = dict(vars(cls))
    annotations = contents.get("__annotations__", {})
    given = {name: contents[name] for name in annotations if name in contents}
    if slots:
        inherited = {slot for base in cls.__mro__[1:-1] for slot in vars(base).get("__slots__", ())}
        kept = {name: value for name, value in contents.items() if name not in given}
        kept.pop("__dict__", None)
        kept.pop("__weakref__", None)
        kept["__slots__"] = tuple(name for name in annotations if name not in inherited)
        made = type(cls)(cls.__name__, cls.__bases__, kept)
        made.__qualname__ = cls.__qualname__
        cls = made
    else:
        for name, default in given.items():
            if isinstance(default, dataclasses.Field):
                if default.default is dataclasses.MISSING:
                    delattr(cls, name)
                else:
                    setattr(cls, name, default.default)
    for name in ("__dataclass_fields__", "__dataclass_params__", "__match_args__"):
        if name not in contents:
            setattr(cls, name, _MadeWhenRead(cls, name, given, kw_only))
    return cls


class _MadeWhenRead:
    """What the standard library finds out about the fields of a class, found out when it is first read."""

    def __init__(self, cls: type, name: str, given: dict[str, object], kw_only: bool) -> None:
        self._cls, self._name, self._given, self._kw_only = cls, name, given, kw_only

    def parameters(self) -> Iterator[tuple[str, object, bool]]:
        """As `_parameters` has them."""
        for name in vars(self._cls).get("__annotations__", {}):
            given = self._given.get(name, dataclasses.MISSING)
            own = given.kw_only if isinstance(given, dataclasses.Field) else dataclasses.MISSING
            yield name, given, self._kw_only if own is dataclasses.MISSING else bool(own)

    def __get__(self, _instance: object, _owner: type) -> Any:
        cls = self._cls
        contents = {name: vars(cls)[name] for name in ("__annotations__", "__module__") if name in vars(cls)}
        bare = type(cls.__name__, (), {**contents, "__doc__": "fields", **self._given})
        made = vars(_fields_only(kw_only=self._kw_only)(bare))
        for name in ("__dataclass_fields__", "__dataclass_params__", "__match_args__"):
            if isinstance(vars(cls).get(name), _MadeWhenRead):
                setattr(cls, name, made[name])
        return made[self._name]


def _compiled_when_called(cls: type, name: str) -> Callable[..., Any]:
    """A method that is made when it is first called; what is made takes its place."""

    def method(self: object, *given: Any, **named: Any) -> Any:
        made = _MAKERS[name](cls)
        made.__name__, made.__qualname__ = name, f"{cls.__qualname__}.{name}"
        setattr(cls, name, made)
        return made(self, *given, **named)

    method.__name__, method.__qualname__ = name, f"{cls.__qualname__}.{name}"
    return method


def _init(cls: type) -> Callable[..., Any]:
    """The `__init__` of a class: one parameter for each field, in order, and one assignment."""
    frozen = vars(cls).get("__setattr__") is _refuse_assignment
    known: dict[str, Any] = {"_made": _MADE, "_set": object.__setattr__}
    parameters, keywords, lines = ["self"], list[str](), list[str]()
    for name, given, kw_only in _parameters(cls):
        value, declared = name, name
        if isinstance(given, dataclasses.Field):
            if given.default_factory is not dataclasses.MISSING:
                known[f"_new_{name}"], known[f"_default_{name}"] = given.default_factory, _MADE
                value = f"_new_{name}() if {name} is _made else {name}" if given.init else f"_new_{name}()"
                declared = f"{name}=_default_{name}"
            elif given.default is not dataclasses.MISSING:
                known[f"_default_{name}"], declared = given.default, f"{name}=_default_{name}"
                value = name if given.init else f"_default_{name}"
            if not given.init:
                declared = ""
                if value == name:
                    continue  # `__post_init__` assigns it
        elif given is not dataclasses.MISSING:
            if type(given).__hash__ is None:
                raise ValueError(f"mutable default {type(given)} for field {name} is not allowed: use default_factory")
            known[f"_default_{name}"], declared = given, f"{name}=_default_{name}"
        if declared:
            (keywords if kw_only else parameters).append(declared)
        lines.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    signature = ", ".join([*parameters, *(["*", *keywords] if keywords else [])])
    exec(f"def __init__({signature}):\n " + "\n ".join(lines or ["pass"]), known)
    return known["__init__"]  # type: ignore[no-any-return]


_MADE: Final = object()  # the default of a parameter whose value is made by a function


def _parameters(cls: type) -> Iterator[tuple[str, object, bool]]:
    """The name of each field of a class, what it is given in the class (a default, a `Field`, or `MISSING`), and
    whether only a keyword gives it a value."""
    noted = vars(cls).get("__dataclass_fields__")
    if isinstance(noted, _MadeWhenRead):
        yield from noted.parameters()
        return
    for field in dataclasses.fields(cls):
        yield field.name, field, bool(field.kw_only)


def _values(cls: type, use: Callable[[dataclasses.Field[Any]], bool | None]) -> Callable[[Any], tuple[Any, ...]]:
    """What returns the values of some fields of an instance."""
    names = [field.name for field in dataclasses.fields(cls) if use(field)]
    if len(names) < 2:
        return lambda self: tuple(getattr(self, name) for name in names)
    return attrgetter(*names)


def _eq(cls: type) -> Callable[..., Any]:
    values = _values(cls, lambda field: field.compare)

    def equal(self: object, other: object) -> Any:
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return equal


def _hash(cls: type) -> Callable[..., Any]:
    values = _values(cls, lambda field: field.compare if field.hash is None else field.hash)
    return lambda self: hash(values(self))


def _repr(cls: type) -> Callable[..., Any]:
    """The method that the standard library makes for a class of these fields."""
    fields = {field.name: field for field in dataclasses.fields(cls)}
    namespace = {
        "__annotations__": {name: field.type for name, field in fields.items()},
        "__module__": cls.__module__,
        "__doc__": "fields",  # without one, the standard library spells out the signature
        **fields,
    }
    bare = type(cls.__name__, (), namespace)
    made: Callable[..., Any] = vars(dataclasses.dataclass(init=False, eq=False, match_args=False)(bare))["__repr__"]
    return made


_MAKERS: Final = {"__init__": _init, "__eq__": _eq, "__hash__": _hash, "__repr__": _repr}


def _refuse_assignment(self: object, name: str, value: object) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deletion(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for field, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, field.name, value)
