import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import pytest

from rollout.mesh.schema import Bounds, Percent, Port, Problem, nearest, plain, read, shown
from rollout.mesh.translate.duration import Duration


class Colour(StrEnum):
    RED = "RED"
    BLUE = "BLUE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    host: str
    port: Port | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    max_height_m: Annotated[int, Bounds(0, 100)] = 1
    leaves: tuple[Leaf, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    colour: Colour = Colour.RED
    timeout: Duration | None = None
    share: Percent | None = None
    is_green: bool = False
    anything: Any = None
    odd: str = field(default="", metadata={"key": "odd_key"})


def problems(value: object) -> list[tuple[str, str]]:
    result, found = read(Tree, value)
    assert result is None
    return [(".".join(map(str, problem.path)), problem.message) for problem in found]


def test_a_mapping_becomes_the_dataclass() -> None:
    tree, found = read(
        Tree,
        {
            "maxHeightM": 7,
            "leaves": [{"host": "a", "port": 80}],
            "labels": {"app": "x"},
            "colour": "BLUE",
            "timeout": "0.5s",
            "share": 50,
            "isGreen": True,
            "anything": {"at": ["all"]},
            "odd_key": "yes",
        },
    )

    assert not found
    assert tree == Tree(
        max_height_m=7,
        leaves=(Leaf(host="a", port=80),),
        labels={"app": "x"},
        colour=Colour.BLUE,
        timeout=Duration(500_000_000),
        share=50.0,
        is_green=True,
        anything={"at": ["all"]},
        odd="yes",
    )


def test_null_means_not_given() -> None:
    assert read(Tree, {"colour": None, "timeout": None, "leaves": None}) == (Tree(), ())


def test_every_problem_is_found_in_one_pass() -> None:
    assert problems({"maxHeight": 1, "leaves": [{"port": 0}, {"host": "b", "port": 70000}, 5], "isGreen": "true"}) == [
        ("maxHeight", 'unknown key; did you mean "maxHeightM"?'),
        ("leaves.0.port", "must be in 1..65535, got 0"),
        ("leaves.0.host", "missing"),
        ("leaves.1.port", "must be in 1..65535, got 70000"),
        ("leaves.2", "expected a mapping, got 5"),
        ("isGreen", "expected true or false, got 'true'"),
    ]


@pytest.mark.parametrize(
    ("value", "path", "message"),
    [
        ([], "", "expected a mapping, got a list"),
        ({"maxHeightM": "7"}, "maxHeightM", "expected a whole number, got '7'"),
        ({"maxHeightM": True}, "maxHeightM", "expected a whole number, got true"),
        ({"maxHeightM": 7.5}, "maxHeightM", "expected a whole number, got 7.5"),
        ({"share": 101}, "share", "must be in 0..100, got 101.0"),
        ({"share": math.nan}, "share", "must be finite"),
        ({"share": "5"}, "share", "expected a number, got '5'"),
        ({"labels": {"version": 1.1}}, "labels.version", "expected a string, got 1.1; put it in quotes"),
        ({"labels": {"a": None}}, "labels.a", "expected a string, got null"),
        ({"labels": ["a"]}, "labels", "expected a mapping, got a list"),
        ({"leaves": {"host": "a"}}, "leaves", "expected a list, got a mapping"),
        ({"colour": "GREEN"}, "colour", "must be one of RED, BLUE, got 'GREEN'"),
        ({"colour": 1}, "colour", "expected a string, got 1"),
        ({"timeout": "5"}, "timeout", "not a duration: '5'; write it like 500ms, 1.5s or 1h30m"),
        ({"timeout": 5}, "timeout", "expected a string, got 5"),
        ({"zzz": 5}, "zzz", "unknown key"),
    ],
)
def test_types_are_strict_and_messages_say_what_was_expected(value: object, path: str, message: str) -> None:
    assert problems(value) == [(path, message)]


def test_paths_start_where_the_caller_says() -> None:
    assert read(Leaf, {}, ("spec",)) == (None, (Problem(path=("spec", "host"), message="missing"),))


def test_plain_is_the_inverse_of_read() -> None:
    tree = Tree(
        leaves=(Leaf(host="a"),),
        labels={"a": "b"},
        colour=Colour.BLUE,
        share=0.5,
        odd="x",
        anything=[1],
        timeout=Duration(5 * 10**8),
    )

    assert plain(tree) == {
        "leaves": [{"host": "a"}],
        "labels": {"a": "b"},
        "colour": "BLUE",
        "share": 0.5,
        "anything": [1],
        "odd_key": "x",
        "timeout": "0.5s",
    }
    assert read(Tree, plain(tree)) == (tree, ())


def test_long_values_are_cut_in_messages() -> None:
    assert shown("x" * 100) == "'" + "x" * 56 + "..."
    values: list[object] = [None, True, False, {}, [], 5]
    assert [shown(value) for value in values] == ["null", "true", "false", "a mapping", "a list", "5"]


def test_only_near_words_are_proposed() -> None:
    assert nearest("wieght", ["weight", "route"]) == '; did you mean "weight"?'
    assert nearest("zzz", ["weight", "route"]) == ""
