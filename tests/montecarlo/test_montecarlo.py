"""A small set of `make montecarlo`, with fixed seeds: the promises hold, the arrays agree, and a broken gate shows."""

from functools import partial

import pytest

from tests.montecarlo import agreement, detection, false_alarms, gates, published, rollouts
from tests.montecarlo.experiments import NEVER_ACCEPTED, SCENARIOS, all_tasks
from tests.montecarlo.report import as_json


def test_the_arrays_measure_the_e_processes_of_the_judge() -> None:
    differences = agreement.largest_differences(seed=1, runs=10, seconds=80)

    assert len(differences) == 6
    assert max(differences.values()) < 1e-9


def test_good_releases_are_kept_where_others_take_them_back() -> None:
    shares = false_alarms.good_rollouts(seed=2, runs=150, rps=10, rate=0.009)

    assert shares["e-process"] <= 0.01
    assert shares["p < 0.05 every 10 s"] > 0.3
    assert shares["Flagger 99 %, threshold 5"] > 0.9
    assert shares["Argo 99 %, failureLimit 3"] > 0.9


def test_an_outage_of_both_versions_is_no_harm_of_the_canary() -> None:
    shares = false_alarms.shared_outage(seed=3, runs=100, before=0.001, after=0.05, at_s=1200)

    assert shares["e-process"] <= 0.02
    assert shares["p < 0.05 every 10 s"] == 1


@pytest.mark.parametrize(
    ("name", "runs", "end", "share", "median_s_max"),
    [
        ("errors 5 %", 100, "rolled back", 1.0, 25),
        ("good, probes", 40, "promoted", 1.0, 220),
        ("latency x2", 30, "rolled back", 1.0, 15),
        ("both 5 % errors", 5, "timed out", 1.0, 600),
    ],
)
def test_whole_rollouts_end_as_promised(name: str, runs: int, end: str, share: float, median_s_max: float) -> None:
    ends = rollouts.many(seed=4, runs=runs, scenario=SCENARIOS[name])

    assert ends[end] == share
    assert ends[f"{end} median s"] <= median_s_max


def test_a_good_release_stands_half_an_hour_of_looks() -> None:
    _, scenario = NEVER_ACCEPTED["good"]

    assert rollouts.many(seed=5, runs=10, scenario=scenario)["rolled back"] == 0


def test_a_rollout_ends_the_same_however_often_it_is_saved_and_with_the_same_seed() -> None:
    found = rollouts.survives_restarts(seed=6, runs=3, scenario=SCENARIOS["good, probes"])

    assert found == {"rollouts changed": 0, "rollouts not repeated": 0, "verdicts": found["verdicts"]}
    assert found["verdicts"] > 60


def test_a_table_row_has_ours_and_theirs_in_one_run() -> None:
    row = detection.time_to_detect(seed=7, runs=200, rps=100, weight=0.05, rate=0.05)
    (known,) = (row for key, row in published.TIME_TO_DETECT.items() if key == (100, 0.05, 0.05))

    for policy, median in known.items():
        assert row[f"{policy} median"] == pytest.approx(median, rel=0.25), policy


def test_every_measurement_has_a_name_and_a_seed_of_its_own() -> None:
    tasks = all_tasks()
    seeds = [task.measure.keywords["seed"] for task in tasks if isinstance(task.measure, partial)]

    assert len({(task.section, task.row) for task in tasks}) == len(set(seeds)) == len(tasks)


def test_a_broken_promise_shows() -> None:
    kept = gates.Gate(promise="kept", limit="≤ 1 %", measured="0 %", holds=True)
    broken = [
        gates._at_most("false alarms", 0.011, 0.01),
        gates._at_least("rolled back", 0.99, 1.0),
        gates._seconds_at_most("median", 26, 25),
        gates._none("changed", 1),
        gates._same_share("share", 0.5, 0.3, 400),
        gates._same_median("median", 120, 100, 1),
        gates._same_median("never", 120, float("inf"), 1),
        gates._no_less("share", 0.3, 0.5, 400),
        gates._no_later("median", 140, 100, 1, 200),
    ]

    better = [gates._no_less("share", 0.9, 0.5, 400), gates._no_later("median", 10, 100, 1, 200)]

    assert not [gate for gate in broken if gate.holds]
    assert all(gate.holds for gate in better)
    assert '"holds": false' in as_json({}, broken)
    assert '"holds": false' not in as_json({}, [kept])
