from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadgen.core.codec import from_json, to_json
from loadgen.core.plan import Plan
from tests.loadgen.core.plans import TWO_ARMS, steady
from tests.loadgen.properties import repeatable


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError("size must be at least 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    name: str
    share: float = 1.0
    on: bool = True
    raw: bytes = b""
    colour: Colour = Colour.RED
    inner: Inner = Inner()
    many: tuple[Inner, ...] = ()
    pair: tuple[str, int] = ("a", 1)
    rows: list[tuple[int, int]] = field(default_factory=list)
    by_name: dict[str, float] = field(default_factory=dict)
    maybe: Inner | None = None


THINGS = st.builds(
    Thing,
    name=st.text(),
    share=st.floats(allow_nan=False, allow_infinity=False),
    on=st.booleans(),
    raw=st.binary(),
    colour=st.sampled_from(Colour),
    inner=st.builds(Inner, size=st.integers(0, 9)),
    many=st.lists(st.builds(Inner, size=st.integers(0, 9)), max_size=3).map(tuple),
    pair=st.tuples(st.text(), st.integers()),
    rows=st.lists(st.tuples(st.integers(), st.integers()), max_size=3),
    by_name=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False), max_size=3),
    maybe=st.none() | st.builds(Inner, size=st.integers(0, 9)),
)


def through_json(value: Any) -> Any:
    import json

    return json.loads(json.dumps(to_json(value)))


@repeatable
@given(THINGS)
def test_a_value_comes_back_as_it_went(thing: Thing) -> None:
    assert from_json(Thing, through_json(thing)) == thing


def test_a_plan_comes_back_as_it_went() -> None:
    plan = steady(arms=TWO_ARMS, ok_status=((200, 299), (418, 418)), allow_hosts=("example.com",))
    assert from_json(Plan, through_json(plan)) == plan


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "Thing: expected an object, got an array"),
        ({}, "missing 1 required keyword-only argument: 'name'"),
        ({"name": "a", "nam": 1}, "nam: unknown key, expected one of by_name, colour"),
        ({"name": 1}, "name: expected a string, got a number"),
        ({"name": None}, "name: expected a string, got null"),
        ({"name": "a", "share": "1"}, "share: expected a number, got a string"),
        ({"name": "a", "share": True}, "share: expected a number, got a boolean"),
        ({"name": "a", "on": 1}, "on: expected a boolean, got a number"),
        ({"name": "a", "raw": "?"}, "raw: expected base64"),
        ({"name": "a", "raw": 1}, "raw: expected base64, got a number"),
        ({"name": "a", "colour": "green"}, "colour: expected one of red, blue, got 'green'"),
        ({"name": "a", "inner": 1}, "inner: expected an object, got a number"),
        ({"name": "a", "inner": {"size": 1.0}}, "inner.size: expected an integer, got a number"),
        ({"name": "a", "inner": {"size": -1}}, "inner: size must be at least 0"),
        ({"name": "a", "many": {}}, "many: expected an array, got an object"),
        ({"name": "a", "many": [{}, {"size": "x"}]}, r"many\[1\].size: expected an integer, got a string"),
        ({"name": "a", "pair": ["a"]}, "pair: expected 2 items, got 1"),
        ({"name": "a", "pair": ["a", "b"]}, r"pair\[1\]: expected an integer"),
        ({"name": "a", "rows": {}}, "rows: expected an array, got an object"),
        ({"name": "a", "rows": [[1, 2], [1]]}, r"rows\[1\]: expected an integer and an integer"),
        ({"name": "a", "rows": [1]}, r"rows\[0\]: expected"),
        ({"name": "a", "by_name": []}, "by_name: expected an object, got an array"),
        ({"name": "a", "by_name": {"k": "x"}}, "by_name.k: expected a number, got a string"),
    ],
)
def test_what_is_wrong_is_said_with_its_path(document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_json(Thing, document)


def test_an_integer_is_a_good_float() -> None:
    assert from_json(Thing, {"name": "a", "share": 2}).share == 2.0
