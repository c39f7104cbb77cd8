"""How long things took: a log-linear histogram in whole nanoseconds.

A bucket index keeps the ten highest bits of the value, so every bucket is at most 1/512 of its value wide and its
middle is at most 0.098 % away from anything inside, from 1 ns to hours. Buckets are sparse (a dictionary), so memory is
bounded by the buckets in use (< 18,000 up to an hour), merging is addition, and a merge of k workers equals one.

The generator's inner loop writes `bucket_of` out by hand; a test holds the two together.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

PRECISION_BITS = 10
HALF = 1 << (PRECISION_BITS - 1)  # 512 buckets for each doubling
NS = 1_000_000_000

Sparse = list[tuple[int, int]]  # [bucket, count], ascending


def bucket_of(value_ns: int) -> int:
    """Give the bucket that a duration falls into."""
    shift = value_ns.bit_length() - PRECISION_BITS
    return (shift << 9) + (value_ns >> shift) if shift > 0 else value_ns


def lower_edge_ns(bucket: int) -> int:
    """Give the smallest duration in a bucket."""
    if bucket < 2 * HALF:
        return bucket
    shift = (bucket >> 9) - 1
    return (bucket - (shift << 9)) << shift


def upper_edge_s(bucket: int) -> float:
    """Give the bucket's exclusive upper edge in seconds: everything in it took less."""
    return lower_edge_ns(bucket + 1) / NS


def middle_s(bucket: int) -> float:
    """Give the value that stands for a bucket, in seconds."""
    return (lower_edge_ns(bucket) + lower_edge_ns(bucket + 1) - 1) / 2 / NS


@dataclass(slots=True)
class Histogram:
    """Counts by bucket. The one noun here that changes: it is what the run adds to."""

    counts: dict[int, int] = field(default_factory=dict)

    def record(self, value_ns: int) -> None:
        """Count one duration; one that a clock ran backwards for counts as nothing."""
        bucket = bucket_of(max(value_ns, 0))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def add(self, sparse: Iterable[tuple[int, int]]) -> None:
        """Merge counts, exactly."""
        counts = self.counts
        before = counts.get
        for bucket, count in sparse:
            counts[bucket] = before(bucket, 0) + count

    def sparse(self) -> Sparse:
        """Give the counts in ascending order of bucket."""
        return sorted(self.counts.items())

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return sum(self.counts.values())

    def quantile_s(self, q: float) -> float | None:
        """Give the smallest value that a share *q* does not exceed, None without data."""
        return self.quantiles_s((q,))[0]

    def quantiles_s(self, shares: Iterable[float]) -> list[float | None]:
        """Give several quantiles in one pass over the sorted buckets."""
        ordered = self.sparse()
        total = sum(count for _, count in ordered)
        return [quantile_of(ordered, total, share) for share in shares]

    def mean_s(self) -> float | None:
        """Give the mean of the buckets' middles."""
        total = self.count
        return sum(middle_s(bucket) * count for bucket, count in self.counts.items()) / total if total else None

    def deviation_s(self) -> float | None:
        """Give the standard deviation of the buckets' middles."""
        mean = self.mean_s()
        if mean is None:
            return None
        spread = sum((middle_s(bucket) - mean) ** 2 * count for bucket, count in self.counts.items())
        return float((spread / self.count) ** 0.5)

    def min_s(self) -> float | None:
        """Give the lower edge of the lowest bucket in use."""
        return lower_edge_ns(min(self.counts)) / NS if self.counts else None

    def max_s(self) -> float | None:
        """Give the middle of the highest bucket in use."""
        return middle_s(max(self.counts)) if self.counts else None

    def share_above(self, limit_s: float) -> float | None:
        """Give the share of durations above a limit (whole buckets: the one the limit is in counts as below)."""
        total = self.count
        limit = bucket_of(round(limit_s * NS))
        return sum(count for bucket, count in self.counts.items() if bucket > limit) / total if total else None


def quantile_of(ordered: Sparse, total: int, share: float) -> float | None:
    """Walk the sorted buckets until the share is reached."""
    if not total:
        return None
    needed = share * total
    passed = 0
    for bucket, count in ordered:
        passed += count
        if passed >= needed:
            return middle_s(bucket)
    return middle_s(ordered[-1][0])


def merged(histograms: Iterable[Mapping[int, int]]) -> Histogram:
    """Add many into one."""
    result = Histogram()
    for counts in histograms:
        result.add(counts.items())
    return result
