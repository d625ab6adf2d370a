"""Operations on large arrays, forward: what NumPy does on one thread, and PyTorch on all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from benchmarks.harness import Effort, compare, report, table

SIZES = [131_072, 1_048_576]  # elements, float32
WIDTH = 128  # of what goes by rows
LIBRARIES = ["ours", "torch"]
SLOW = 1.5  # times PyTorch's time, from which on a row is named


def _rows(x: Any) -> Any:
    return x.reshape(-1, WIDTH)


# Of the library, two vectors, and an index for each element.
OPERATIONS: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "x + y": lambda torch, x, y, i: x + y,
    "x * 2": lambda torch, x, y, i: x * 2.0,
    "x += y": lambda torch, x, y, i: x.add_(y),
    "rows + a row": lambda torch, x, y, i: _rows(x) + y[:WIDTH],
    "x ** 2": lambda torch, x, y, i: x**2,
    "x ** 3": lambda torch, x, y, i: x**3,
    "abs": lambda torch, x, y, i: y.abs(),
    "exp": lambda torch, x, y, i: torch.exp(y),
    "maximum": lambda torch, x, y, i: torch.maximum(x, y),
    "clamp": lambda torch, x, y, i: y.clamp(-1, 1),
    "where": lambda torch, x, y, i: torch.where(y > 0, x, y),
    "sum": lambda torch, x, y, i: x.sum(),
    "sum of rows": lambda torch, x, y, i: _rows(x).sum(1),
    "sum of columns": lambda torch, x, y, i: _rows(x).sum(0),
    "mean of a middle axis": lambda torch, x, y, i: y.reshape(-1, 16, 32).mean(1),
    "std of rows": lambda torch, x, y, i: _rows(y).std(1),
    "amax of columns": lambda torch, x, y, i: _rows(y).amax(0),
    "dot": lambda torch, x, y, i: y @ y,
    "amax of rows": lambda torch, x, y, i: _rows(y).amax(1),
    "norm of rows": lambda torch, x, y, i: _rows(y).norm(dim=1),
    "softmax": lambda torch, x, y, i: _rows(y).softmax(1),
    "logsumexp": lambda torch, x, y, i: torch.logsumexp(_rows(y), 1),
    "cumsum": lambda torch, x, y, i: _rows(y).cumsum(1),
    "cumprod": lambda torch, x, y, i: _rows(y).cumprod(1),
    "glu": lambda torch, x, y, i: torch.nn.functional.glu(_rows(y), 1),
    "topk": lambda torch, x, y, i: _rows(y).topk(5, 1),
    "gather": lambda torch, x, y, i: _rows(y).gather(1, _rows(i)),
    "scatter_add": lambda torch, x, y, i: _rows(x).scatter_add(1, _rows(i), _rows(y)),
    "transpose, contiguous": lambda torch, x, y, i: _rows(x).T.contiguous(),
    "cat": lambda torch, x, y, i: torch.cat([x, y]),
    "cat of columns": lambda torch, x, y, i: torch.cat([_rows(x), _rows(y)], 1),
    "stack": lambda torch, x, y, i: torch.stack([x, y]),
    "flip": lambda torch, x, y, i: _rows(y).flip(1),
    "expand, contiguous": lambda torch, x, y, i: _rows(y)[:, :1].expand(-1, WIDTH).contiguous(),
    "index_select": lambda torch, x, y, i: _rows(y).index_select(0, i[: len(y) // WIDTH]),
    "to float64": lambda torch, x, y, i: y.double(),
    "to float16": lambda torch, x, y, i: y.half(),
    "x + integers": lambda torch, x, y, i: y + i,
    "sign": lambda torch, x, y, i: torch.sign(y),
    "x == y": lambda torch, x, y, i: x == y,
    "mse_loss": lambda torch, x, y, i: torch.nn.functional.mse_loss(x, y),
    "smooth_l1_loss": lambda torch, x, y, i: torch.nn.functional.smooth_l1_loss(x, y),
    "cdist, 300 rows": lambda torch, x, y, i: torch.cdist(_rows(y)[:300], _rows(y)[300:600]),
    "interpolate": lambda torch, x, y, i: torch.nn.functional.interpolate(
        x.reshape(-1, 1, 64, 64), scale_factor=2
    ),
    "interpolate, bilinear": lambda torch, x, y, i: torch.nn.functional.interpolate(
        y.reshape(-1, 1, 64, 64), scale_factor=2, mode="bilinear"
    ),
}


def prepare(library: str, case: tuple[str, int]) -> Callable:
    """Return a call of one operation on vectors of the case's size."""
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    name, size = case
    rng = np.random.default_rng(0)
    x = torch.tensor(np.zeros(size, np.float32))  # `x += y` is repeated
    y = torch.tensor(rng.standard_normal(size, np.float32))
    index = torch.tensor(rng.integers(0, WIDTH, size))
    return lambda: OPERATIONS[name](torch, x, y, index)


def main(effort: Effort) -> None:
    """Time all operations at all sizes, and name the slow ones."""
    cases = [(name, size) for name in OPERATIONS for size in SIZES]
    results = dict(zip(cases, compare("large_arrays", LIBRARIES, cases, effort), strict=True))
    rows = []
    for name in OPERATIONS:
        row: list[object] = [name]
        for size in SIZES:
            times = results[name, size]
            row += [f"{times.least(library):,.0f}" for library in LIBRARIES]
            least, middle = times.least_ratio(*LIBRARIES), times.ratio(*LIBRARIES)
            row.append(f"{least:.2f} ({middle:.2f})")
        rows.append(row)
    slow = [
        f"{name} of {size:,} {times.least_ratio('ours', 'torch'):.1f}"
        for (name, size), times in results.items()
        if times.least_ratio("ours", "torch") > SLOW
    ]
    heads = [f"{size:,}: {what}" for size in SIZES for what in ("ours", "torch", "ours / torch")]
    report(
        "large_arrays",
        effort,
        "# Operations on large arrays, float32, all threads",
        f"Microseconds of the quickest call of {effort.rounds} rounds, and the ratio of these (of "
        f"the medians). Over {SLOW:g} times PyTorch's time: {', '.join(slow) or 'none'}.",
        table(["operation", *heads], rows),
    )
