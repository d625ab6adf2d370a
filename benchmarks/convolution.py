"""Convolutions forward and backward, and whole training steps of small networks that have them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import Effort, Times, compare, report, table, verdict

BATCH = 64
# (channels, side of the image, filters of 3x3, aim for ours / torch)
LAYERS = [(1, 28, 16, 1.0), (16, 14, 32, 1.0), (1, 8, 16, 1.0), (16, 8, 32, 1.0)]
# (side of the image, aim for ours / torch)
NETWORKS = [(8, 1.0), (28, 1.0)]
LIBRARIES = ["ours", "torch"]


def prepare(library: str, case: list) -> Callable:
    """Return one pass through a layer, or one training step of a network, of the library."""
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    return layer(torch, *case[1:]) if case[0] == "layer" else network(torch, *case[1:])


def layer(torch, channels: int, side: int, filters: int) -> Callable:
    """Return conv2d and its three gradients for one batch of noise."""
    random = np.random.default_rng(0)

    def noise(*shape: int):
        return torch.tensor(random.standard_normal(shape, np.float32), requires_grad=True)

    x, weight = noise(BATCH, channels, side, side), noise(filters, channels, 3, 3)
    bias, g = noise(filters), noise(BATCH, filters, side, side).detach()

    def step() -> None:
        x.grad = weight.grad = bias.grad = None
        torch.nn.functional.conv2d(x, weight, bias, padding=1).backward(g)

    return step


def network(torch, side: int) -> Callable:
    """Return a training step of two convolutions, each with ReLU and MaxPool, and a Linear."""
    nn = torch.nn
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (side // 4) ** 2, 10),
    )  # fmt: skip
    fastest = {"fused": True} if torch.__name__ == "torch" else {}
    optimizer = torch.optim.Adam(model.parameters(), **fastest)
    criterion = nn.CrossEntropyLoss()
    random = np.random.default_rng(0)
    x = torch.tensor(random.standard_normal((BATCH, 1, side, side), np.float32))
    y = torch.tensor(random.integers(10, size=BATCH))

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def row(name: str, aim: float, times: Times) -> list[str]:
    """Return one line of the table."""
    ratio = times.ratio("ours", "torch")
    cells = [f"{times.micro(library):,.0f}" for library in LIBRARIES]
    return [name, *cells, f"{ratio:.2f}", *verdict(ratio, aim)]


def main(effort: Effort) -> None:
    """Time all layers and networks and report."""
    cases = [["layer", *numbers] for *numbers, _ in LAYERS]
    cases += [["network", side] for side, _ in NETWORKS]
    names = [f"{c} channels, {side}x{side}, {f} filters" for c, side, f, _ in LAYERS]
    names += [f"network on {side}x{side}" for side, _ in NETWORKS]
    aims = [aim for *_, aim in LAYERS] + [aim for _, aim in NETWORKS]
    results = compare("convolution", LIBRARIES, cases, effort)
    report(
        "convolution",
        effort,
        "# Convolution, float32",
        f"Microseconds for batches of {BATCH}: a 3x3 convolution with padding 1, forward and "
        "backward with the gradients of input, weight and bias; and whole training steps of "
        "Conv 16 - MaxPool - Conv 32 - MaxPool - Linear with ReLU: forward, cross-entropy, "
        "backward, Adam's step (fused in torch), `zero_grad`.",
        table(
            ["work", "ours", "torch", "ours / torch", "aim", "met"],
            map(row, names, aims, results),
        ),
    )
