"""Writing a laid-out graph as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from .layout import Layout, place

__all__ = ["as_svg"]

_HEIGHT, _BETWEEN, _MARGIN = 38.0, 34.0, 16.0  # of a box, from layer to layer, around it all
_LETTER = 7.0  # how wide a letter of 12 pixels is, on average
_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w:.0f} {h:.0f}" \
width="{w:.0f}" height="{h:.0f}" font-family="Helvetica, Arial, sans-serif" text-anchor="middle">
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" \
orient="auto"><path d="M0 0.5 L8 4 L0 7.5 z" fill="#7b8794"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>"""


def as_svg(boxes: Sequence[Any], edges: Sequence[tuple[int, int]]) -> str:
    """The picture of boxes (kind, title, detail, color), data at the top and the result below."""
    widths = [max(len(box.title), len(box.detail)) * _LETTER + 20 for box in boxes]
    layout = place(widths, edges)
    left = min(x - width / 2 for x, width in zip(layout.x, widths, strict=True))
    left = min([left, *(x for way in layout.ways for x, _ in way)]) - _MARGIN
    right = max(x + width / 2 for x, width in zip(layout.x, widths, strict=True))
    right = max([right, *(x for way in layout.ways for x, _ in way)]) + _MARGIN
    height = _top(max(layout.layer)) + _HEIGHT + _MARGIN
    lines = [_HEAD.format(w=right - left, h=height), f'<g transform="translate({-left:.1f} 0)">']
    lines += [
        _edge(layout, a, b, way) for (a, b), way in zip(edges, layout.ways, strict=True)
    ]  # boxes come after them, on top
    lines += [
        _box(box, x, _top(layer), width)
        for box, x, layer, width in zip(boxes, layout.x, layout.layer, widths, strict=True)
    ]
    return "\n".join([*lines, "</g>", "</svg>\n"])


def _top(layer: int) -> float:
    return _MARGIN + layer * (_HEIGHT + _BETWEEN)


def _box(box: Any, x: float, y: float, width: float) -> str:
    bold = ' font-weight="bold"' if box.kind in ("operation", "result") else ""
    corner = 6 if box.kind in ("operation", "result") else _HEIGHT / 2
    return (
        f'<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{_HEIGHT:.0f}" '
        f'rx="{corner:.0f}" fill="{box.color}" stroke="#9aa5b1"/>'
        f'<text x="{x:.1f}" y="{y + 16:.1f}" font-size="12" fill="#1d2733"{bold}>'
        f"{escape(box.title, quote=False)}</text>"
        f'<text x="{x:.1f}" y="{y + 30:.1f}" font-size="10.5" fill="#616e7c">'
        f"{escape(box.detail, quote=False)}</text>"
    )


def _edge(layout: Layout, a: int, b: int, way: list[tuple[float, int]]) -> str:
    """A smooth line from the lower side of a box, past its bends, to the upper side of another."""
    x, y = layout.x[a], _top(layout.layer[a]) + _HEIGHT
    path = [f"M{x:.1f} {y:.1f}"]
    stops = [(bx, _top(layer), _top(layer) + _HEIGHT) for bx, layer in way]
    end = _top(layout.layer[b]) - 1
    for to_x, to_y, through in [*stops, (layout.x[b], end, end)]:
        middle = (y + to_y) / 2
        path.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
        if through > to_y:
            path.append(f"V{through:.1f}")
        x, y = to_x, through
    return (
        f'<path d="{" ".join(path)}" fill="none" stroke="#9aa5b1" stroke-width="1.3" '
        'marker-end="url(#tip)"/>'
    )
