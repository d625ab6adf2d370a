"""The table that `summary` returns: its numbers, and how it is printed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from ..html import html_table

__all__ = ["LayerRow", "Summary"]


@dataclass
class LayerRow:
    """A module: its own parameters, and what happened when it was called.

    name: its path; "" is the model.  output_shapes: of the first call, one for each tensor.
    parameters, trainable: numbers in its own tensors, those counted in a row above left out.
    shared: numbers in its own tensors that were counted above.  calls: 0 if it was not called.
    saved_bytes: what the graph keeps for backward of its own operations, without its submodules'.
    """

    name: str
    kind: str
    parameters: int = 0
    trainable: int = 0
    shared: int = 0
    calls: int = 0
    output_shapes: list[tuple[int, ...]] = field(default_factory=list)
    saved_bytes: int = 0


@dataclass
class Summary:
    """The rows, and their sums; printing it shows the table. See `summary`."""

    rows: list[LayerRow]
    parameter_bytes: int
    buffer_bytes: int
    activation_bytes: int | None

    @property
    def total_parameters(self) -> int:
        """Numbers in all parameters, each once."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable_parameters(self) -> int:
        """Numbers in the parameters that require a gradient, each once."""
        return sum(row.trainable for row in self.rows)

    @property
    def frozen_parameters(self) -> int:
        """Numbers in the parameters that require no gradient, each once."""
        return self.total_parameters - self.trainable_parameters

    def __str__(self) -> str:
        ran = self.activation_bytes is not None
        heads = ["layer", "output", "parameters", "saved"] if ran else ["layer", "parameters"]
        cells = [heads, *(_cells(row, ran) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        left = (0, 1) if ran else (0,)  # these columns hold text, the others numbers
        lines = [
            "  ".join(
                text.ljust(width) if i in left else text.rjust(width)
                for i, (text, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in cells
        ]
        rule = "─" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, *self._totals()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        ran = self.activation_bytes is not None
        heads = ["layer", "output", "parameters", "saved"] if ran else ["layer", "parameters"]
        cells = [[escape(text) for text in _cells(row, ran)] for row in self.rows]
        return html_table(heads, cells, list(self._totals()))

    def _totals(self) -> Iterator[str]:
        yield (
            f"{self.total_parameters:,} parameters ({_size(self.parameter_bytes)}): "
            f"{self.trainable_parameters:,} trainable, {self.frozen_parameters:,} frozen"
        )
        if self.buffer_bytes:
            yield f"buffers: {_size(self.buffer_bytes)}"
        if self.activation_bytes is not None:
            yield f"kept for backward: {_size(self.activation_bytes)}"


def _cells(row: LayerRow, ran: bool) -> list[str]:
    depth = row.name.count(".") + 1 if row.name else 0
    name = f"{row.name.rpartition('.')[2]}: " if row.name else ""
    layer = "  " * depth + name + row.kind + (f" x {row.calls}" if row.calls > 1 else "")
    numbers = f"{row.parameters:,}" + (f" (+{row.shared:,} shared)" if row.shared else "")
    if not ran:
        return [layer, numbers]
    shapes = ", ".join(map(str, map(tuple, row.output_shapes))) if row.calls else "not called"
    return [layer, shapes, numbers, _size(row.saved_bytes)]


def _size(count: int) -> str:
    """A number of bytes for people."""
    if count < 1024:
        return f"{count} B"
    power = min(int(math.log(count, 1024)), 3)
    return f"{count / 1024**power:.1f} {('KiB', 'MiB', 'GiB')[power - 1]}"
