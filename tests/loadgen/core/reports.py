"""Reports that tests start from."""

from typing import Any

from loadgen.core.ledger import Cell
from loadgen.core.plan import Plan
from loadgen.core.report import Accumulator, Closing, Report, Totals
from tests.loadgen.core.plans import steady
from tests.loadgen.core.snapshots import stratum


def report(*cells: Cell, plan: Plan | None = None, closing: Closing | None = None, **totals: Any) -> Report:
    """The report of a run that saw these cells in one stratum."""
    books = Accumulator(plan or steady(10, 10))
    books.add([stratum(0, *cells)], (), 1)
    fields: dict[str, Any] = {"start_unix_s": 0.0, "duration_s": 10.5, "sent": sum(cell.count for cell in cells)}
    return books.report(Totals(**{**fields, **totals}), closing or Closing())
