"""dver's dataclasses behave as the standard's do; each case is checked against those."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any, Generic, TypeVar

import pytest

from dver.base.dataclass import dataclass

T = TypeVar("T")


def both(frozen: bool) -> list[Any]:
    """The decorator of the standard library, and ours."""
    return [
        dataclasses.dataclass(frozen=frozen, slots=True),
        dataclass(frozen=frozen, slots=True),
    ]


def shape(decorate: Any) -> Any:
    @decorate
    class Shape:
        """With every kind of field."""

        name: str
        size: int = 0
        parts: list[int] = field(default_factory=list)
        secret: str = field(default="hidden", repr=False)
        note: object = field(default=None, compare=False, repr=False)

        @property
        def double(self) -> int:
            return 2 * self.size

    return Shape


@dataclass(frozen=True, slots=True)
class Sent:
    """Can be found by its name, as what is pickled must be."""

    first: int
    second: tuple[str, ...] = ()


@dataclass(slots=True)
class Empty:
    """Holds nothing."""


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (("a",), {}),
        (("a", 3), {}),
        (("a",), {"size": 3, "note": "seen"}),
        (("a", 1, [1, 2], "s", "n"), {}),
        (("b",), {"secret": "other"}),
    ],
)
def test_values_read_the_same(frozen: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    standard, ours = (shape(one)(*args, **kwargs) for one in both(frozen))
    assert repr(ours) == repr(standard)
    assert dataclasses.asdict(ours) == dataclasses.asdict(standard)
    assert dataclasses.astuple(ours) == dataclasses.astuple(standard)
    assert ours.double == standard.double
    assert not hasattr(ours, "__dict__")


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(
    "other", [{}, {"size": 1}, {"parts": [1]}, {"secret": "x"}, {"note": "x"}, {"name": "b"}]
)
def test_values_compare_the_same(frozen: bool, other: dict[str, Any]) -> None:
    told = []
    for cls in map(shape, both(frozen)):
        told.append(cls("a") == cls(**{"name": "a", **other}))
    assert told[0] == told[1]


def test_another_class_is_never_equal() -> None:
    one, two = (shape(both(True)[1]) for _ in range(2))
    assert one("a") != two("a")
    assert one("a") != ("a", 0, [], "hidden", None)


def test_a_nan_is_equal_to_itself_in_a_class_of_one_field() -> None:
    nan = float("nan")
    for decorate in both(True):

        @decorate
        class One:
            """One field."""

            value: float

        assert One(nan) == One(nan)


def test_frozen_values_are_hashed_by_what_is_compared() -> None:
    for cls in map(shape, both(True)):
        same = [cls("a", parts=(1,), note=note) for note in (1, 2)]
        assert len({*same, cls("b", parts=(1,))}) == 2
        with pytest.raises(TypeError, match="unhashable type: 'list'"):
            hash(cls("a"))


def test_what_may_change_is_not_hashed() -> None:
    for cls in map(shape, both(False)):
        with pytest.raises(TypeError, match="unhashable type: 'Shape'"):
            hash(cls("a"))


def test_frozen_values_refuse_changes_as_the_standard_does() -> None:
    said = []
    for cls in map(shape, both(True)):
        value = cls("a")
        with pytest.raises(FrozenInstanceError) as assigned:
            value.size = 3
        with pytest.raises(FrozenInstanceError) as deleted:
            del value.size
        said.append((str(assigned.value), str(deleted.value), value.size))
    assert said[0] == said[1]


def test_others_can_be_changed() -> None:
    value = shape(both(False)[1])("a")
    value.size = 3
    assert value.double == 6
    with pytest.raises(AttributeError):
        value.sise = 3


def test_defaults_are_made_anew() -> None:
    cls = shape(both(True)[1])
    assert cls("a").parts is not cls("b").parts
    given = [1]
    assert cls("a", parts=given).parts is given


@pytest.mark.parametrize("frozen", [False, True])
def test_the_signature_is_the_standards(frozen: bool) -> None:
    standard, ours = (inspect.signature(shape(one)) for one in both(frozen))
    assert str(ours) == str(standard)


@pytest.mark.parametrize("frozen", [False, True])
def test_wrong_arguments_are_refused_in_the_same_words(frozen: bool) -> None:
    said = []
    for cls in map(shape, both(frozen)):
        for kwargs in ({}, {"name": "a", "sise": 1}):
            with pytest.raises(TypeError) as error:
                cls(**kwargs)
            said.append(str(error.value))
    assert said[:2] == said[2:]


def test_values_survive_pickle_and_copy() -> None:
    value = Sent(1, ("a",))
    assert pickle.loads(pickle.dumps(value)) == value
    assert copy.copy(value) == copy.deepcopy(value) == value
    assert copy.copy(Empty()) == Empty()


def test_replace_makes_another() -> None:
    assert dataclasses.replace(Sent(1), first=2) == Sent(2)


def test_patterns_match_by_position() -> None:
    match Sent(1, ("a",)):
        case Sent(first, second):
            assert (first, second) == (1, ("a",))


def test_fields_of_a_base_come_first() -> None:
    told = []
    for decorate in both(True):

        @decorate
        class Base:
            """Above."""

            first: int
            second: int = 2

        @decorate
        class Derived(Base):
            """Below."""

            third: int = 3

        value = Derived(1)
        assert not hasattr(value, "__dict__")
        told.append((repr(value), value == Base(1), dataclasses.astuple(value)))
    assert told[0] == told[1]


def test_a_generic_class_can_be_one() -> None:
    @dataclass(frozen=True, slots=True)
    class Box(Generic[T]):
        """Holds something."""

        inside: T

    assert Box[int](3) == Box(3)


def test_methods_of_its_own_are_kept() -> None:
    @dataclass(frozen=True, slots=True)
    class Own:
        """Says for itself what it is."""

        value: int

        def __repr__(self) -> str:
            return "mine"

        def __hash__(self) -> int:
            return 7

        def __eq__(self, other: object) -> bool:
            return True

    assert (repr(Own(1)), hash(Own(2)), Own(1) == Own(2)) == ("mine", 7, True)


def test_what_follows_the_constructor_is_called() -> None:
    @dataclass(slots=True)
    class Checked:
        """Refuses zero."""

        value: int

        def __post_init__(self) -> None:
            if not self.value:
                raise ValueError("zero")

    assert Checked(1).value == 1
    with pytest.raises(ValueError, match="zero"):
        Checked(0)


def test_classes_without_slots_are_refused() -> None:
    with pytest.raises(TypeError, match="slots"):
        dataclass(slots=False)
