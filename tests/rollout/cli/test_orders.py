"""Verbs that ask for something."""

import json
from pathlib import Path

import pytest
import yaml

from rollout.core.phase import Phase
from tests.rollout.cli.conftest import Shell
from tests.rollout.core.documents import plan_document
from tests.rollout.core.worlds import state_of


def test_start_says_what_it_began_and_how_to_watch_it(shell: Shell) -> None:
    code, out, err = shell("start", "reviews", "--to", "v3", "--reason", "release 7")

    assert code == 0
    assert out == ""
    assert "reviews v1 -> v3, 7 steps" in err
    assert "rollout get reviews -w" in err
    (rollout,) = shell.desk.launched
    assert (rollout.actor, rollout.reason) == ("alice", "release 7")


def test_start_prints_data_only_when_asked(shell: Shell) -> None:
    _, out, _ = shell("start", "reviews", "--to", "v3", "-o", "json", "--idempotency-key", "k")
    started = json.loads(out)
    _, again, _ = shell("start", "reviews", "--to", "v3", "-o", "name", "--idempotency-key", "k")

    assert started["to"] == "v3"
    assert again.strip() == started["id"]


def test_start_takes_a_plan_file_weights_and_a_hold(shell: Shell, tmp_path: Path) -> None:
    document = plan_document()
    document["spec"]["steps"] = [{"weight": 100, "hold": "5s"}]
    file = tmp_path / "plan.yaml"
    file.write_text(yaml.safe_dump(document))

    code, out, _ = shell("start", "reviews", "--to", "v3", "--plan", str(file), "--dry-run")
    assert (code, out.split()) == (0, ["1", "weight", "100%", "weight", "100%", "held", "5", "s"])
    code, out, _ = shell("start", "reviews", "--to", "v3", "--steps", "10,100", "--hold", "2s", "--dry-run")
    assert [line.split()[2] for line in out.splitlines()] == ["10%", "100%"]
    assert not shell.desk.launched


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["start", "reviews"], 2, "Missing option '--to'"),
        (["start", "reviews", "--to", "v1"], 6, "reviews serves v1 already"),
        (["start", "reviews", "--to", "v9"], 6, "no DestinationRule defines subset v9"),
        (["start", "reviews", "--to", "v3", "--steps", "a,b"], 2, "is not a list of weights"),
        (["start", "reviews", "--to", "v3", "--steps", "50,5"], 2, "spec.steps[1].weight: weights must rise"),
        (["start", "reviews", "--to", "v3", "--hold", "5"], 2, "not a duration"),
        (["start", "reviews", "--to", "v3", "--plan", "nowhere.yaml"], 1, "cannot read nowhere.yaml"),
        (["approve", "reviews"], 1, "no rollout 'reviews'"),
        (["frobnicate"], 2, "No such command"),
        (["strat"], 2, "Did you mean 'start'?"),
        (["get", "--limit", "abc"], 2, "is not a valid integer"),
    ],
)
def test_wrong_input_says_what_is_wrong_with_its_exit_code(
    shell: Shell, arguments: list[str], code: int, says: str
) -> None:
    found, out, err = shell(*arguments)

    assert found == code
    assert says in err
    assert out == ""
    assert "Traceback" not in err


@pytest.mark.parametrize("verb", ["pause", "promote", "abort", "approve"])
def test_orders_reach_the_daemon(shell: Shell, verb: str) -> None:
    rollout = shell.do(lambda d: d.started(step=4))

    code, _, err = shell(verb, "reviews", "--reason", "why", *(["-y"] if verb == "promote" else []))

    assert code == 0
    assert f"{verb}: reviews {rollout.id} is Progressing, weight 25%" in err
    (order,) = shell.desk.fake.store.wishes[rollout.id]
    assert (order.kind, order.actor, order.reason) == (verb, "alice", "why")


def test_an_order_that_is_fulfilled_already_is_fine(shell: Shell) -> None:
    shell.do(lambda d: d.started(phase=Phase.PAUSED))

    assert shell("pause", "reviews")[0] == 0
    assert not shell.desk.fake.store.wishes


def test_retry_and_undo_start_something_new(shell: Shell) -> None:
    rollout = shell.do(lambda d: d.started(phase=Phase.ROLLED_BACK))

    code, _, err = shell("retry", "reviews")
    assert (code, "v1 -> v3" in err) == (0, True)

    again = shell.desk.launched[-1]
    assert again.id != rollout.id
    shell.do(lambda d: d.put(again, state_of(again.spec, phase=Phase.SUCCEEDED)))
    document = shell.desk.fake.mesh.document
    assert document is not None
    document["spec"]["http"][0]["route"][0]["destination"]["subset"] = "v3"
    code, _, err = shell("undo", "reviews")
    assert (code, "v3 -> v1" in err) == (0, True)
