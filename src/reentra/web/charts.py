"""Charts as SVG, without script or inline style; each says in words what it shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from markupsafe import Markup

_HEIGHT = 200
_WIDTH = 560
_LEFT = 36
_BOTTOM = 20
_HALF_DATE = 20  # of the last day's name, which stays inside
_WORDS = ("added", "changed", "deleted")


def changes(days: Sequence[tuple[dt.date, Mapping[str, int]]], width: int = _WIDTH) -> Markup:
    """Draw what changed per day, oldest first, as stacked bars."""
    most = max((sum(counts.values()) for _, counts in days), default=0)
    scale = _nice(most)
    inner = _HEIGHT - _BOTTOM - 8
    step = (width - _LEFT) / max(len(days), 1)
    parts = [Markup("")]
    for share in (0.0, 0.5, 1.0):
        y = 8 + inner * (1 - share)
        parts.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                _LEFT, width, y, y
            )
        )
        parts.append(
            Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
                _LEFT - 6, y + 4, _short(scale * share)
            )
        )
    every = max(1, -(-len(days) // 7))
    for index, (day, counts) in enumerate(days):
        x, base = _LEFT + step * index, 8.0 + inner
        said = ", ".join(f"{counts.get(word, 0):,} {word}" for word in _WORDS)
        bars = [Markup("<title>{}: {}</title>").format(f"{day:%d %b %Y}", said)]
        for word in _WORDS:
            height = inner * counts.get(word, 0) / scale
            base -= height
            if height > 0:
                bars.append(
                    Markup('<rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"'
                           ' rx="1.5"/>').format(word, x + step * 0.14, base, step * 0.72, height)
                )  # fmt: skip
        parts.append(Markup("<g>{}</g>").format(Markup("").join(bars)))
        if (len(days) - 1 - index) % every == 0:
            parts.append(
                Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                    min(x + step / 2, width - _HALF_DATE), _HEIGHT - 4, f"{day:%d %b}"
                )
            )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(width, _HEIGHT, _said_of(days), Markup("").join(parts))


def kinds(counts: Sequence[tuple[str, int, str]]) -> Markup:
    """Draw how many objects each kind has: title, number and address, the largest first.

    The words are text of the page and keep their size on a narrow screen; only bars are drawn.
    """
    most = max((count for _, count, _ in counts), default=0) or 1
    lines = [
        Markup(
            '<li><a href="{}">{}</a><svg viewBox="0 0 100 12" preserveAspectRatio="none"'
            ' aria-hidden="true"><rect class="bar" width="{:.2f}" height="12"/></svg>'
            "<span>{}</span></li>"
        ).format(address, name, max(0.5, 100 * count / most), f"{count:,}")
        for name, count, address in counts
    ]
    return Markup('<ul class="bars">{}</ul>').format(Markup("").join(lines))


def _said_of(days: Sequence[tuple[dt.date, Mapping[str, int]]]) -> str:
    totals = {word: sum(counts.get(word, 0) for _, counts in days) for word in _WORDS}
    said = ", ".join(f"{count:,} {word}" for word, count in totals.items())
    return f"Changes per day, the last {len(days)} days: {said}"


def _nice(most: int) -> int:
    """Return a round, even number at or above ``most``: the scale's end, whose half is whole."""
    tens = 1
    while True:
        for factor in (2, 4, 6, 10):
            if factor * tens >= most:
                return factor * tens
        tens *= 10


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
