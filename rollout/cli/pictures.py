"""Rollouts as terminal pictures: the table of all, and the detail that the live view redraws."""

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollout.core.quantities import format_duration

BAR_CELLS = 20
_PHASE_MARK = {
    "Pending": ("wait", "yellow"),
    "Progressing": ("run", "cyan"),
    "Paused": ("wait", "yellow"),
    "Succeeded": ("ok", "green"),
    "RollingBack": ("bad", "red"),
    "RolledBack": ("bad", "red"),
}
_STEP_MARK = {
    "passed": ("ok", "green"),
    "current": ("run", "cyan"),
    "waiting": ("next", "dim"),
    "skipped": ("next", "dim"),
    "failed": ("bad", "red"),
}
_VERDICT_MARK = {"pass": ("ok", "green"), "inconclusive": ("unknown", "yellow"), "fail": ("bad", "red")}


def table(items: list[dict[str, Any]], marks: Mapping[str, str], *, wide: bool) -> Table:
    """Many rollouts, a line each."""
    columns = ["ID", "SERVICE", "FROM", "TO", "STEP", "WEIGHT", "STATUS", "AGE", "BY"] + (["WHY"] if wide else [])
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for item in items:
        row = [
            item["id"],
            item["service"] if not wide else f"{item['service']}.{item['namespace']}",
            item["from"],
            item["to"],
            f"{item['step']}/{len(item['steps'])}",
            f"{item['weight']}%",
            _status(item, marks),
            _age(item["createdAt"]),
            item["actor"],
        ]
        grid.add_row(*row, *([item["detail"] or item["waitingFor"]] if wide else []))
    return grid


def detail(rollout: dict[str, Any], marks: Mapping[str, str]) -> RenderableType:
    """One rollout: what it does, where the traffic goes, the steps, the checks."""
    head = Text.assemble(
        (f"{rollout['service']}.{rollout['namespace']}", "bold"),
        f"   {rollout['from']} {marks['to']} {rollout['to']}   {rollout['id']}   ",
        f"{_age(rollout['createdAt'], rollout['finishedAt'])}   by {rollout['actor']} ({rollout['via']})",
    )
    parts: list[RenderableType] = [head, _labelled("Status", _status_line(rollout, marks))]
    parts.append(_labelled("Traffic", _traffic(rollout, marks)))
    if rollout["load"] is not None:
        parts.append(_labelled("Load", _load(rollout["load"])))
    for port, why in rollout["trouble"].items():
        parts.append(_labelled("Trouble", Text(f"{port}: {why}", style="yellow")))
    parts += [Text(""), _steps(rollout, marks)]
    if rollout["checks"]:
        parts += [Text(""), _checks(rollout, marks)]
    return Group(*parts)


def _status(rollout: dict[str, Any], marks: Mapping[str, str]) -> Text:
    mark, style = _PHASE_MARK[rollout["phase"]]
    word = {"promoted": "Promoted", "rolled_back": "RolledBack", "aborted": "Aborted"}.get(rollout["result"])
    return Text(f"{marks[mark]} {word or rollout['phase']}", style=style)


def _status_line(rollout: dict[str, Any], marks: Mapping[str, str]) -> Text:
    why = rollout["waitingFor"] or ": ".join(part for part in (rollout["cause"], rollout["detail"]) if part)
    step = f"   step {rollout['step']}/{len(rollout['steps'])}" if rollout["step"] else ""
    return Text.assemble(_status(rollout, marks), step, f"   {why}" if why else "")


def _labelled(label: str, value: RenderableType) -> Table:
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=8, style="dim")
    grid.add_row(label, value)
    return grid


def _traffic(rollout: dict[str, Any], marks: Mapping[str, str]) -> Text:
    weight = rollout["weight"]
    seen = rollout["observedWeight"]
    observed = f", seen {seen:.1f}%" if seen is not None else ""
    return Text.assemble(
        f"{rollout['from']} ",
        (_bar(100 - weight, marks), "blue"),
        f" {100 - weight}%   {rollout['to']} ",
        (_bar(weight, marks), "magenta"),
        f" {weight}%   (set {weight}%{observed})",
    )


def _bar(percent: float, marks: Mapping[str, str]) -> str:
    full = round(percent / 100 * BAR_CELLS)
    return marks["full"] * full + marks["empty"] * (BAR_CELLS - full)


def _load(load: dict[str, Any]) -> Text:
    if not load["running"]:
        return Text("not running")
    style = {"ok": "green", "degraded": "yellow", "invalid": "red"}[load["trust"]]
    return Text.assemble("running, trust ", (load["trust"], style), f" {load['why']}" if load["why"] else "")


def _steps(rollout: dict[str, Any], marks: Mapping[str, str]) -> Table:
    grid = Table("", "STEP", "WEIGHT", "STATE", "TOOK", "WHY", box=None, pad_edge=False, header_style="bold")
    for number, step in enumerate(rollout["steps"], 1):
        mark, style = _STEP_MARK[step["state"]]
        took = format_duration(round(step["tookSeconds"], 1)) if step["tookSeconds"] is not None else ""
        grid.add_row(
            Text(marks[mark], style=style),
            f"{number} {step['name']}",
            f"{step['weight']}%",
            Text(step["state"], style=style),
            took,
            step["why"],
        )
    return grid


def _checks(rollout: dict[str, Any], marks: Mapping[str, str]) -> Table:
    columns = ("CHECK", rollout["from"], rollout["to"], "LIMIT", "N", "VERDICT", "SOURCE", "WHY")
    grid = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for check in rollout["checks"]:
        mark, style = _VERDICT_MARK[check["verdict"]]
        grid.add_row(
            check["check"],
            amount(check["stable"], check["unit"]),
            amount(check["canary"], check["unit"]),
            amount(check["limit"], check["unit"]),
            f"{check['requests']:,}",
            Text(f"{marks[mark]} {check['verdict']}", style=style),
            check["source"],
            check["reason"],
        )
    return grid


def amount(value: float | None, unit: str) -> str:
    """A measured value in the unit people read."""
    if value is None:
        return "-"
    match unit:
        case "ratio":
            return f"{value * 100:.3g}%"
        case "seconds":
            return f"{value * 1000:.3g}ms"
        case _:
            return f"{value:.4g}"


def _age(created: float, finished: float | None = None) -> str:
    seconds = max(0, round((finished or time.time()) - created))  # noqa: TID251 - an age for a person's eyes
    if seconds < 3600:
        return format_duration(seconds)
    return f"{seconds // 3600}h{seconds % 3600 // 60}m" if seconds < 86400 else f"{seconds // 86400}d"
