"""The numbers of docs/explanation/how-it-decides.md are what the judge computes, and what was measured."""

import re
from math import exp
from pathlib import Path

import pytest

from rollout.core.evidence import Counts, Stratum
from rollout.core.judge import Verdict, judge
from rollout.core.ledger import Evidence, fold
from rollout.core.sequential import Side, SloE, Tally
from rollout.core.spec import PlanSpec, Source
from rollout.core.trials import trials_of
from rollout.edges.load import STRATUM_S
from rollout.yaml_documents import load
from tests.rollout.core.worlds import spec

DOCS = Path(__file__).parents[4] / "docs"
PAGE = (DOCS / "explanation" / "how-it-decides.md").read_text()


def plan_of_the_page() -> PlanSpec:
    block = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    return spec(**load(block[1].encode(), file="the page").value).plan


def rows_of_the_example() -> list[list[str]]:
    lines = [line for line in PAGE.splitlines() if re.match(r"\| \d+ s \|", line)]
    return [[cell.strip(" *").replace(",", "") for cell in line.strip("|").split("|")] for line in lines]


def told(cell: str) -> tuple[int, int]:
    failures, requests = cell.split(" of ")
    return int(failures), int(requests)


def evenly(total: int, parts: int) -> list[int]:
    return [total * (i + 1) // parts - total * i // parts for i in range(parts)]


def arms(now: str, before: str, parts: int) -> list[Counts]:
    """What was added between two rows of the table, in so many strata."""
    (failures, requests), (earlier, earlier_requests) = told(now), told(before)
    counted = zip(evenly(requests - earlier_requests, parts), evenly(failures - earlier, parts), strict=True)
    return [Counts(requests=n, failures=x) for n, x in counted]


def test_the_worked_example_is_what_the_judge_computes() -> None:
    plan, evidence = plan_of_the_page(), Evidence()
    start, *before, verdicts = 0.0, "0 of 0", "0 of 0", list[Verdict]()
    for after, canary, stable, *odds in rows_of_the_example():
        parts = round((float(after.removesuffix(" s")) - start) / STRATUM_S)
        told_now = zip(arms(canary, before[0], parts), arms(stable, before[1], parts), strict=True)
        for tried, trusted in told_now:
            stratum = Stratum(start=start, end=start + STRATUM_S, canary=tried, stable=trusted)
            evidence = fold(evidence, trials_of(plan), Source.LOAD, stratum, len(plan.steps))
            start = stratum.end
        before = [canary, stable]
        limit, ratio = evidence.limits["errors/error-limit"], evidence.ratios["errors/error-growth"]
        judgement = judge(plan, evidence, weight=5)
        verdicts.append(judgement.verdict)
        log_es = [bet.log_e for bet in (limit.harm, limit.worse, ratio.harm, ratio.floor)]
        found = [exp(log_e) for log_e in (*log_es, judgement.log_e_harm)]
        assert [float(f"{value:.3g}") for value in found] == [float(f"{float(cell):.3g}") for cell in odds]
    assert verdicts == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE, Verdict.FAIL]


@pytest.mark.parametrize(("failures", "requests"), [(0, 380), (1, 664)])
def test_a_limit_of_one_percent_is_proven_after_so_many_requests(failures: int, requests: int) -> None:
    accept = SloE.fresh(Side.ACCEPT, p0=0.01)
    enough, one_less = (
        exp(accept.after(Tally(events=failures, exposure=n)).log_e) >= 20 for n in (requests, requests - 1)
    )

    assert (enough, one_less) == (True, False)
    assert "380 to 500 requests. One failure costs about 280 more" in PAGE.replace("\n", " ")


def test_the_table_of_false_alarms_is_the_one_that_was_measured() -> None:
    measured = (DOCS / "reference" / "judge-montecarlo.md").read_text().splitlines()
    rows = [
        line
        for line in PAGE.splitlines()
        if line.startswith(("| judge |", "| Flagger 99 %", "| Argo 99 %", "| e-process"))
    ]

    assert len(rows) == 6
    assert not [row for row in rows if row not in measured]


def test_what_bursts_do_to_a_good_release_is_what_was_measured() -> None:
    measured = (DOCS / "reference" / "judge-montecarlo.md").read_text()
    (share,) = re.findall(r"both 0\.5 % errors in bursts, φ = 5 \| [^|]+ \| ([\d.]+ %) in", measured)

    assert f"variance fivefold, {share} of the good canaries" in PAGE.replace("\n", " ").replace("  ", " ")
