"""Whole training steps of networks: forward, cross-entropy, backward, Adam, zero_grad.

Three times: with all cores, with one thread, and with all cores while as many other processes
compute all the time.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from benchmarks import models
from benchmarks.harness import (
    ONE_THREAD,
    Effort,
    Times,
    bar,
    busy_cores,
    compare,
    draw_ratios,
    picture,
    picture_tag,
    report,
    table,
    verdict,
)

# (maker in models.py, its arguments, what to print, aim for ours / torch, aim for ours / JAX).
NETWORKS = [
    ("perceptron", ([2, 16, 16, 2], 64), "2-16-16-2, batch 64", 0.3, 1.0),
    ("perceptron", ([64, 64, 10], 64), "64-64-10, batch 64", 0.3, 1.0),
    ("perceptron", ([784, 128, 10], 64), "784-128-10, batch 64", 0.55, None),
    ("perceptron", ([784, 256, 256, 10], 128), "784-256-256-10, batch 128", 0.75, None),
    ("convolutional", (28, 64), "CNN 28x28, batch 64", 0.45, None),
    ("convolutional", (8, 64), "CNN 8x8, batch 64", 0.65, None),
    ("lstm", (32,), "LSTM 64, 32 steps, batch 32", 0.65, None),
    ("gpt", (16,), "GPT 4 layers, 128 wide, 64 tokens, batch 16", 0.8, None),
]
CASES = [[maker, arguments] for maker, arguments, *_ in NETWORKS]
NAMES = [name for _, _, name, *_ in NETWORKS]


def prepare(library: str, case: list) -> Callable:
    """Return one training step of the case's network on one batch of noise."""
    maker, arguments = case
    if library == "jax":
        from benchmarks import jax_models

        return jax_models.training_step(maker, arguments)
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    torch.manual_seed(0)
    return models.training_step(torch, *getattr(models, maker)(torch, *arguments))


def part(effort: Effort, libraries: list[str], aims: list[float | None]) -> tuple[str, list[Times]]:
    """Time all networks with ours, PyTorch and maybe more; return a table and the times."""
    ours, peer = libraries[:2]
    results = compare("networks", libraries, CASES, effort)
    head = ["network", *(f"{name}, least / median" for name in libraries)]
    head += ["ours / torch, of the leasts", "median", "aim", "met"]
    rows = []
    for name, times, aim in zip(NAMES, results, aims, strict=True):
        cells = [
            f"{times.least(library):,.0f} / {times.micro(library):,.0f}" if library in times else ""
            for library in libraries
        ]
        ratio = times.ratio(ours, peer)
        cells += [f"{times.least_ratio(ours, peer):.2f}", f"{ratio:.2f}", *verdict(ratio, aim)]
        rows.append([name, *cells])
    return table(head, rows), results


def main(effort: Effort) -> None:
    """Time all networks in the three ways and report."""
    aims = [aim for *_, aim, _ in NETWORKS]
    quiet, results = part(effort, ["ours", "torch", "jax"], aims)
    alone, _ = part(effort, [f"ours, {ONE_THREAD}", f"torch, {ONE_THREAD}"], [1.0] * len(aims))
    with busy_cores():
        busy, _ = part(effort, ["ours", "torch"], [0.5] * len(aims))
    report(
        "networks",
        effort,
        "# One whole training step, float32",
        "Microseconds for forward, cross-entropy, backward, Adam's step (fused in PyTorch) and "
        f"`zero_grad`; seed 0, {effort.rounds} rounds.",
        "## All cores",
        quiet,
        picture_tag("networks.png", "Steps against PyTorch", 880),
        "## One thread each",
        alone,
        "## All cores, each busy with another process",
        busy,
    )
    bars = {
        name: bar(times, "ours", "torch", aim)
        for name, times, aim in zip(NAMES, results, aims, strict=True)
    }
    picture("networks", effort, lambda axes: draw_ratios(axes, bars))
