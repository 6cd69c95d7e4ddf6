"""Distributions as SVG that stands in a page: degrees, and interactions over time."""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

import numpy as np

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 54, 24, 12, 38
BARS = 40
FIRST_CLOCK = 1e8  # seconds since 1970: below are numbers of rows, no times


def degrees(counts: Mapping[str, np.ndarray]) -> str:
    """The share of users and of items with at least n interactions, both axes logarithmic."""
    most = max(int(count.max()) for count in counts.values())
    least = min(1 / len(count) for count in counts.values())
    right, down = max(1, np.ceil(np.log10(max(most, 1)))), min(-1, np.floor(np.log10(least)))
    lines, legend = [], []
    for number, (what, count) in enumerate(counts.items()):
        degree = np.unique(count[count > 0])
        share = (len(count) - np.searchsorted(np.sort(count), degree)) / len(count)
        x = _scaled(np.log10(degree), 0, right, LEFT, WIDTH - RIGHT)
        y = _scaled(np.log10(share), down, 0, HEIGHT - BOTTOM, TOP)
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
        lines.append(f'<polyline class="line{number}" points="{points}"/>')
        legend.append(
            f'<text class="of{number}" x="{LEFT + 10}" y="{HEIGHT - BOTTOM - 26 + 15 * number}">'
            f"{len(count):,} {what}s</text>"
        )
    x_ticks = [(10**n, f"{10**n:,}") for n in range(int(right) + 1)]
    y_ticks = [(10.0**n, f"{100 * 10.0**n:g} %") for n in range(int(down), 1)]
    marks = [
        *(_down(_scaled(np.log10(value), 0, right, LEFT, WIDTH - RIGHT), text) for value, text in x_ticks),
        *(_across(_scaled(np.log10(value), down, 0, HEIGHT - BOTTOM, TOP), text) for value, text in y_ticks),
    ]
    label = "interactions n of a user or item; share with at least n"
    return _svg("Degrees of users and items", [*marks, *lines, *legend, _below(label)])


def times(seconds: np.ndarray | None) -> str:
    """Interactions per stretch of time, "" where there are no times."""
    if seconds is None or not len(seconds) or float(np.max(seconds)) < FIRST_CLOCK:
        return ""
    first, last = float(np.min(seconds)), float(np.max(seconds))
    count, edges = np.histogram(seconds, BARS, (first, last if last > first else first + 1))
    top = max(1, int(count.max()))
    x = _scaled(edges, edges[0], edges[-1], LEFT, WIDTH - RIGHT)
    y = _scaled(count, 0, top, HEIGHT - BOTTOM, TOP)
    bars = [
        f'<rect class="fill" x="{a:.1f}" y="{b:.1f}" width="{max(0.5, c - a - 0.6):.1f}" '
        f'height="{HEIGHT - BOTTOM - b:.1f}"/>'
        for a, b, c in zip(x[:-1], y, x[1:], strict=True)
    ]
    moments = [edges[0], (edges[0] + edges[-1]) / 2, edges[-1]]
    places = zip((LEFT, (LEFT + WIDTH - RIGHT) / 2, WIDTH - RIGHT), ("start", "middle", "end"), strict=True)
    marks = [
        _down(place, _day(moment), anchor) for (place, anchor), moment in zip(places, moments, strict=True)
    ]
    marks += [_across(_scaled(value, 0, top, HEIGHT - BOTTOM, TOP), f"{value:,}") for value in _ticks(top)]
    days = (edges[1] - edges[0]) / 86400
    return _svg("Interactions over time", [*marks, *bars, _below(f"interactions per {days:,.3g} days (UTC)")])


def _ticks(top: int) -> list[int]:
    """At most seven round numbers from 0 to `top`, one step of which would pass it."""
    whole = 10 ** int(np.log10(top))
    step = next(step for step in (whole // 5, whole // 2, whole, 2 * whole) if step and top // step <= 6)
    return [*range(0, top + 1, step)]


def _scaled(value: np.ndarray | float, low: float, high: float, start: float, end: float) -> np.ndarray:
    return start + (np.asarray(value, dtype=float) - low) / (high - low) * (end - start)


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.0f} s"


def _down(x: float | np.ndarray, text: str, anchor: str = "middle") -> str:
    return (
        f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="{anchor}">{html.escape(text)}</text>'
    )


def _across(y: float | np.ndarray, text: str) -> str:
    return (
        f'<line class="tick" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">{html.escape(text)}</text>'
    )


def _below(text: str) -> str:
    x = (LEFT + WIDTH - RIGHT) / 2
    return f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(text)}</text>'


def _svg(title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
        f"{''.join(parts)}</svg>"
    )
