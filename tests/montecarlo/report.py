"""The numbers as JSON for programs and as Markdown for people."""

import json
from collections.abc import Sequence
from math import isfinite
from textwrap import fill

from tests.montecarlo import published
from tests.montecarlo.experiments import Measured, Results, per_cent
from tests.montecarlo.gates import Gate

HEAD = """\
# What the judge promises, measured

Written by `make montecarlo` from simulated rollouts with fixed seeds; do not edit. How the judge works, in words, is in
[How it decides](../explanation/how-it-decides.md). Whole rollouts are judged by `rollout.core.judge` itself, with a
plan that limits errors to 1 % and to half as many again as stable, and latency to 10 % above stable. Where a table is
about one e-process alone, arrays judge thousands of rollouts at once, and the same run compares them with the judge's.
The rules of Flagger, Argo Rollouts and Kayenta are reimplemented from their sources and see the same traffic, without
the delay of a Prometheus scrape.
"""


def as_json(results: Results, gates: Sequence[Gate]) -> str:
    """Everything; a time that never came is null."""
    finite = {
        section: {
            row: {key: value if isfinite(value) else None for key, value in measured.items()}
            for row, measured in rows.items()
        }
        for section, rows in results.items()
    }
    checked = [{"promise": g.promise, "limit": g.limit, "measured": g.measured, "holds": g.holds} for g in gates]
    return json.dumps({"gates": checked, "results": finite}, indent=1, ensure_ascii=False) + "\n"


def as_markdown(results: Results, promises: Sequence[Gate], reproductions: Sequence[Gate]) -> str:
    """The promises, then what each table of the design says today."""
    astray = [gate for gate in reproductions if not gate.holds]
    parts = [
        HEAD,
        "## Promises\n",
        _table(("promise", "limit", "measured", ""), [(g.promise, g.limit, g.measured, _mark(g)) for g in promises]),
        _text(
            f"{len(reproductions) - len(astray)} of {len(reproductions)} numbers that the design was decided on, from "
            "other code and other seeds, are met again within the error of two simulations."
        ),
    ]
    if astray:
        parts.append(_table(("not met", "published", "measured"), [(g.promise, g.limit, g.measured) for g in astray]))
    return "\n".join([*parts, *_false_alarms(results), *_detection(results), *_latency(results), *_rollouts(results)])


def _false_alarms(results: Results) -> list[str]:
    cells = [f"{rps} rps, {per_cent(rate)}" for rps in (10, 100, 1000) for rate in (0.001, 0.005, 0.009)]
    by_cell = results["false alarms"]
    policies = [*published.FALSE_ALARMS, "e-process with objective"]
    rows = [(policy, *(_share(by_cell[cell][policy]) for cell in cells)) for policy in policies]
    outages = [(name, *map(_share, row.values())) for name, row in results["shared outage"].items()]
    names = ("untempered", "tempered", "objective untempered", "objective tempered")
    bursts = [(phi, *(_share(row[name]) for name in names)) for phi, row in results["bursts"].items()]
    peeks = [(looks, _share(row["p < 0.05"])) for looks, row in results["peeking"].items()]
    return [
        "## Good releases rolled back\n",
        _text(
            "One rollout of 30 minutes, 5 % → 25 % → 50 %, both versions alike, 2,000 rollouts per cell. "
            "Columns: requests per second and the error rate of both versions. Flagger's threshold 1 is "
            "its default; Argo's failureLimit 0 is its default and the same rule."
        ),
        _table(("judge", *cells), rows),
        "A p-value of 0.05, looked at more and more often in the same half hour:\n",
        _table(("looks", "false alarms"), peeks),
        "An outage that strikes both versions alike:\n",
        _table(("outage", "e-process", "p < 0.05 every 10 s"), outages),
        "Errors of 0.5 % that come in bursts, their variance φ times that of independent ones:\n",
        _table(("", *names), bursts),
    ]


