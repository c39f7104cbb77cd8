"""How simulated rollouts end, as a picture: one SVG, or one HTML page around it. No script, no font, no other file."""

from collections.abc import Sequence
from html import escape
from math import ceil, log10

from rollout.core.quantities import format_duration
from rollout.core.simulation import End, Ending

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 60, 150, 56, 50
# Okabe and Ito's colours, which colour-blind people tell apart; the dashes are for those who print in grey
LINES = {
    End.PROMOTED: ("#009e73", ""),
    End.ROLLED_BACK: ("#d55e00", "8 3"),
    End.TIMED_OUT: ("#0072b2", "2 3"),
    End.HELD: ("#cc79a7", "8 3 2 3"),
}
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:currentColor}.axis{stroke:currentColor;stroke-width:1}"
    ".grid{stroke:currentColor;stroke-opacity:.15}.end{fill:none;stroke-width:2.5}"
)


def drawn(endings: Sequence[Ending], *, title: str, is_page: bool) -> str:
    """Cumulative shares over time, one line per end."""
    picture = _picture(endings, title)
    if not is_page:
        alone = picture.replace("<svg ", '<svg color="#222" ', 1)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{alone}\n'
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        "<style>body{margin:2em;color:#222;background:#fff}"
        "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}}</style></head>\n"
        f"<body>\n{picture}\n</body></html>\n"
    )


def _picture(endings: Sequence[Ending], title: str) -> str:
    last_s = max(1.0, *(ending.decided_s for ending in endings))
    step_s = _nice(last_s / 5)
    right_s = step_s * ceil(last_s / step_s)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<text x="{LEFT}" y="24">{escape(title)}</text>',
        *_axes(step_s, right_s),
    ]
    label_below = float(HEIGHT)
    for end, (colour, dashes) in sorted(LINES.items(), key=lambda line: sum(one.end is line[0] for one in endings)):
        times = sorted(ending.decided_s for ending in endings if ending.end is end)
        if times:
            points = _steps(times, len(endings), right_s)
            parts.append(f'<polyline class="end" stroke="{colour}" stroke-dasharray="{dashes}" points="{points}"/>')
            at = label_below = min(_y(len(times) / len(endings)) + 4, label_below - 16)  # labels do not overlap
            words = f"{end} {len(times) / len(endings):.0%}"
            parts.append(f'<text x="{WIDTH - RIGHT + 8}" y="{at:.1f}" style="fill:{colour}">{words}</text>')
    return "\n".join([*parts, "</svg>"])


def _axes(step_s: float, right_s: float) -> list[str]:
    parts = []
    for percent in (0, 25, 50, 75, 100):
        y = _y(percent / 100)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{percent}%</text>')
    for tick in range(round(right_s / step_s) + 1):
        x = _x(tick * step_s, right_s)
        label = format_duration(round(tick * step_s, 3))
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{label}</text>')
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    parts.append(
        f'<text x="{LEFT}" y="{HEIGHT - 10}">time to the decision; share of the rollouts that have ended so</text>'
    )
    return parts


def _steps(times: Sequence[float], runs: int, right_s: float) -> str:
    """A staircase: up at each end, level in between."""
    points, reached = [(0.0, 0.0)], 0.0
    for count, time_s in enumerate(times, 1):
        points += [(time_s, reached), (time_s, count / runs)]
        reached = count / runs
    return " ".join(f"{_x(time_s, right_s):.1f},{_y(share):.1f}" for time_s, share in (*points, (right_s, reached)))


def _x(time_s: float, right_s: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * time_s / right_s


def _y(share: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share


def _nice(rough_s: float) -> float:
    """The next number that people count in: seconds, then minutes and hours."""
    for nice in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200):
        if rough_s <= nice:
            return nice
    return 86400.0 * 10.0 ** ceil(log10(rough_s / 86400.0))
