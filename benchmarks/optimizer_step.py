"""`optimizer.step()` of every element-wise optimizer, against PyTorch and against a plain copy.

PyTorch runs in each of its implementations that the optimizer has: fused, foreach and a loop. The
copy moves as many bytes as the step has to: it shows how near to the memory's speed a step is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import FULL, Effort, Times, compare, report, table, verdict

# Class and settings, by the name in the report.
OPTIMIZERS = {
    name: (name, {})
    for name in (
        "SGD", "Adam", "AdamW", "RMSprop", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta",
        "Rprop", "ASGD", "Lion", "Adan", "ADOPT", "AdaBelief", "SGDScheduleFree",
        "AdamWScheduleFree",
    )
} | {
    "SGD with momentum": ("SGD", {"momentum": 0.9}),
    "Cautious AdamW": ("AdamW", {"cautious": True}),
    "Adam, narrow": ("Adam", {"state_dtype": "bfloat16"}),
    "AdamW, narrow": ("AdamW", {"state_dtype": "bfloat16"}),
}  # fmt: skip

# (tensors, elements of each, of what optimizers).
MANY, LARGE = (100, 10**3), (1, 5 * 10**7)
SIZES = [(1, 10**3), (1, 10**4), (1, 10**5), (1, 10**6), (1, 10**7)]  # for these: the whole range
WHOLE_RANGE = ["SGD", "Adam", "AdamW", "Adam, narrow", "AdamW, narrow"]
TORCH = {
    "torch fused": {"fused": True},
    "torch foreach": {"foreach": True},
    "torch loop": {"foreach": False},
}
LIBRARIES = ["ours", *TORCH, "copy"]
PARALLEL_BYTES = 1_000_000  # a copy of fewer bytes is faster on one thread

# With 5e7 elements a step of PyTorch's takes up to a second, and noise is small.
SLOW = Effort(rounds=5, seconds=0.1)


def prepare(library: str, case: list) -> Callable | None:
    """Return one step of the case's optimizer, with gradients in place."""
    name, tensors, size = case
    class_name, settings = OPTIMIZERS[name]
    if library == "copy":
        return copy_of(moved_by(name) * tensors * size)
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    taken = {**settings, **TORCH.get(library, {})}
    make = getattr(torch.optim, class_name, None)
    if make is None or not taken.keys() <= inspect.signature(make).parameters.keys():
        return None  # PyTorch does not have it
    parameters = [torch.nn.Parameter(torch.randn(size)) for _ in range(tensors)]
    optimizer = make(parameters, lr=1e-3, **taken)
    if hasattr(optimizer, "train"):
        optimizer.train()  # schedule-free
    for parameter in parameters:
        (parameter * torch.randn(size)).sum().backward()
    return optimizer.step


def moved_by(name: str) -> int:
    """Return the bytes that a float32 step must move for each element.

    Those are 4 for each vector that is read and 4 for each that is written: the gradient is read,
    parameter and states are both.
    """
    from tinygrad_opt import optim, zeros

    class_name, settings = OPTIMIZERS[name]
    optimizer = getattr(optim, class_name)([zeros(1)], lr=1e-3, **settings)
    states = len(optimizer.rule_for(optimizer.param_groups[0]).states)
    masked = 40 if settings.get("cautious") else 0  # a copy 8, the mask 20, the step 12
    return 12 + (4 if "state_dtype" in settings else 8) * states + masked


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


def fastest(times: Times) -> str | None:
    """Return PyTorch's fastest implementation, or None where it has none."""
    peers = [library for library in TORCH if library in times]
    return min(peers, key=times.micro) if peers else None


def row(case: list, aim: float | None, times: Times) -> list[str]:
    """Return one line: the times, the ratio to PyTorch's fastest, and the rate of the bytes."""
    name, tensors, size = case
    moved = moved_by(name) * tensors * size
    peer = fastest(times)
    ratio = times.ratio("ours", peer) if peer else None
    share = times.ratio("copy", "ours")
    is_large = (tensors, size) == LARGE
    return [
        name if (tensors, size) in (MANY, LARGE) else f"{name}, {size:,}",
        f"{times.micro('ours'):,.1f}",
        *(f"{times.micro(library):,.1f}" if library in times else "" for library in TORCH),
        *(("", "", "") if ratio is None else (f"{ratio:.3f}", *verdict(ratio, aim))),
        f"{moved / times.micro('ours') / 1e3:.1f}",
        f"{share:.0%}",
        *(["yes" if share >= 0.9 else "**no**"] if is_large else []),
    ]


def aim_of(name: str, tensors: int, size: int) -> float | None:
    """Return what our time may be at most, as a share of PyTorch's fastest."""
    if (tensors, size) == LARGE:
        return 1.0
    if (tensors, size) == MANY:
        return 0.1 if name == "SGD" else 0.05
    return None


def rows(sizes: list[tuple[int, int]], names: list[str], effort: Effort) -> list[list[str]]:
    """Time the optimizers at the sizes and return their lines."""
    cases = [[name, *size] for name in names for size in sizes]
    results = compare("optimizer_step", LIBRARIES, cases, effort)
    return [row(case, aim_of(*case), times) for case, times in zip(cases, results, strict=True)]


def main(effort: Effort) -> None:
    """Time all optimizers on many small tensors and on a large one, some on those between."""
    names = list(OPTIMIZERS)
    head = [
        "", "ours", *TORCH, "ours / fastest", "aim", "met", "GB/s", "of a copy's rate",
    ]  # fmt: skip
    parts = [
        f"## {MANY[0]} tensors of {MANY[1]:,} elements",
        table(head, rows([MANY], names, effort)),
    ]
    if effort == FULL:
        parts += [
            f"## One tensor of {LARGE[1]:,} elements",
            table([*head, "90%"], rows([LARGE], names, SLOW)),
        ]
    sizes = SIZES if effort == FULL else SIZES[:2]
    parts += ["## One tensor of other sizes", table(head, rows(sizes, WHOLE_RANGE, effort))]
    report(
        "optimizer_step",
        effort,
        "# One optimizer step, float32",
        "Microseconds for one `optimizer.step()`, and the median of the ratios to the fastest of "
        "PyTorch's implementations, round by round. GB/s counts the bytes that a step must move; "
        "the copy moves as many (and reads the lines that it overwrites besides, which a step in "
        "place need not).",
        *parts,
    )
