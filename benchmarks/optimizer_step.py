"""`optimizer.step()` against PyTorch's three implementations, and against a plain copy.

The copy moves as many bytes as the step has to: it shows how near to the memory's speed a step is.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import FULL, Effort, Times, compare, report, table, verdict

# Name: (class, settings, bytes that a float32 step must move for each element).
OPTIMIZERS = {
    "SGD": ("SGD", {}, 12),
    "SGD with momentum": ("SGD", {"momentum": 0.9}, 20),
    "Adam": ("Adam", {}, 28),
    "AdamW": ("AdamW", {}, 28),
    "RMSprop": ("RMSprop", {}, 20),
}
# (tensors, elements of each, aim for ours / torch).
SIZES = [
    (1, 10**3, 0.1),
    (1, 10**4, 0.1),
    (1, 10**5, None),
    (1, 10**6, None),
    (1, 10**7, None),
    (1, 5 * 10**7, 1.0),
    (100, 10**3, 0.1),
]
TORCH = {
    "torch fused": {"fused": True},
    "torch foreach": {"foreach": True},
    "torch loop": {"foreach": False},
}
LIBRARIES = ["ours", *TORCH, "copy"]
PARALLEL_BYTES = 1_000_000  # a copy of fewer bytes is faster on one thread


def prepare(library: str, case: list) -> Callable | None:
    """Return one step of the case's optimizer, with gradients from a backward pass in place."""
    name, tensors, size = case
    class_name, settings, width = OPTIMIZERS[name]
    if library == "copy":
        return copy_of(width * tensors * size)
    if library == "torch fused" and class_name == "RMSprop":
        return None  # PyTorch has no fused RMSprop
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    parameters = [torch.nn.Parameter(torch.randn(size)) for _ in range(tensors)]
    optimizer = getattr(torch.optim, class_name)(
        parameters, lr=1e-3, **settings, **TORCH.get(library, {})
    )
    for parameter in parameters:
        (parameter * torch.randn(size)).sum().backward()
    return optimizer.step


def copy_of(moved: int) -> Callable:
    """Return a copy that moves so many bytes: half of them read, half of them written."""
    import numba

    from tinygrad_opt import kernels  # noqa: F401  sets the same threading policy as for our steps

    source = np.ones(moved // 8, np.float32)
    target = np.zeros_like(source)
    if moved < PARALLEL_BYTES:
        return lambda: np.copyto(target, source)

    @numba.njit("void(float32[::1], float32[::1])", parallel=True)
    def copy(target, source):
        for i in numba.prange(target.size):
            target[i] = source[i]

    return lambda: copy(target, source)


def row(case: list, aim: float | None, times: Times) -> list[str]:
    """Return one line of the table of an optimizer."""
    name, tensors, size = case
    moved = OPTIMIZERS[name][2] * tensors * size
    peers = {library: times.micro(library) for library in TORCH if library in times}
    ratio = times.ratio(
        "ours", "torch fused" if "torch fused" in peers else min(peers, key=peers.get)
    )
    return [
        f"{size:,}" if tensors == 1 else f"{tensors} x {size:,}",
        f"{times.micro('ours'):,.1f}",
        *(f"{peers[library]:,.1f}" if library in peers else "" for library in TORCH),
        f"{ratio:.3f}",
        *verdict(ratio, aim),
        *(f"{moved / times.micro(library) / 1e3:.1f}" for library in ("ours", "copy")),
    ]


def main(effort: Effort) -> None:
    """Time all optimizers at all sizes, or at the small ones in a hurry, and report."""
    sizes = [size for size in SIZES if effort == FULL or size[1] <= 10**6]
    lines = [([name, *size], aim) for name in OPTIMIZERS for *size, aim in sizes]
    results = compare("optimizer_step", LIBRARIES, [case for case, _ in lines], effort)
    head = ["elements", "ours", *TORCH, "ours / torch", "aim", "met", "GB/s ours", "GB/s copy"]
    parts = []
    for name in OPTIMIZERS:
        rows = [
            row(case, aim, times)
            for (case, aim), times in zip(lines, results, strict=True)
            if case[0] == name
        ]
        parts += [f"## {name}", table(head, rows)]
    report(
        "optimizer_step",
        effort,
        "# One optimizer step, float32",
        "Microseconds for one `optimizer.step()`. The ratio is to PyTorch's fused implementation, "
        "or to its fastest where it has no fused one. The copy moves the same bytes as the step "
        "(and reads the lines that it overwrites besides, which a step in place need not).",
        *parts,
    )
