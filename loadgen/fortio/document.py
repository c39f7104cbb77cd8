"""fortio's JSON result, field by field in its order, so that `fortio report` opens it."""

import base64
import string
from datetime import UTC, datetime

from loadgen.fortio.go import duration
from loadgen.fortio.histogram import FortioHistogram
from loadgen.fortio.options import VERSION, Options
from loadgen.fortio.runner import Runner, Shape, histogram_of
from loadgen.fortio.text import CONNECT_DIVIDER, HEADER_DIVIDER, SIZE_DIVIDER, counts_of

ID_MAX = 96
IN_ID = frozenset(string.ascii_letters + string.digits + "-_")


def document(options: Options, shape: Shape, runner: Runner, start_unix_s: float) -> dict[str, object]:
    """Build the result."""
    latencies = [latency for thread in runner.threads for latency in thread.latencies]
    times = histogram_of([seconds for seconds, _ in latencies], options["r"], options["offset"])
    errors = histogram_of([seconds for seconds, good in latencies if not good], options["r"], options["offset"])
    started = datetime.fromtimestamp(start_unix_s, UTC)
    labels = options["labels"] or f"{options.url.partition('://')[2].partition('/')[0]}"
    return {
        "RunType": "HTTP",
        "Labels": labels,
        "StartTime": started.isoformat().replace("+00:00", "Z"),
        "RequestedQPS": f"{shape.qps:.9g}" if shape.qps else "max",
        "RequestedDuration": requested(options, runner),
        "ActualQPS": len(latencies) / (runner.duration_ns / 1e9),
        "ActualDuration": runner.duration_ns,
        "NumThreads": shape.threads,
        "Version": VERSION,
        "DurationHistogram": exported(times, options.percentiles),
        "ErrorsDurationHistogram": exported(errors, options.percentiles),
        "Exactly": options["n"],
        "Jitter": options["jitter"],
        "Uniform": options["uniform"],
        "NoCatchUp": options["nocatchup"],
        "RunID": options["runid"],
        "AccessLoggerInfo": "",
        "ID": identity(started, options["runid"], labels),
        "RetCodes": {str(code): count for code, count in sorted(counts_of(runner).items())},
        "IPCountMap": addresses(runner),
        **client(options),
        "Sizes": exported(sizes_of(runner, total=True), None),
        "HeaderSizes": exported(sizes_of(runner, total=False), None),
        "Sockets": [len(thread.addresses) for thread in runner.threads],
        "SocketCount": sum(len(thread.addresses) for thread in runner.threads),
        "ConnectionStats": exported(
            histogram_of([took for thread in runner.threads for took in thread.connects], CONNECT_DIVIDER), None
        ),
        "AbortOn": options["abort-on"],
    }


def client(options: Options) -> dict[str, object]:
    """Tell how the requests were made."""
    target = options.target
    return {
        "Insecure": not options.plan.tls.verify,
        "MTLS": False,
        "CACert": options["cacert"],
        "Cert": options["cert"],
        "Key": options["key"],
        "UnixDomainSocket": options["unix-socket"],
        "URL": options.url,
        "NumConnections": 1,
        "Compression": options["compression"],
        "DisableFastClient": options["stdclient"],
        "HTTP10": False,
        "H2": False,
        "DisableKeepAlive": not options["keepalive"],
        "AllowHalfClose": False,
        "FollowRedirects": False,
        "Resolve": options["resolve"],
        "HTTPReqTimeOut": round(options.plan.timeout_s * 1e9),
        "UserCredentials": options["user"],
        "ContentType": options["content-type"],
        "Payload": base64.b64encode(target.body).decode("ascii") if target.body else None,
        "MethodOverride": options["X"],
        "LogErrors": options["log-errors"],
        "SequentialWarmup": options["sequential-warmup"],
        "ConnReuseRange": list(options.reuse),
        "NoResolveEachConn": options["no-reresolve"],
        "Offset": round(options["offset"] * 1e9),
        "Resolution": options["r"],
    }


def requested(options: Options, runner: Runner) -> str:
    """Say how long it was asked to run."""
    if options["n"]:
        asked = f"exactly {options['n']} calls"
    else:
        asked = duration(round(options["t"] * 1e9)) if options["t"] else "until stop"
    made = sum(thread.calls for thread in runner.threads)
    return f"{asked}, interrupted after {made}" if runner.stopped.is_set() else asked


def exported(values: FortioHistogram, percentiles: tuple[float, ...] | None) -> dict[str, object]:
    """Write a histogram; without data its rows are null."""
    data = [{"Start": row.start, "End": row.end, "Percent": row.percent, "Count": row.count} for row in values.rows()]
    found = [{"Percentile": percent, "Value": values.percentile(percent)} for percent in percentiles or ()]
    return {
        "Count": values.count,
        "Min": values.min,
        "Max": values.max,
        "Sum": values.sum,
        "Avg": values.average,
        "StdDev": values.deviation,
        "Data": data or None,
        "Percentiles": found if values.count and found else None,
    }


def sizes_of(runner: Runner, *, total: bool) -> FortioHistogram:
    """Count the responses' sizes, or those of their heads."""
    sizes = [float(size) for thread in runner.threads for size in (thread.sizes if total else thread.header_sizes)]
    return histogram_of(sizes, SIZE_DIVIDER if total else HEADER_DIVIDER)


def addresses(runner: Runner) -> dict[str, int]:
    """Count the connections to each address."""
    counts: dict[str, int] = {}
    for thread in runner.threads:
        for address in thread.addresses:
            counts[address] = counts.get(address, 0) + 1
    return counts


def identity(started: datetime, run: int, labels: str) -> str:
    """Name a result as fortio names its files: when, which run, and what of the labels a file name can hold."""
    words = "".join(char if char in IN_ID else "_" for char in labels)
    number = f"_{run}" if run else ""
    return f"{started:%Y-%m-%d-%H%M%S}{number}_{words}"[:ID_MAX]
