"""Charts as SVG, without script or inline style; each says in words what it shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

from markupsafe import Markup

_HEIGHT = 140
_WIDTH = 560
_LEFT = 36
_BOTTOM = 20
_WORDS = ("added", "changed", "deleted")


def changes(days: Sequence[tuple[dt.date, Mapping[str, int]]]) -> Markup:
    """Draw what changed per day, oldest first, as stacked bars."""
    most = max((sum(counts.values()) for _, counts in days), default=0)
    scale = _nice(most)
    inner = _HEIGHT - _BOTTOM - 8
    step = (_WIDTH - _LEFT) / max(len(days), 1)
    parts = [Markup("")]
    for share in (0.0, 0.5, 1.0):
        y = 8 + inner * (1 - share)
        parts.append(
            Markup('<line class="axis" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>').format(
                _LEFT, _WIDTH, y, y
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
                    x + step / 2, _HEIGHT - 4, f"{day:%d %b}"
                )
            )
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDTH, _HEIGHT, _said_of(days), Markup("").join(parts))


def kinds(counts: Sequence[tuple[str, int]]) -> Markup:
    """Draw how many objects each kind has, as bars beside their names, the largest first."""
    most = max((count for _, count in counts), default=0) or 1
    line, left = 24, 190
    parts = []
    for index, (name, count) in enumerate(counts):
        y = index * line
        width = max(2.0, (_WIDTH - left - 70) * count / most)
        parts.append(
            Markup('<text x="{}" y="{}" text-anchor="end">{}</text><rect class="bar" x="{}" y="{}"'
                   ' width="{:.1f}" height="12" rx="2"/><text x="{:.1f}" y="{}">{}</text>').format(
                left - 8, y + 16, name if len(name) < 32 else name[:30] + "…", left, y + 6, width,
                left + width + 6, y + 16, f"{count:,}",
            )
        )  # fmt: skip
    said = "Objects per kind: " + ", ".join(f"{name} {count:,}" for name, count in counts)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(_WIDTH, max(line, line * len(counts)), said, Markup("").join(parts))


def _said_of(days: Sequence[tuple[dt.date, Mapping[str, int]]]) -> str:
    totals = {word: sum(counts.get(word, 0) for _, counts in days) for word in _WORDS}
    said = ", ".join(f"{count:,} {word}" for word, count in totals.items())
    return f"Changes per day, the last {len(days)} days: {said}"


def _nice(most: int) -> float:
    """Return a round number at or above ``most``, and at least 2, for the scale's end."""
    scale = 1.0
    while scale < max(most, 2):
        for factor in (1, 2, 5, 10):
            if scale * factor >= max(most, 2):
                return scale * factor
        scale *= 10
    return scale


def _short(value: float) -> str:
    if value >= 1_000_000:
        return f"{value / 1_000_000:g}M"
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
