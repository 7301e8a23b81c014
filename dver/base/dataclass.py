"""Dataclasses that are defined in a fraction of the time.

The standard decorator compiles up to six functions for each class: 0.6 ms for a frozen one, up to
Python 3.12. A command of dver needs ten to sixty classes before it can begin, which was a tenth of
what a short one takes. Here only ``__init__`` is compiled. The other methods are closures, which
cost next to nothing to make, over one getter of all fields, which is written in C.

The rest is the standard's: the fields, so that :func:`dataclasses.fields`, ``replace``, ``asdict``
and type checkers see an ordinary dataclass, and how the methods behave. Left out is what dver has
no use for: classes without slots, ordering, ``InitVar`` and fields that are no parameters.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, FrozenInstanceError
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

__all__ = ["dataclass"]

Class = TypeVar("Class", bound=type)
Fields = Sequence[Field[Any]]
Method = Callable[..., Any]


def lean(*, frozen: bool = False, slots: bool) -> Callable[[Class], Class]:
    """Do what ``dataclasses.dataclass(frozen=frozen, slots=True)`` does; see the module."""
    if not slots:
        raise TypeError("dver's dataclasses have slots")

    def decorate(cls: Class) -> Class:
        own = frozenset(cls.__dict__)
        # The fields, and a class made anew with slots for them.
        made: Any = dataclasses.dataclass(init=False, repr=False, eq=False, slots=True)(cls)
        for name, method in _methods(made, dataclasses.fields(made), frozen=frozen).items():
            if name not in own:
                method.__name__, method.__qualname__ = name, f"{made.__qualname__}.{name}"
                setattr(made, name, method)
        if not frozen and "__hash__" not in own:
            # What may change must not be looked up by what it holds.
            made.__hash__ = None
        return cast("Class", made)

    return decorate


if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = lean


def _methods(cls: type, fields: Fields, *, frozen: bool) -> dict[str, Method]:
    methods = {"__init__": _init(cls, fields, frozen=frozen)}
    methods["__repr__"] = _repr([field.name for field in fields if field.repr])
    compared = _getter([field.name for field in fields if field.compare])
    methods["__eq__"] = _eq(compared)
    if frozen:
        methods["__hash__"] = lambda self: hash(compared(self))
        methods["__setattr__"], methods["__delattr__"] = _refusals()
        # Without these two, what cannot be assigned to could not be unpickled either.
        methods["__getstate__"], methods["__setstate__"] = _pickling([one.name for one in fields])
    return methods


def _getter(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Return a function that returns the values of these fields."""
    if len(names) < 2:  # for one, attrgetter returns no tuple
        return lambda self: tuple([getattr(self, name) for name in names])
    return attrgetter(*names)


def _init(cls: type, fields: Fields, *, frozen: bool) -> Method:
    """Compile the constructor: parameters with defaults, then one assignment for each field."""
    known: dict[str, Any] = {"_factory": _FACTORY}
    parameters, body = ["self"], []
    for field in fields:
        name, value = field.name, field.name
        if field.default_factory is not MISSING:
            known[f"_make_{name}"] = field.default_factory
            parameters.append(f"{name}=_factory")
            value = f"_make_{name}() if {name} is _factory else {name}"
        elif field.default is not MISSING:
            known[f"_default_{name}"] = field.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        if frozen:
            # Past the method that refuses assignments.
            known[f"_set_{name}"] = getattr(cls, name).__set__
            body.append(f"_set_{name}(self, {value})")
        else:
            body.append(f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = "\n ".join(body or ["pass"])
    # Only names of annotated attributes get into the text, and these are identifiers.
    exec(f"def __init__({', '.join(parameters)}):\n {lines}", known)  # noqa: S102 - as above
    made: Method = known["__init__"]
    made.__module__ = cls.__module__
    made.__annotations__ = {field.name: field.type for field in fields} | {"return": None}
    return made


class _Factory:
    """Stands in a signature for a default that is made anew for each instance."""

    def __repr__(self) -> str:
        return "<factory>"


_FACTORY = _Factory()


def _repr(names: Sequence[str]) -> Method:
    def method(self: Any) -> str:
        shown = ", ".join([f"{name}={getattr(self, name)!r}" for name in names])
        return f"{self.__class__.__qualname__}({shown})"

    return method


def _eq(values: Callable[[Any], Any]) -> Method:
    def method(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return method


def _refusals() -> tuple[Method, Method]:
    def assign(_self: Any, name: str, _value: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def delete(_self: Any, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    return assign, delete


def _pickling(names: Sequence[str]) -> tuple[Method, Method]:
    def state(self: Any) -> list[Any]:
        return [getattr(self, name) for name in names]

    def restore(self: Any, values: list[Any]) -> None:
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    return state, restore
