"""A line chart as SVG, for the pictures in docs/images: no library draws it, and any browser shows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 70, 150, 50, 50
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#57606a")


@dataclass(frozen=True)
class Line:
    """`points` are (x, y), in order of x."""

    name: str
    points: Sequence[tuple[float, float]]


def _ticks(most: float) -> list[float]:
    """Round steps from 0 to at least `most`, four to eight of them."""
    if most <= 0:
        return [0.0, 1.0]
    step = 10 ** math.floor(math.log10(most))
    while most / step > 8:
        step *= 2
    while most / step < 4:
        step /= 2
    return [n * step for n in range(math.ceil(most / step) + 1)]


def _number(value: float) -> str:
    return f"{value:g}"


def line_chart(title: str, across: str, up: str, lines: Sequence[Line], limit: tuple[str, float] | None = None) -> str:
    """The SVG text. `across` and `up` name the axes with their units; `limit` is a dashed line at a height."""
    xs = _ticks(max(x for line in lines for x, _ in line.points))
    ys = _ticks(max([y for line in lines for _, y in line.points] + ([limit[1]] if limit else [])))

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(LEFT + x / xs[-1] * (WIDTH - LEFT - RIGHT), 1),
            round(HEIGHT - BOTTOM - y / ys[-1] * (HEIGHT - TOP - BOTTOM), 1),
        )

    def text(x: float, y: float, words: str, anchor: str = "middle", extra: str = "") -> str:
        return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{extra}>{escape(words)}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="12" fill="#24292f" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        text(LEFT, 26, title, "start", ' font-size="15" font-weight="600"'),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across),
        text(0, 0, up, "middle", f' transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"'),
    ]
    for y in ys:
        (x1, at), (x2, _) = place(0, y), place(xs[-1], y)
        parts.append(f'<line x1="{x1}" y1="{at}" x2="{x2}" y2="{at}" stroke="#d0d7de"/>')
        parts.append(text(x1 - 8, at + 4, _number(y), "end"))
    for x in xs:
        at, y0 = place(x, 0)
        parts.append(text(at, y0 + 18, _number(x)))
    if limit:
        (x1, at), (x2, _) = place(0, limit[1]), place(xs[-1], limit[1])
        parts.append(f'<line x1="{x1}" y1="{at}" x2="{x2}" y2="{at}" stroke="#57606a" stroke-dasharray="5 4"/>')
        parts.append(text(x2 + 6, at + 4, limit[0], "start"))
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        spots = [place(x, y) for x, y in line.points]
        path = " ".join(f"{x},{y}" for x, y in spots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in spots]
        x, y = spots[-1]
        parts.append(text(x + 8, y - 6, line.name, "start", f' fill="{colour}" font-weight="600"'))
    return "\n".join([*parts, "</svg>", ""])
