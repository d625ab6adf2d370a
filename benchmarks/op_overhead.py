"""What autograd adds to an op, and whether matmul's threads and the kernels' get along."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import Effort, compare, report, table, verdict

CHAIN = 1000  # ops in the graph whose backward pass is timed
SIDE = 16
RECORD, REPLAY = "record x * y", "replay its pullback"
AIMS = {RECORD: 1.5, REPLAY: 1.0}  # microseconds
PAIR = ["matmul", "Adam", "matmul, then Adam"]
PAIR_AIM = 1.3  # the pair, as a multiple of its two parts alone


def prepare(library: str, case: str) -> Callable:
    """Return the work that the case names."""
    if case in PAIR:
        return pair_work(case)
    random = np.random.default_rng(0)
    # Close to 1, so that a product of a thousand stays away from overflow and denormals.
    x, y = random.uniform(0.999, 1.001, (2, SIDE, SIDE)).astype(np.float32)
    if library == "numpy":
        return lambda: x * y
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    x, y = (torch.tensor(array).requires_grad_() for array in (x, y))
    if case == RECORD:
        return lambda: x * y
    value, y = x, y.detach()
    for _ in range(CHAIN):
        value = value * y
    loss = value.sum()
    return lambda: loss.backward(retain_graph=True)


def pair_work(case: str) -> Callable:
    """Return a matmul by the BLAS library's threads, a step of Adam by Numba's, or both in turn."""
    import tinygrad_opt as torch

    x, weight = torch.randn(128, 784), torch.randn(784, 256)
    parameter = torch.nn.Parameter(torch.randn(10**6))
    optimizer = torch.optim.Adam([parameter])
    (parameter * torch.randn(10**6)).sum().backward()

    def both() -> None:
        x @ weight
        optimizer.step()

    return {"matmul": lambda: x @ weight, "Adam": optimizer.step}.get(case, both)


def main(effort: Effort) -> None:
    """Time both halves and report."""
    ops = compare("op_overhead", ["numpy", "ours", "torch"], [RECORD, REPLAY], effort)
    rows = []
    for case, times, calls in zip((RECORD, REPLAY), ops, (1, CHAIN), strict=True):
        bare = times.micro("numpy")  # one multiplication, in the same rounds
        ours, torch = (times.micro(library) / calls for library in ("ours", "torch"))
        cells = [f"{value:.2f}" for value in (ours, ours - bare, bare, torch)]
        rows.append([case, *cells, *verdict(ours, AIMS[case])])
    matmul, adam, both = (
        times.micro("ours") for times in compare("op_overhead", ["ours"], PAIR, effort)
    )
    ratio = both / (matmul + adam)
    cells = [f"{value:,.0f}" for value in (matmul, adam, both)]
    report(
        "op_overhead",
        effort,
        f"# What an op costs: ({SIDE}, {SIDE}) tensors, float32",
        f"Microseconds. The pullback: of one op in a chain of {CHAIN:,}, one multiplication.",
        table(["", "ours", "over NumPy", "NumPy x * y", "torch", "aim", "met"], rows),
        "## Two thread pools",
        "Microseconds for (128, 784) @ (784, 256), which runs on the threads of NumPy's BLAS, and "
        "for a step of Adam on 1,000,000 elements, which runs on Numba's.",
        table(
            [*PAIR, "ratio to the sum", "aim", "met"],
            [[*cells, f"{ratio:.2f}", *verdict(ratio, PAIR_AIM)]],
        ),
    )
