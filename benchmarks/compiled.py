"""Whole training steps as one generated function, against JAX's jit, PyTorch eager and compiled.

The step returns its loss. Building it, the first time and from the disk, is timed as well.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks import models, networks
from benchmarks.harness import (
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

# (maker in models.py, its arguments, what to print, aim for compiled / JAX, for compiled / torch).
CASES = [
    ("perceptron", ([2, 16, 16, 2], 64), "2-16-16-2, batch 64", 0.25, 0.06),
    ("perceptron", ([64, 64, 10], 64), "64-64-10, batch 64", 0.25, 0.06),
    ("perceptron", ([784, 128, 10], 64), "784-128-10, batch 64", 0.85, 0.7),
    ("perceptron", ([784, 256, 256, 10], 128), "784-256-256-10, batch 128", 0.85, 0.7),
    ("convolutional", (28, 64), "CNN 28x28, batch 64", 1.0, 0.7),
    ("convolutional", (8, 64), "CNN 8x8, batch 64", 1.0, 0.7),
    ("lstm", (32,), "LSTM 64, 32 steps, batch 32", None, 0.6),
    ("gpt", (16,), "GPT 4 layers, 128 wide, 64 tokens, batch 16", 1.0, 0.85),
    ("transformer", (8,), "transformer 1 layer, 16 wide, 20 tokens, batch 8", 0.3, 0.1),
    *[
        ("perceptron", ([10, w, w, 10], 128), f"10-{w}-{w}-10, batch 128", 0.9, 0.7)
        for w in (32, 128, 512, 2048)
    ],
]
LIBRARIES = ["compiled", "ours", "torch", "jax"]


def prepare(library: str, case: list) -> Callable:
    """Return one training step of the case's network on one batch of noise."""
    step = networks.prepare(library, case)
    if library != "compiled":
        return step
    step = import_module("tinygrad_opt").compile(step, strict=True)
    for _ in range(3):
        step()
    return step


def built(case: tuple) -> list[float]:
    """Return the seconds of the second call, the one that compiles: first, then from the disk."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700)
        environment = {**os.environ, "TINYGRAD_OPT_CACHE_DIR": folder}
        command = [sys.executable, "-m", "benchmarks.compiled", repr(case[:2])]
        return [
            float(subprocess.run(command, env=environment, capture_output=True, text=True,
                                 check=True).stdout)
            for _ in range(2)
        ]  # fmt: skip


def time_to_build(case: list) -> float:
    """Return the seconds that the compiling call takes in this process, with the step it runs."""
    import time

    torch: Any = import_module("tinygrad_opt")
    torch.manual_seed(0)
    maker, arguments = case
    step = models.training_step(torch, *getattr(models, maker)(torch, *arguments))
    step()
    step()
    compiled = torch.compile(step, strict=True)
    compiled()
    start = time.perf_counter()
    compiled()
    return time.perf_counter() - start


def main(effort: Effort) -> None:
    """Time all cases and report."""
    results = compare("compiled", LIBRARIES, [list(case[:2]) for case in CASES], effort)
    rows, bars = [], {}
    for (_, _, name, of_jax, of_torch), times in zip(CASES, results, strict=True):
        cells = [
            f"{times.least(library):,.1f} / {times.micro(library):,.1f}" if library in times else ""
            for library in LIBRARIES
        ]
        cells += [*against(times, "jax", of_jax), *against(times, "torch", of_torch)]
        rows.append([name, *cells])
        bars[name] = bar(times, "compiled", "torch", of_torch)
    head = ["network", *(f"{library}, least / median" for library in LIBRARIES)]
    head += ["compiled / JAX, leasts", "median", "aim", "met"]
    head += ["compiled / torch, leasts", "median", "aim", "met"]
    shown = [CASES[i] for i in (0, 3, 4, 6, 7)] if effort.rounds > 1 else CASES[:1]
    builds = [[case[2], *(f"{seconds:.2f}" for seconds in built(case))] for case in shown]
    report(
        "compiled",
        effort,
        "# A whole training step as one generated function, float32",
        "Microseconds for forward, cross-entropy, backward, Adam's step (fused in PyTorch) and "
        f"`zero_grad`; seed 0, {effort.rounds} rounds. JAX computes the same losses.",
        table(head, rows),
        picture_tag("compiled.png", "Compiled steps against PyTorch", 880),
        "## Seconds to compile",
        "Of the second call, which traces the step, writes it and compiles it.",
        table(["network", "first", "from the disk"], builds),
    )

    picture("compiled", effort, lambda axes: draw_ratios(axes, bars, "compiled"), height=6)


def against(times: Times, peer: str, aim: float | None) -> list[str]:
    """Return the cells about one peer: ratio of leasts, median of ratios, aim, if it is met."""
    if peer not in times:
        return ["", "", "", ""]
    least, middle = times.least_ratio("compiled", peer), times.ratio("compiled", peer)
    return [f"{least:.3f}", f"{middle:.3f}", *verdict(middle, aim)]


if __name__ == "__main__":
    import ast

    print(time_to_build(list(ast.literal_eval(sys.argv[1]))))
