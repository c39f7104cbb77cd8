"""How the suite is shared out when it runs in several processes (`make test` uses two)."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
END_TO_END = HERE / "e2e"
PURE = (HERE / "loadgen" / "core", HERE / "rollout" / "core", HERE / "rollout" / "mesh" / "translate")
TRIES_MORE = 2


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file at a time to each process, and the end-to-end tests one after the other in a single one.

    They start Envoys, Prometheus and Chromium and count what users meet: two at once would measure each other.

    What talks over real sockets against real clocks is tried again when it fails: a machine that was taken away for
    half a second breaks a time-out once, a defect breaks it every time. Each retry is in the summary. The pure core,
    where there is no such excuse, has one try.
    """
    for item in items:
        group = "e2e" if item.path.is_relative_to(END_TO_END) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
        if not any(item.path.is_relative_to(pure) for pure in PURE):
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