def _detection(results: Results) -> list[str]:
    policies = ("ours", "probes", "Flagger 60 s", "Flagger 30 s", "Argo 0", "Argo 3")
    rows = [
        (*name.split(", "), *(_timing(row, policy) for policy in policies))
        for name, row in results["time to detect"].items()
    ]
    requests = [
        (name, f"{row['total']:,.0f} / {row['total p90']:,.0f}") for name, row in results["requests to alarm"].items()
    ]
    objective = [
        (kind, rate, f"{row['canary']:,.0f} / {row['canary p90']:,.0f}")
        for kind in ("harm", "accept")
        for rate, row in results[f"canary requests, objective, {kind}"].items()
    ]
    late = [
        (rate, _seconds(row["plain"]), _seconds(row["restarts"])) for rate, row in results["late regression"].items()
    ]
    return [
        "## Bad releases stopped\n",
        _text(
            "The stable version fails at 0.1 %, the objective is 1 %. Median seconds (95th percentile) "
            "until rolled back; in square brackets the share found within the hour, if not all. *Probes*: "
            "the load generator's requests are split 50/50 whatever the users' weight."
        ),
        _table(("rps", "weight", "canary's errors", *policies), rows),
        "Requests of both versions until T1 alarms, median / 90th percentile:\n",
        _table(("weight, canary's errors, tolerated ratio", "requests"), requests),
        "Canary requests until T2 decides about an objective of 1 %:\n",
        _table(("side", "canary's errors", "requests"), objective),
        "A regression that begins at the third step, median seconds from there:\n",
        _table(("canary's errors", "without restarts", "with restarts"), late),
    ]


def _latency(results: Results) -> list[str]:
    def rows(section: str) -> list[tuple[str, ...]]:
        return [(name, _timing(row, "")) for name, row in results[section].items()]

    return [
        "## Slow releases stopped\n",
        _text(
            "Log-normal latencies (median 50 ms, p99 202 ms), 100 rps; *tail* delays 2 % of the calls so "
            "that p99 doubles and p50 stays; δ is the tolerated slow-down. Raw samples, harm:"
        ),
        _table(("slow-down, weight, δ", "seconds"), rows("latency")),
        "Raw samples, a good release accepted at p50, p95 and p99:\n",
        _table(("weight, δ", "seconds"), rows("latency accepted")),
        "Istio's histogram buckets, scraped every 15 s:\n",
        _table(("slow-down, weight, tolerated ratio", "seconds"), rows("buckets")),
    ]


def _rollouts(results: Results) -> list[str]:
    ends = ("promoted", "rolled back", "timed out")
    rows = [
        (name, *(_end(row, end) for end in ends))
        for section in ("rollouts", "rollouts never accepted")
        for name, row in results[section].items()
    ]
    return [
        "## Whole rollouts\n",
        _text(
            "Three steps of 5 %, 25 % and 50 %, each held for 30 s at least and 10 minutes at most; 100 "
            "rps unless said. The last rows are never accepted early and stand the full 30 minutes. "
            "Share, and median seconds:"
        ),
        _table(("rollout", *ends), rows),
    ]


def _end(row: Measured, end: str) -> str:
    return f"{_share(row[end])} in {row[f'{end} median s']:,.0f}" if row[end] else "–"


def _timing(row: Measured, policy: str) -> str:
    found, median, late = (row.get(f"{policy} {key}".strip()) for key in ("found", "median", "p95"))
    if found is None or median is None or late is None:
        return "–"
    share = "" if found > 0.9995 else f" [{_share(found)}]"
    return f"{_seconds(median)} ({_seconds(late)}){share}"


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if isfinite(value) else "never"


def _share(value: float) -> str:
    return per_cent(round(value, 4))


def _mark(gate: Gate) -> str:
    return "holds" if gate.holds else "**broken**"


def _text(paragraph: str) -> str:
    return fill(paragraph, 118, break_long_words=False, break_on_hyphens=False) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
