"""How the suite is shared out when it runs in several processes (`make test` uses two)."""

from pathlib import Path

import pytest

END_TO_END = Path(__file__).parent / "e2e"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A file at a time to each process, and the end-to-end tests one after the other in a single one.

    They start Envoys, Prometheus and Chromium and count what users meet: two at once would measure each other.
    """
    for item in items:
        group = "e2e" if item.path.is_relative_to(END_TO_END) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
