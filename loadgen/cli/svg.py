"""Plots without a library: lines and bars as SVG, readable in any browser for as long as there are browsers."""

import math
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 12, 34
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # Okabe and Ito: for every eye


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One named line."""

    name: str
    points: list[tuple[float, float]]
    colour: int
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A range of values, and where on it something is."""

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Give a value's place between 0 and 1."""
        low, high, value = (math.log10(max(v, 1e-9)) if self.is_log else v for v in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[float]:
        """Give round numbers on it."""
        if self.is_log:
            first, last = math.floor(math.log10(max(self.low, 1e-9))), math.ceil(math.log10(max(self.high, 1e-9)))
            every = (digit * 10.0**power for power in range(first, last + 1) for digit in (1, 2, 5))
            return [value for value in every if self.low <= value <= self.high]
        step = 10 ** math.floor(math.log10(max(self.high - self.low, 1e-9)))
        step = step / 2 if (self.high - self.low) / step < 4 else step
        first = math.ceil(self.low / step)
        return [first * step + step * n for n in range(int((self.high - first * step) / step + 1e-9) + 1)]


def plot(lines: list[Line], x: Axis, y: Axis, x_told: dict[float, str], unit: str) -> str:
    """Draw lines over two axes; *x_told* names the ticks of the horizontal one."""
    drawn = [frame(x, y, x_told, unit)]
    for place, line in enumerate(lines):
        colour = COLOURS[line.colour % len(COLOURS)]
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        path = " ".join(f"{across(x, a):.1f},{down(y, b):.1f}" for a, b in line.points)
        drawn.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6"{dash} points="{path}"/>')
        drawn.append(f'<text x="{LEFT + 12}" y="{TOP + 14 + 15 * place}" fill="{colour}">{escape(line.name)}</text>')
    return svg(drawn)


def bars(values: list[tuple[float, float, float]], x: Axis, y: Axis, x_told: dict[float, str], unit: str) -> str:
    """Draw bars from one place to another."""
    drawn = [frame(x, y, x_told, unit)]
    for low, high, value in values:
        left, right = across(x, low), across(x, high)
        top = down(y, value)
        drawn.append(
            f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1):.1f}" '
            f'height="{HEIGHT - BOTTOM - top:.1f}" fill="{COLOURS[0]}"/>'
        )
    return svg(drawn)


def frame(x: Axis, y: Axis, x_told: dict[float, str], unit: str) -> str:
    """Draw the axes."""
    drawn = []
    for value in y.ticks():
        at = down(y, value)
        drawn.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>')
        drawn.append(f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:g}{unit}</text>')
    for value, name in x_told.items():
        drawn.append(f'<text x="{across(x, value):.1f}" y="{HEIGHT - 12}" text-anchor="middle">{escape(name)}</text>')
    return "".join(drawn)


def across(x: Axis, value: float) -> float:
    """Give a horizontal place."""
    return LEFT + x.place(value) * (WIDTH - LEFT - RIGHT)


def down(y: Axis, value: float) -> float:
    """Give a vertical place."""
    return HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM)


def svg(drawn: list[str]) -> str:
    """Wrap it up."""
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(drawn)}</svg>'
