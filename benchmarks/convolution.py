"""Convolutions forward and backward: layers, random shapes, and networks that have them.

The random shapes show what no chosen layer does: ways that are slow for some shapes. They run on
one thread each, or on all cores with the variable CONVOLUTION_THREADS=all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import numpy as np

from benchmarks.harness import ONE_THREAD, Effort, Times, compare, report, table, verdict

BATCH = 64
# (channels, side of the image, filters of 3x3, aim for ours / torch)
LAYERS = [(1, 28, 16, 1.0), (16, 14, 32, 1.0), (1, 8, 16, 1.0), (16, 8, 32, 1.0)]
# (side of the image, aim for ours / torch)
NETWORKS = [(8, 1.0), (28, 1.0)]
LIBRARIES = ["ours", "torch"]
SHAPES, SEED, AIM, WORST = 60, 0, 1.3, 10


class Shape(NamedTuple):
    """A convolution of one or two axes, all alike."""

    axes: int
    batch: int
    channels: int
    filters: int
    side: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    @property
    def output(self) -> int:
        """The side of the result."""
        reach = self.dilation * (self.kernel - 1) + 1
        return (self.side + 2 * self.padding - reach) // self.stride + 1

    @property
    def work(self) -> int:
        """Multiply-adds of the forward pass."""
        cells = self.batch * self.filters * self.output**self.axes
        return cells * self.channels // self.groups * self.kernel**self.axes

    def __str__(self) -> str:
        settings = [f"{self.kernel} taps", f"stride {self.stride}", f"padding {self.padding}"]
        settings += [f"dilation {self.dilation}"] * (self.dilation > 1)
        settings += [f"{self.groups} groups"] * (self.groups > 1)
        sides = " x ".join([str(self.side)] * self.axes)
        return f"{self.batch} of {sides}, {self.channels} to {self.filters}: {', '.join(settings)}"


def random_shapes(count: int = SHAPES, seed: int = SEED) -> list[Shape]:
    """Return ordinary shapes, of 20 thousand to 300 million multiply-adds, always the same."""
    random, shapes = np.random.default_rng(seed), []
    channels = [1, 2, 3, 4, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256]
    while len(shapes) < count:
        axes = 1 if random.random() < 0.25 else 2
        kernel = int(random.integers(1, 8))
        stride, dilation = (int(random.choice(n)) for n in ([1, 1, 1, 2, 2, 3], [1, 1, 1, 1, 2, 3]))
        same = dilation * (kernel - 1) // 2
        padding, side = int(random.choice([0, same, same])), int(random.integers(4, 65))
        batch = int(2 ** random.uniform(0, 6.02))
        inputs, filters = (int(n) for n in random.choice(channels, 2))
        kind, groups = random.choice(["dense", "dense", "dense", "depthwise", "groups"]), 1
        if kind == "depthwise":
            groups, filters = inputs, inputs * int(random.choice([1, 1, 2]))
        if kind == "groups":
            groups = int(random.choice([2, 4, 8]))
        shape = Shape(axes, batch, inputs, filters, side, kernel, stride, padding, dilation, groups)
        fits = inputs % groups == filters % groups == 0
        if fits and shape.output > 0 and 2e4 < shape.work < 3e8:
            shapes.append(shape)
    return shapes


def prepare(library: str, case: list) -> Callable:
    """Return one pass through a layer, or one training step of a network, of the library."""
    torch = import_module("torch" if library == "torch" else "tinygrad_opt")
    return layer(torch, Shape(*case[1:])) if case[0] == "layer" else network(torch, *case[1:])


def layer(torch, shape: Shape) -> Callable:
    """Return a convolution and its three gradients for one batch of noise."""
    random = np.random.default_rng(0)

    def noise(*sizes: int):
        return torch.tensor(random.standard_normal(sizes, np.float32), requires_grad=True)

    axes, filters = shape.axes, shape.filters
    x = noise(shape.batch, shape.channels, *(shape.side,) * axes)
    weight = noise(filters, shape.channels // shape.groups, *(shape.kernel,) * axes)
    bias, g = noise(filters), noise(shape.batch, filters, *(shape.output,) * axes).detach()
    convolve = getattr(torch.nn.functional, f"conv{axes}d")
    settings = shape.stride, shape.padding, shape.dilation, shape.groups

    def step() -> None:
        x.grad = weight.grad = bias.grad = None
        convolve(x, weight, bias, *settings).backward(g)

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


def sweep(effort: Effort) -> list[str]:
    """Time the random shapes; return what the report says of them."""
    alone = os.environ.get("CONVOLUTION_THREADS") != "all"
    ours, torch = (f"{name}, {ONE_THREAD}" if alone else name for name in LIBRARIES)
    shapes = random_shapes()
    results = compare("convolution", [ours, torch], [["layer", *s] for s in shapes], effort)
    lines = sorted(
        (times.least_ratio(ours, torch), str(shape), times.least(ours), times.least(torch))
        for shape, times in zip(shapes, results, strict=True)
    )[::-1]
    ratios = [ratio for ratio, *_ in lines]
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return [
        f"## {SHAPES} random shapes (seed {SEED}), {ONE_THREAD if alone else 'all cores'}",
        "Forward and backward, the least of all rounds. Ours takes "
        f"{sum(line[2] for line in lines) / sum(line[3] for line in lines):.2f} of PyTorch's time "
        f"for all together; the ratios have the geometric mean {mean:.2f}, and "
        f"{sum(ratio > AIM for ratio in ratios)} of them exceed {AIM}. The worst:",
        table(
            ["batch, image, channels: settings", "ours", "torch", "ours / torch"],
            [
                [name, f"{a:,.0f}", f"{b:,.0f}", f"{ratio:.2f}"]
                for ratio, name, a, b in lines[:WORST]
            ],
        ),
    ]


def main(effort: Effort) -> None:
    """Time all layers, networks and random shapes and report."""
    layers = [Shape(2, BATCH, c, f, side, 3, padding=1) for c, side, f, _ in LAYERS]
    cases = [["layer", *shape] for shape in layers]
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
        *sweep(effort),
    )
