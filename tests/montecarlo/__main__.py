"""Run every experiment on two processes, check every gate, write the reports. Exit status 1 if a gate is broken."""

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests.montecarlo.experiments import Measured, Results, Task, all_tasks
from tests.montecarlo.gates import promises, reproductions
from tests.montecarlo.report import as_json, as_markdown

ROOT = Path(__file__).parent.parent.parent
JSON = ROOT / "build" / "montecarlo.json"
MARKDOWN = ROOT / "docs" / "reference" / "judge-montecarlo.md"
PROCESSES = 2


def measure(task: Task) -> Measured:
    """What a process of the pool does."""
    return task.measure()


def run(console: Console) -> Results:
    """All tasks, in the order of their definition however they end."""
    tasks = all_tasks()
    measured: dict[int, Measured] = {}
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress, ProcessPoolExecutor(PROCESSES) as pool:
        bar = progress.add_task("", total=len(tasks))
        futures = {pool.submit(measure, task): index for index, task in enumerate(tasks)}
        for future in as_completed(futures):
            index = futures[future]
            measured[index] = future.result()
            progress.update(bar, advance=1, description=f"{tasks[index].section}: {tasks[index].row}")
    results: Results = {}
    for index, task in enumerate(tasks):
        results.setdefault(task.section, {})[task.row] = measured[index]
    return results


def main() -> int:
    """Measure, judge, write."""
    console = Console(stderr=True)
    results = run(console)
    promised, reproduced = list(promises(results)), list(reproductions(results))
    for path, text in (
        (JSON, as_json(results, [*promised, *reproduced])),
        (MARKDOWN, as_markdown(results, promised, reproduced)),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        console.print(f"written: {path.relative_to(ROOT)}")
    broken = [gate for gate in [*promised, *reproduced] if not gate.holds]
    for gate in broken:
        console.print(f"broken: {gate.promise}: {gate.measured}, should be {gate.limit}", style="red", markup=False)
    console.print(f"{len(promised) + len(reproduced) - len(broken)} gates hold, {len(broken)} are broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
