"""`optimizer.step()` of every element-wise optimizer, against PyTorch and against a plain copy.

PyTorch runs in each of its implementations that the optimizer has: fused, foreach and a loop. The
copy moves as many bytes as the step has to: it shows how near to the memory's speed a step is.
Gradients are where backward writes them, and once assigned anew before each step, as by
`p.grad = g`; which is timed with the step, in all libraries.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import (
    FULL,
    ONE_THREAD,
    Effort,
    Times,
    bar,
    compare,
    draw_ratios,
    picture,
    picture_tag,
    report,
    table,
    verdict,
)

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

# (tensors, elements of each).
MANY, LARGE = (100, 10**3), (1, 5 * 10**7)
SIZES = [(1, 10**3), (1, 10**4), (1, 10**5), (1, 10**6), (1, 10**7)]  # for some of them
WHOLE_RANGE = ["SGD", "Adam", "AdamW", "Adam, narrow", "AdamW, narrow"]
ASSIGNED = ["SGD", "SGD with momentum", "Adam", "AdamW", "RMSprop", "Adagrad"]
TORCH = {
    "torch fused": {"fused": True},
    "torch foreach": {"foreach": True},
    "torch loop": {"foreach": False},
}
LIBRARIES = ["ours", *TORCH, "copy"]
PARALLEL_BYTES = 1_000_000  # a copy of fewer bytes is faster on one thread

# There are many cases; and with 5e7 elements a step of PyTorch's takes up to a second, with little
# noise.
BRIEF, SLOW = Effort(rounds=7, seconds=0.04), Effort(rounds=3, seconds=0.1)


def prepare(library: str, case: list) -> Callable | None:
    """Return one step of the case's optimizer, with gradients in place, or assigned before it."""
    name, tensors, size, *assigned = case
    class_name, settings = OPTIMIZERS[name]
    if library == "copy":
        return copy_of(moved_by(name) * tensors * size)
    torch = import_module("tinygrad_opt" if library == "ours" else "torch")
    if library != "ours":  # PyTorch's states are of the parameters' type
        settings = {name: value for name, value in settings.items() if name != "state_dtype"}
    taken = {**settings, **TORCH.get(library, {})}
    make = getattr(torch.optim, class_name, None)
    if make is None or not taken.keys() <= inspect.signature(make).parameters.keys():
        return None  # PyTorch does not have it
    parameters = [torch.nn.Parameter(torch.randn(size)) for _ in range(tensors)]
    optimizer = make(parameters, lr=1e-3, **taken)
    if hasattr(optimizer, "train"):
        optimizer.train()  # schedule-free
    if assigned:
        return assigning(optimizer.step, parameters, [torch.randn(size) for _ in parameters])
    for parameter in parameters:
        (parameter * torch.randn(size)).sum().backward()
    return optimizer.step


def assigning(step: Callable, parameters: list, gradients: list) -> Callable:
    """Return what assigns the gradients and steps."""

    def assign_and_step() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        step()

    return assign_and_step


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
    peers = [library for library in times if library.startswith("torch")]
    return min(peers, key=times.least) if peers else None


def row(case: list, aim: float | None, times: Times) -> list[str]:
    """Return one line: the times, the ratio to PyTorch's fastest, and the rate of the bytes."""
    name, tensors, size, *_ = case
    moved = moved_by(name) * tensors * size
    ours, *_ = times
    torch = [next((lib for lib in times if lib.startswith(peer)), "") for peer in TORCH]
    peer = fastest(times)
    least = times.least_ratio(ours, peer) if peer else None
    return [
        name if (tensors, size) in (MANY, LARGE) else f"{name}, {size:,}",
        *(f"{times.least(x):,.1f} / {times.micro(x):,.1f}" if x else "" for x in (ours, *torch)),
        *([""] * 4 if peer is None else
          [f"{least:.3f}", f"{times.ratio(ours, peer):.3f}", *verdict(least, aim)]),
        f"{moved / times.least(ours) / 1e3:.1f}",
        f"{times.least_ratio('copy', ours):.0%}" if "copy" in times else "",
    ]  # fmt: skip


def aim_of(name: str, tensors: int, size: int, assigned: bool = False) -> float | None:
    """Return what our time may be at most, as a share of PyTorch's fastest."""
    if assigned:
        return 0.3
    if (tensors, size) == MANY:
        return 0.08 if name == "SGD" else 0.06
    if (tensors, size) == LARGE:
        return 1.0
    return {10**6: 0.35, 10**7: 0.66}.get(size) if name in ("Adam", "Adam, narrow") else None


HEAD = [
    "", "ours, least / median", *TORCH, "ours / fastest, of the leasts", "median", "aim", "met",
    "GB/s", "of a copy's rate",
]  # fmt: skip


def part(
    cases: list[list], effort: Effort, alone: bool = False
) -> tuple[str, dict[str, tuple[Times, float | None]]]:
    """Time the cases, maybe with one thread each; return the table, and for each line its times."""
    libraries = [f"{x}, {ONE_THREAD}" for x in ["ours", *TORCH]] if alone else LIBRARIES
    results = compare("optimizer_step", libraries, cases, effort)
    aims = [1.0 if alone else aim_of(*case) for case in cases]
    rows = [row(*line) for line in zip(cases, aims, results, strict=True)]
    found = zip((line[0] for line in rows), zip(results, aims, strict=True), strict=True)
    return table(HEAD, rows), dict(found)


def main(effort: Effort) -> None:
    """Time all optimizers on many small tensors, some on those of other sizes."""
    full = effort == FULL
    sizes, brief = (SIZES, BRIEF) if full else (SIZES[:2], effort)
    many, times = part([[name, *MANY] for name in OPTIMIZERS], brief)
    assigned, more = part([[name, *MANY, True] for name in ASSIGNED], brief)
    others, _ = part([[name, *size] for name in WHOLE_RANGE for size in sizes], brief)
    alone, _ = part(
        [["SGD", *MANY], ["Adam", *MANY], *(["Adam", *size] for size in sizes)], brief, alone=True
    )
    parts = [
        f"## {MANY[0]} tensors of {MANY[1]:,} elements", many,
        picture_tag("optimizer_step.png", "Steps of 100 tensors against PyTorch", 880),
        "## The same, gradients assigned before each step", assigned,
        "## One tensor of other sizes", others,
    ]  # fmt: skip
    if full:
        large, _ = part([[name, *LARGE] for name in WHOLE_RANGE], SLOW)
        parts += [f"## One tensor of {LARGE[1]:,} elements, {SLOW.rounds} rounds", large]
    report(
        "optimizer_step",
        effort,
        "# One optimizer step, float32",
        f"Microseconds for one `optimizer.step()`, the least and the median of {brief.rounds} "
        "rounds; the ratios are to the fastest of PyTorch's implementations. GB/s counts the bytes "
        "that a step must move; the copy moves as many (and reads the lines that it overwrites "
        "besides, which a step in place need not). Narrow: states in bfloat16, beside PyTorch's in "
        "float32.",
        *parts,
        "## One thread each", alone,
    )  # fmt: skip
    drawn = {**times, **{f"{name}, assigned": line for name, line in more.items()}}
    bars = {
        name: bar(line, "ours", peer, aim)
        for name, (line, aim) in drawn.items()
        if (peer := fastest(line))
    }
    picture("optimizer_step", effort, lambda axes: draw_ratios(axes, bars), height=6.5)
