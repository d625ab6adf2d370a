"""A roofline: what a rule computes in a second, and what memory and processor would allow.

S. Williams, A. Waterman and D. Patterson, Roofline: an insightful visual performance model for
multicore architectures, CACM 52 (2009).
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..kernels import UpdateRule, update_rule
from ..optional import need
from .measure import Row, measure

__all__ = ["check_picture", "draw", "operations", "peak"]


@update_rule
def polynomial(p, g, a, b):
    """Sixteen multiply-adds on each number that is read: memory is not what they wait for."""
    g = (((g * a + b) * a + b) * a + b) * a + b
    g = (((g * a + b) * a + b) * a + b) * a + b
    g = (((g * a + b) * a + b) * a + b) * a + b
    g = (((g * a + b) * a + b) * a + b) * a + b
    return p + g


def operations(rule: UpdateRule) -> int:
    """How many operations the rule's text has for one element; a function counts as one."""
    return sum(isinstance(node, ast.BinOp | ast.Call) for node in rule._rule.nodes)


def peak(dtype: Any) -> float:
    """Operations in a second where memory is no limit: those of a polynomial, on all threads."""
    [[row]] = measure([polynomial], dtype, [100_000], seconds=0.1)
    return operations(polynomial) * row.elements / row.best


def check_picture(path: str | Path) -> None:
    """Raise what `draw` would raise of a path only after everything was measured.

    ValueError where there is no such folder, or matplotlib writes no such files; ImportError where
    matplotlib is missing.
    """
    folder, ending = Path(path).absolute().parent, Path(path).suffix.lower().removeprefix(".")
    if not folder.is_dir():
        raise ValueError(f"--out: there is no folder {folder}")
    known = _figure().canvas.get_supported_filetypes()
    if ending not in known:
        raise ValueError(
            f"--out: the picture must end with .{', .'.join(sorted(known))}, got {str(path)!r}"
        )


def _figure() -> Any:
    return need("matplotlib.figure", "examples", "the roofline").Figure(
        figsize=(8, 5), dpi=150, layout="constrained"
    )


def draw(
    rules: Sequence[UpdateRule], rows: Sequence[Sequence[Row]], top: float, path: str | Path
) -> None:
    """Write the picture: a point for each rule and size, under the roofs that were measured.

    top: operations in a second, from `peak`. Raises ImportError where matplotlib is missing.
    """
    figure = _figure()
    axes = figure.add_subplot(xscale="log", yscale="log")
    density = [operations(rule) * rows[i][0].elements / rows[i][0].bytes
               for i, rule in enumerate(rules)]  # fmt: skip
    every = [row for own in rows for row in own]
    rates = [row.bytes / row.copy for row in every]
    left, right = min(density) / 4, max(*density, top / min(rates)) * 4
    for rate, name in ((max(rates), "copy in the caches"), (rates[-1], "copy in memory")):
        corner = top / rate
        axes.plot([left, corner], [left * rate, top], color="0.6", lw=1)
        axes.annotate(
            f"{name}: {rate / 1e9:.0f} GB/s", (left, left * rate), (2, 8),
            textcoords="offset points", rotation=33, fontsize=8, color="0.4",
        )  # fmt: skip
    axes.plot([top / max(rates), right], [top, top], color="0.6", lw=1)
    axes.annotate(
        f"multiply-adds: {top / 1e9:.0f} G/s", (right, top), (-4, 4), ha="right",
        textcoords="offset points", fontsize=8, color="0.4",
    )  # fmt: skip
    for i, rule in enumerate(rules):
        reached = [operations(rule) * row.elements / row.best for row in rows[i]]
        axes.plot([density[i]] * len(reached), reached, "o", label=rule.name, color=f"C{i}")
        for row, y in zip(rows[i], reached, strict=True):
            axes.annotate(
                f"{row.elements:,}", (density[i], y), (6, -3), textcoords="offset points",
                fontsize=7,
            )  # fmt: skip
    axes.set(xlim=(left, right), xlabel="operations for each byte that is moved",
             ylabel="operations in a second", title="Roofline of update rules")  # fmt: skip
    axes.legend()
    figure.savefig(path)
