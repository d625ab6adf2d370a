"""What denormal numbers cost: Adam's step on averages that have faded, and on tiny gradients.

The kernels count denormals as zero (`kernels/compiler/denormals.py`); PyTorch does so after
`torch.set_flush_denormal(True)`, in the calling thread.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from benchmarks.harness import Effort, Times, compare, report, table

SIZE = 100_000
# (gradient, exp_avg, exp_avg_sq) of all elements.
CASES = {
    "ordinary numbers": (0.1, 0.1, 0.01),
    "no gradient any more, averages faded": (0.0, 5e-45, 7e-43),
    "gradients whose square is denormal": (1e-20, 1e-20, 1e-40),
    "denormal gradients": (1e-40, 1e-40, 0.0),
}
LIBRARIES = ["ours", "torch", "torch, flushing"]


def prepare(library: str, name: str) -> Callable:
    """Return one step of fused Adam on a case; the numbers hardly change from step to step."""
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    if library == "torch, flushing":
        torch.set_flush_denormal(True)
    gradient, *averages = CASES[name]
    parameter = torch.nn.Parameter(torch.ones(SIZE))
    optimizer = torch.optim.Adam([parameter], lr=1e-3, fused=True)
    parameter.grad = torch.zeros(SIZE)
    optimizer.step()
    parameter.grad = torch.full((SIZE,), gradient)
    for state, value in zip(("exp_avg", "exp_avg_sq"), averages, strict=True):
        optimizer.state[parameter][state][...] = value
    return optimizer.step


def main(effort: Effort) -> None:
    """Time the cases and report."""
    results = compare("denormals", LIBRARIES, list(CASES), effort)
    ordinary = results[0]

    def line(name: str, times: Times) -> list[str]:
        cells = [
            f"{times.micro(library):,.1f} ({times.micro(library) / ordinary.micro(library):.1f})"
            for library in LIBRARIES
        ]
        return [name, *cells]

    lines = [line(name, times) for name, times in zip(CASES, results, strict=True)]
    report(
        "denormals",
        effort,
        "# Denormal numbers",
        f"Microseconds for one step of fused Adam on {SIZE:,} float32 elements, and in brackets "
        "how many times as long as with ordinary numbers.",
        table(["", *LIBRARIES], lines),
    )
