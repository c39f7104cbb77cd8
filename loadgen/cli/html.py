"""A report as one HTML page: no script, nothing fetched, readable in ten years and safe to mail."""

from datetime import UTC, datetime
from html import escape

from loadgen.cli.svg import Axis, Line, bars, plot
from loadgen.cli.text import told
from loadgen.core.histogram import Histogram, lower_edge_ns
from loadgen.core.report import Report
from loadgen.core.units import told_s

SPECTRUM = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)
BARS = 60
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 900px; margin: 2em auto; padding: 0 1em; color: #222 }
h1 { font-size: 1.3em } h2 { font-size: 1.05em; margin-top: 2em }
pre { background: #f6f6f6; padding: 1em; overflow-x: auto } svg { width: 100%; font: 11px system-ui, sans-serif }
table { border-collapse: collapse } td, th { padding: 2px 12px 2px 0; text-align: right }
th:first-child { text-align: left }
"""


def page(report: Report) -> str:
    """Write the page."""
    started = datetime.fromtimestamp(report.start_unix_s, UTC)
    url = escape(report.plan.targets[0].url)
    sections = [
        ("Summary", f"<pre>{escape(told(report))}</pre>"),
        ("Latency over time, by version: p50 and p99 (dashed)", over_time(report)),
        ("Percentiles: how slow the slowest are", spectrum(report)),
        ("Latency histogram", histogram(report)),
        ("What came back", outcomes(report)),
    ]
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>loadgen {url}</title><style>{STYLE}</style></head><body>"
        f"<h1>{url}</h1><p>{started:%Y-%m-%d %H:%M:%S} UTC, {report.duration_s:.1f} s, {report.workers} worker(s)</p>"
        f"{body}</body></html>\n"
    )


def versions_of(report: Report) -> list[str]:
    """Name the versions that answered, the nameless one last."""
    return sorted({cell.version for cell in report.cells if cell.latency}, key=lambda name: (not name, name))


def over_time(report: Report) -> str:
    """Plot p50 and p99 of every version over time."""
    lines = []
    for colour, version in enumerate(versions_of(report)):
        points = [point for point in report.points if point.version == version]
        name, p50 = version or "(none)", [(one.at_s, 1e3 * one.p50_s) for one in points]
        lines.append(Line(name=f"{name} p50", points=p50, colour=colour))
        p99 = [(one.at_s, 1e3 * one.p99_s) for one in points]
        lines.append(Line(name=f"{name} p99", points=p99, colour=colour, dashed=True))
    values = [value for line in lines for _, value in line.points]
    if not values:
        return "<p>no data</p>"
    x = Axis(low=0.0, high=max(point.at_s for point in report.points) or 1.0)
    y = Axis(low=max(min(values), 1e-3) * 0.9, high=max(values) * 1.1, is_log=True)
    return plot(lines, x, y, {tick: f"{tick:g}s" for tick in x.ticks()}, "ms")


def spectrum(report: Report) -> str:
    """Plot quantiles over 1 / (1 - share): each nine as wide as the one before."""
    lines = []
    for colour, version in enumerate(versions_of(report)):
        histogram = report.response(version=version)
        shares = [share for share in SPECTRUM if share <= 1 - 1 / max(histogram.count, 2)]
        found = zip(shares, histogram.quantiles_s(shares), strict=True)
        points = [(1 / (1 - share), 1e3 * value) for share, value in found if value is not None]
        lines.append(Line(name=version or "(none)", points=points, colour=colour))
    values = [value for line in lines for _, value in line.points]
    if not values:
        return "<p>no data</p>"
    x = Axis(low=1.0, high=max(at for line in lines for at, _ in line.points) * 1.05, is_log=True)
    told_x = {1 / (1 - share): f"p{100 * share:g}" for share in SPECTRUM if 1 / (1 - share) <= x.high and share}
    return plot(lines, x, Axis(low=0.0, high=max(values) * 1.1), told_x, "ms")


def histogram(report: Report) -> str:
    """Draw all response times in bars of equal ratio."""
    ordered = report.response().sparse()
    if not ordered:
        return "<p>no data</p>"
    low, high = max(lower_edge_ns(ordered[0][0]), 1) / 1e6, lower_edge_ns(ordered[-1][0] + 1) / 1e6
    x = Axis(low=low, high=high, is_log=True)
    counts = [0] * BARS
    for bucket, count in ordered:
        counts[min(int(x.place(max(lower_edge_ns(bucket), 1) / 1e6) * BARS), BARS - 1)] += count
    edges = [low * (high / low) ** (place / BARS) for place in range(BARS + 1)]
    values = [(edges[place], edges[place + 1], float(count)) for place, count in enumerate(counts) if count]
    return bars(values, x, Axis(low=0.0, high=max(counts) * 1.05), {tick: f"{tick:g}ms" for tick in x.ticks()}, "")


def outcomes(report: Report) -> str:
    """Tabulate versions, outcomes and statuses."""
    rows = [
        "<tr><th>version</th><th>arm</th><th>outcome</th><th>status</th><th>count</th><th>p50</th><th>p99</th></tr>"
    ]
    for cell in report.cells:
        times = Histogram(dict(cell.latency))
        p50, p99 = (told_s(value) for value in times.quantiles_s((0.5, 0.99)))
        names = f"<th>{escape(cell.version) or '(none)'}</th><td>{escape(cell.arm)}</td><td>{cell.outcome}</td>"
        rows.append(f"<tr>{names}<td>{cell.status or ''}</td><td>{cell.count:,}</td><td>{p50}</td><td>{p99}</td></tr>")
    return f"<table>{''.join(rows)}</table>"
