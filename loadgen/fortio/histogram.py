"""fortio's histogram: 56 hand-picked bucket bounds times a divider, and linear interpolation within them.

Kept exactly, so that the same latencies give the same percentiles as fortio prints. Intervals are ]previous, bound].
"""

import bisect
import math
from dataclasses import dataclass, field

BOUNDS: tuple[int, ...] = (
    *range(13),
    *(14, 16, 18, 20),
    *range(25, 51, 5),
    *range(60, 101, 10),
    *range(120, 201, 20),
    *range(250, 501, 50),
    *range(600, 1001, 100),
    *(2000, 3000, 4000, 5000, 7500, 10_000),
    *range(20_000, 50_001, 10_000),
    *(75_000, 100_000),
)
EPSILON = 1e-12  # a value on a bound belongs to the bucket below it, whatever the rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A bucket that is not empty."""

    start: float
    end: float
    percent: float  # cumulative
    count: int


@dataclass(slots=True)
class FortioHistogram:
    """Counts, and the moments of what was counted."""

    divider: float
    offset: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)
    count: int = 0
    sum: float = 0.0
    squares: float = 0.0
    min: float = 0.0
    max: float = 0.0

    def record(self, value: float) -> None:
        """Count a value."""
        self.min = value if not self.count else min(self.min, value)
        self.max = value if not self.count else max(self.max, value)
        self.count += 1
        self.sum += value
        self.squares += value * value
        scaled = (value - self.offset) / self.divider
        bucket = bisect.bisect_left(BOUNDS, scaled - EPSILON * max(1.0, abs(scaled)))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    @property
    def average(self) -> float:
        """The mean, 0 without data."""
        return self.sum / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """The deviation of the population."""
        if not self.count:
            return 0.0
        return math.sqrt(max(0.0, self.squares / self.count - self.average**2))

    def rows(self) -> list[Row]:
        """Give the buckets that are not empty; the first begins at the minimum, the last ends at the maximum."""
        rows: list[Row] = []
        passed = 0
        used = sorted(self.counts)
        for bucket in used:
            passed += self.counts[bucket]
            start = self._bound(bucket - 1) if bucket != used[0] else self.min
            end = self._bound(bucket) if bucket != used[-1] else self.max
            rows.append(Row(start=start, end=end, percent=100 * passed / self.count, count=self.counts[bucket]))
        return rows

    def _bound(self, bucket: int) -> float:
        return BOUNDS[bucket] * self.divider + self.offset

    def percentile(self, percent: float) -> float:
        """Interpolate as fortio does; 0 without data."""
        if not self.count:
            return 0.0
        before = 100 / self.count
        if percent <= before:
            return self.min
        for row in self.rows():
            if percent <= row.percent:
                if row.percent <= before:
                    return row.end
                return row.start + (percent - before) / (row.percent - before) * (row.end - row.start)
            before = row.percent
        return self.max
