from pathlib import Path

import pytest

from loadgen.transport import clock


def test_the_clock_does_not_run_backwards_and_knows_the_date() -> None:
    first = clock.now_ns()
    assert clock.now_ns() >= first
    assert clock.wall_s() > 1.7e9


@pytest.mark.parametrize(
    ("text", "times"), [("usage_usec 5\nnr_periods 9\nnr_throttled 4\n", 4), ("usage_usec 5\nodd\n", 0), (None, 0)]
)
def test_the_cgroup_says_how_often_it_stopped_us(
    text: str | None, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cpu.stat"
    if text is not None:
        file.write_text(text)
    monkeypatch.setattr(clock, "THROTTLE_FILE", file)
    assert clock.throttled() == times
