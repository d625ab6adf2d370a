"""Training steps of 10-w-w-10 for widths w from 32 to 4096: is there a jump against the work?"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks import models
from benchmarks.harness import Effort, compare, picture, picture_tag, report, table

WIDTHS = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096]
BATCH = 128
LIBRARIES = ["ours", "torch"]
JUMP = 1.5  # a step that takes so many times as long per multiply-add as at the width before


def prepare(library: str, case: int) -> Callable:
    """Return one training step at the width `case`."""
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    torch.manual_seed(0)
    return models.training_step(torch, *models.perceptron(torch, [10, case, case, 10], BATCH))


def work(width: int) -> int:
    """Return the multiply-adds of a step's products, forward and backward."""
    return BATCH * (3 * width * width + 2 * 10 * width + 3 * 10 * width)


def main(effort: Effort) -> None:
    """Time all widths, and name the widths at which a multiply-add gets dearer."""
    results = compare("widths", LIBRARIES, WIDTHS, effort)
    leasts = {name: [times.least(name) for times in results] for name in LIBRARIES}
    rates = [us * 1e3 / work(w) for w, us in zip(WIDTHS, leasts["ours"], strict=True)]
    jumps = [
        w for w, before, now in zip(WIDTHS[1:], rates, rates[1:], strict=False)
        if now > JUMP * before
    ]  # fmt: skip
    rows = [
        [w, f"{ours:,.0f}", f"{torch:,.0f}", f"{ours / torch:.2f}", f"{rate:.3f}"]
        for w, ours, torch, rate in zip(WIDTHS, *leasts.values(), rates, strict=True)
    ]
    said = f"at {', '.join(map(str, jumps))}" if jumps else "nowhere"
    report(
        "widths",
        effort,
        "# 10-w-w-10, batch 128, Adam",
        f"Microseconds of the quickest step of {effort.rounds} rounds, and nanoseconds for a "
        f"multiply-add of its products. {JUMP} times as many as at the width before: {said}.",
        table(["w", "ours", "torch", "ours / torch", "ours, ns per multiply-add"], rows),
        picture_tag("widths.png", "Time of a step by width", 880),
    )

    def draw(axes: Any) -> None:
        for name, values in leasts.items():
            axes.loglog(WIDTHS, values, "o-", label=name)
        axes.set_xlabel("width w (log)")
        axes.set_ylabel("microseconds a step, the least (log)")
        axes.legend()

    picture("widths", effort, draw)
