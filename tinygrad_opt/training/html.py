"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["html_table"]


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], foot: Sequence[str] = ()) -> str:
    """A table in HTML: texts of cells may have marks (<b>), names and lines below have none.

    The first column is ranged left, numbers right.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        sides = ["left", *["right"] * len(cells)][: len(cells)]
        parts = (
            f'<{tag} style="text-align: {side}; white-space: pre">{cell}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(parts)}</tr>"

    body = "\n".join(line(row, "td") for row in rows)
    below = "".join(f"<div>{escape(text)}</div>" for text in foot)
    head_line = line([escape(name) for name in head], "th")
    return f"<table>\n<thead>{head_line}</thead>\n<tbody>\n{body}\n</tbody>\n</table>{below}"
