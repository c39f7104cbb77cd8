"""Reports that were saved, by `--save` or `--output json`."""

import json
from pathlib import Path

from loadgen.core.codec import from_json
from loadgen.core.ledger import Cell
from loadgen.core.report import Report

BYTES_MAX = 256 << 20


def read_report(file: Path) -> Report:
    """Read one. Raises ValueError."""
    try:
        if file.stat().st_size > BYTES_MAX:
            raise ValueError(f"{file}: more than {BYTES_MAX >> 20} MiB is no report")
        document = json.loads(file.read_text())
    except OSError as error:
        raise ValueError(f"{file}: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON: {error}") from error
    if not isinstance(document, dict) or "report" not in document:
        raise ValueError(f"{file}: no report in it: expected what `loadgen run --save` wrote")
    return from_json(Report, document["report"], "report")


def cells_of(report: Report, version: str) -> list[Cell]:
    """Give the cells of one version, or of all."""
    return [cell for cell in report.cells if not version or cell.version == version]
