"""What fortio prints, line by line: to stderr, and less of it the quieter it is asked to be."""

import itertools
from collections.abc import Iterator

from loadgen.fortio.go import duration, shortest
from loadgen.fortio.histogram import FortioHistogram
from loadgen.fortio.options import ERROR, INFO, VERSION, Options
from loadgen.fortio.runner import Runner, Shape, histogram_of

LATE_SHARE = 0.05  # of the sleeps: more that were negative, and fortio warns
SIZE_DIVIDER, HEADER_DIVIDER = 100.0, 5.0
CONNECT_DIVIDER = 0.001


def beginning(options: Options, shape: Shape, processors: int) -> Iterator[str]:
    """Say what is going to happen."""
    if options.level >= ERROR:
        return
    asked = f"{options['n']} calls" if options["n"] else duration_of(options["t"])
    qps, procs = shortest(shape.qps), f"{processors}->{processors} procs"
    yield f"Fortio {VERSION} running at {qps} queries per second, {procs}, for {asked}: {options.url}"
    threads = f"with {shape.threads} thread(s) [gomax {processors}] for {exactly(options, shape)}"
    yield f"Starting at {qps if shape.qps else 'max'} qps {threads}"


def exactly(options: Options, shape: Shape) -> str:
    """Say how many calls each thread makes."""
    if not options["n"]:
        total = sum(shape.calls)
        each = f" : {shape.calls[-1]} calls each (total {total})" if total else ""
        return duration_of(options["t"]) + each
    share, rest = divmod(options["n"], shape.threads)
    return f"exactly {options['n']} calls ({share} per thread + {rest})"


def duration_of(seconds: float) -> str:
    """Write a flag's duration; none means until somebody stops it."""
    return duration(round(seconds * 1e9)) if seconds else "until stop"


def result(options: Options, runner: Runner) -> Iterator[str]:
    """Say what came of it."""
    is_quiet = options.level >= ERROR
    latencies = [latency for thread in runner.threads for latency in thread.latencies]
    calls = len(latencies)
    qps = calls / (runner.duration_ns / 1e9)
    if not is_quiet:
        yield f"Ended after {duration(runner.duration_ns)} : {calls} calls. qps={qps:.5g}"
    yield from sleeps(runner)
    times = histogram_of([seconds for seconds, _ in latencies], options["r"], options["offset"])
    yield from histogram("Aggregated Function Time", times, rows=not is_quiet)
    yield from targets(times, options.percentiles)
    errors = histogram_of([seconds for seconds, good in latencies if not good], options["r"], options["offset"])
    if errors.count:
        yield from histogram("Error cases", errors, rows=not is_quiet)
    else:
        yield "Error cases : no data"
    yield from sockets(options, runner)
    yield from codes(runner, calls)
    if not is_quiet:
        headers = [float(size) for thread in runner.threads for size in thread.header_sizes]
        sizes = [float(size) for thread in runner.threads for size in thread.sizes]
        yield from histogram("Response Header Sizes", histogram_of(headers, HEADER_DIVIDER), rows=False)
        yield from histogram("Response Body/Total Sizes", histogram_of(sizes, SIZE_DIVIDER), rows=False)
    yield f"All done {calls} calls (plus {runner.warmed} warmup) {1000 * times.average:.3f} ms avg, {qps:.1f} qps"


def sleeps(runner: Runner) -> Iterator[str]:
    """Warn when the threads could not keep up."""
    found = [sleep for thread in runner.threads for sleep in thread.sleeps]
    late = sum(sleep < 0 for sleep in found)
    if found and late > LATE_SHARE * len(found):
        yield from histogram("Sleep times", histogram_of(found, 0.001), rows=True)
        yield f"WARNING {100 * late / len(found):.2f}% of sleep were falling behind"


def histogram(name: str, values: FortioHistogram, *, rows: bool) -> Iterator[str]:
    """Write the moments, and a row for each bucket."""
    yield (
        f"{name} : count {values.count} avg {values.average:.8g} +/- {values.deviation:.4g} "
        f"min {shortest(values.min)} max {shortest(values.max)} sum {values.sum:.9g}"
    )
    if not rows:
        return
    yield "# range, mid point, percentile, count"
    for place, row in enumerate(values.rows()):
        sign = ">" if place else ">="
        middle = (row.start + row.end) / 2
        yield f"{sign} {row.start:.6g} <= {row.end:.6g} , {middle:.6g} , {row.percent:.2f}, {row.count}"


def targets(values: FortioHistogram, percentiles: tuple[float, ...]) -> Iterator[str]:
    """Write the percentiles asked for."""
    for percent in percentiles:
        yield f"# target {shortest(percent)}% {values.percentile(percent):.6g}"


def sockets(options: Options, runner: Runner) -> Iterator[str]:
    """Write which connections there were."""
    yield "# Socket and IP used for each connection:"
    for thread in runner.threads:
        used = {address: len(list(same)) for address, same in itertools.groupby(sorted(thread.addresses))}
        resolved = next(iter(used), "")
        if len(used) > 1:
            resolved = "[" + ", ".join(f"{address} ({count})" for address, count in used.items()) + "]"
        (timing,) = histogram("connection timing", histogram_of(thread.connects, CONNECT_DIVIDER), rows=False)
        yield f"[{thread.index}] {len(thread.addresses):3d} socket used, resolved to {resolved}, {timing}"
    connects = histogram_of([took for thread in runner.threads for took in thread.connects], CONNECT_DIVIDER)
    if options.level <= INFO:
        yield from histogram("Connection time histogram (s)", connects, rows=True)
    else:
        yield from histogram("Connection time (s)", connects, rows=False)
    total = sum(len(thread.addresses) for thread in runner.threads)
    yield f"Sockets used: {total} (for perfect keepalive, would be {len(runner.threads)})"
    flags = (options["uniform"], options["jitter"], not options["nocatchup"])
    yield "Uniform: {}, Jitter: {}, Catchup allowed: {}".format(*(str(flag).lower() for flag in flags))
    yield "IP addresses distribution:"
    every = sorted(address for thread in runner.threads for address in thread.addresses)
    for address, same in itertools.groupby(every):
        yield f"{address}: {len(list(same))}"


def codes(runner: Runner, calls: int) -> Iterator[str]:
    """Write how often each code came: `Code 200 : 16 (80.0 %)`."""
    for code, count in sorted(counts_of(runner).items()):
        yield f"Code {code:3d} : {count} ({100 * count / calls:.1f} %)"


def counts_of(runner: Runner) -> dict[int, int]:
    """Add the threads' codes up."""
    counts: dict[int, int] = {}
    for thread in runner.threads:
        for code, count in thread.codes.items():
            counts[code] = counts.get(code, 0) + count
    return counts
