"""The cast: what a wish says, who plays it, and that it is remembered."""

import json
import math
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from rollout.demo.cast import Cast, Wish, parse_wish, recall
from rollout.demo.scenarios import HEALTHY, Misbehaviour, scenario_named

ALL = ("productpage-v1", "details-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3")


def cast_of(*names: str, kept_in: Path | None = None) -> Cast:
    players = {name: Misbehaviour(HEALTHY, chance=random.Random(1), now_s=lambda: 0.0) for name in names}
    return Cast(players, kept_in=kept_in)


def who_plays(cast: Cast, scenario: str) -> list[str]:
    return [name for name, played in cast.played().items() if played == scenario]


def test_a_name_is_wish_enough() -> None:
    assert parse_wish({"name": "latent"}) == Wish(scenario=scenario_named("latent"))


def test_a_wish_says_how_long_and_whom() -> None:
    wish = parse_wish({"name": "latent", "good_for_s": 10, "workload": "reviews-v3"})
    assert wish == Wish(scenario=scenario_named("latent", 10), workload="reviews-v3")


@pytest.mark.parametrize("name", ["healthy", "errors-20", "latent", "both-bad"])
@pytest.mark.parametrize("workload", [None, "reviews-v3"])
def test_a_wish_reads_as_it_was_written(name: str, workload: str | None) -> None:
    wish = Wish(scenario=scenario_named(name, 7.5), workload=workload)
    assert parse_wish(json.loads(json.dumps(wish.document()))) == wish


WRONG: list[tuple[Any, str]] = [
    (["latent"], "expected a JSON object"),
    (None, "expected a JSON object"),
    ({}, "no scenario is named"),
    ({"name": "sad"}, "no scenario is named 'sad'"),
    ({"name": ["hang"]}, "no scenario is named"),
    ({"name": "hang", "workloads": "x"}, "unknown key 'workloads'; there are good_for_s, name, workload"),
    ({"name": "hang", "good_for_s": "10"}, "good_for_s must be a number"),
    ({"name": "hang", "good_for_s": True}, "good_for_s must be a number"),
    ({"name": "hang", "good_for_s": -1}, "good_for_s must be"),
    ({"name": "hang", "good_for_s": math.nan}, "good_for_s must be"),
    ({"name": "hang", "workload": 3}, "workload must be a name"),
]


@pytest.mark.parametrize(("document", "says"), WRONG, ids=[str(document) for document, _ in WRONG])
def test_a_wrong_wish_is_refused_by_its_key(document: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_wish(document)


@pytest.mark.parametrize(
    ("names", "wish", "players"),
    [
        (ALL, {"name": "errors-20"}, ["reviews-v3"]),
        (ALL, {"name": "both-bad"}, ["reviews-v1", "reviews-v2", "reviews-v3"]),
        (ALL, {"name": "errors-20", "workload": "ratings-v1"}, ["ratings-v1"]),
        (["ratings-v1"], {"name": "errors-20"}, ["ratings-v1"]),
        (["reviews-v1"], {"name": "hang"}, ["reviews-v1"]),
        (["reviews-v3"], {"name": "crash"}, ["reviews-v3"]),
    ],
)
def test_the_canary_plays_unless_told_otherwise(names: Iterable[str], wish: Any, players: list[str]) -> None:
    cast = cast_of(*names)
    cast.play(parse_wish(wish))
    assert who_plays(cast, wish["name"]) == players


def test_a_new_story_ends_the_old_one() -> None:
    cast = cast_of(*ALL)
    cast.play(parse_wish({"name": "both-bad"}))
    cast.play(parse_wish({"name": "slow"}))
    assert who_plays(cast, "slow") == ["reviews-v3"]
    assert len(who_plays(cast, "healthy")) == 5


def test_a_wish_for_one_workload_leaves_the_others_alone() -> None:
    cast = cast_of(*ALL)
    cast.play(parse_wish({"name": "slow"}))
    cast.play(parse_wish({"name": "hang", "workload": "ratings-v1"}))
    assert who_plays(cast, "slow") == ["reviews-v3"]
    assert who_plays(cast, "hang") == ["ratings-v1"]


def test_an_unknown_workload_is_refused() -> None:
    with pytest.raises(ValueError, match="no workload is named 'reviews-v4'; there are details-v1, reviews-v3"):
        cast_of("details-v1", "reviews-v3").play(parse_wish({"name": "slow", "workload": "reviews-v4"}))


def test_a_crash_of_one_workload_may_not_take_the_others_with_it() -> None:
    cast = cast_of(*ALL)
    with pytest.raises(ValueError, match="crash would end all"):
        cast.play(parse_wish({"name": "crash", "workload": "reviews-v3"}))
    assert len(who_plays(cast, "healthy")) == len(ALL)


def test_a_wish_survives_the_process(tmp_path: Path) -> None:
    wish = parse_wish({"name": "latent", "good_for_s": 10, "workload": "reviews-v3"})
    cast_of("reviews-v3", kept_in=tmp_path / "scenario.json").play(wish)

    assert recall(tmp_path / "scenario.json") == wish
    assert [path.name for path in tmp_path.iterdir()] == ["scenario.json"]


def test_a_refused_wish_is_not_remembered(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no workload"):
        cast_of("reviews-v3", kept_in=tmp_path / "kept").play(parse_wish({"name": "hang", "workload": "x"}))
    assert recall(tmp_path / "kept") is None


@pytest.mark.parametrize("kept", [b"", b"{", b'{"name": "sad"}', b"\xff"])
def test_a_file_that_makes_no_sense_is_refused_by_its_name(tmp_path: Path, kept: bytes) -> None:
    (tmp_path / "kept").write_bytes(kept)
    with pytest.raises(ValueError, match="kept: "):
        recall(tmp_path / "kept")
