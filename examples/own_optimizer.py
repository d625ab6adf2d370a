"""Your own optimizer in ten lines, fused like the built-in ones, and measured.

python examples/own_optimizer.py                 # ten seconds; leaves own_optimizer.png
python examples/own_optimizer.py --quick --out /tmp/own.png

What is learnt: the mathematics of an optimizer is a scalar function; `@update_rule` compiles it to
one loop that reads and writes each number once. NumPy runs the same formula as a chain of whole
arrays, through memory again and again, and a step of many small tensors pays for each of them.
The rule is Lion's (Chen et al. 2023, arXiv:2302.06675), for which there is a built-in as well.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from common import command_line
from pictures import BLUE, GREY, RED, looks

import tinygrad_opt as torch
from tinygrad_opt import optim
from tinygrad_opt.kernels import update_rule
from tinygrad_opt.training import progress


@update_rule
def lion(p, g, m, lr, beta1, beta2):
    """Step by the sign of an average of gradients."""
    c = g + beta1 * (m - g)
    step = lr if c > 0 else -lr if c < 0 else 0.0
    return p - step, g + beta2 * (m - g)


class MyLion(optim.Optimizer):
    """Ten lines in all, with the rule above."""

    rule = lion

    def __init__(self, params, lr=1e-4, beta1=0.9, beta2=0.99):
        super().__init__(params, dict(lr=lr, beta1=beta1, beta2=beta2))


class NumpyLion:
    """The same formula, written as one does in NumPy."""

    def __init__(self, params, lr=1e-4, beta1=0.9, beta2=0.99):
        self.params, self.lr, self.beta1, self.beta2 = params, lr, beta1, beta2
        self.averages = [np.zeros(p.shape, np.float32) for p in params]

    def step(self):
        for p, m in zip(self.params, self.averages, strict=True):
            array, g = p.detach().numpy(), p.grad.numpy()
            array -= self.lr * np.sign(self.beta1 * m + (1 - self.beta1) * g)
            m[...] = self.beta2 * m + (1 - self.beta2) * g


RIVALS = {"own": (MyLion, BLUE), "optim.Lion": (optim.Lion, GREY), "NumPy": (NumpyLion, RED)}


def layers(width):
    """Parameters of ten square layers, with gradients: 10 * (width * width + width) numbers."""
    torch.manual_seed(0)
    params = [torch.randn(*shape) for _ in range(10) for shape in ((width, width), (width,))]
    for p in params:
        p.requires_grad_()
        p.grad = torch.randn(*p.shape)
    return params


def same_path(steps=20):
    """The largest difference between the parameters of the three after some steps."""
    ends = []
    for make, _ in RIVALS.values():
        params = layers(16)
        optimizer = make(params)
        for _ in range(steps):
            optimizer.step()
        ends.append(np.concatenate([p.detach().numpy().ravel() for p in params]))
    return max(np.abs(end - ends[0]).max() for end in ends)


def measure(width, rounds):
    """Seconds of one step for each, (3,): quartiles. They take turns: all see the same load."""
    optimizers = {name: make(layers(width)) for name, (make, _) in RIVALS.items()}
    seconds = {name: [] for name in RIVALS}
    for _ in range(rounds):
        for name, optimizer in optimizers.items():
            start = time.perf_counter()
            optimizer.step()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.quantile(times, [0.25, 0.5, 0.75]) for name, times in seconds.items()}


def draw(options, counts, table):
    """Draw the time of a step against the number of parameters, and NumPy's share in it."""
    for look in looks(options.out, options.dark):
        figure = look.figure(8, 4.6)
        axes = figure.subplots()
        axes.set_title("One step of Lion, 20 tensors: median and middle half of the times,\n"
                       "and how many times as long as our own NumPy takes")  # fmt: skip
        for name, (_, color) in RIVALS.items():
            low, middle, high = 1e6 * np.array([row[name] for row in table]).T
            style = "--" if name == "own" else "-"  # it lies on the built-in
            axes.plot(counts, middle, style, marker="o", color=color, label=name)
            axes.fill_between(counts, low, high, color=color, alpha=0.2, linewidth=0)
        for count, row in zip(counts, table, strict=True):
            times = f"{row['NumPy'][1] / row['own'][1]:.1f}x"
            axes.annotate(times, (count, 1e6 * row["NumPy"][2]), (0, 7), ha="center", color=RED,
                          textcoords="offset points", size=9)  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel="parameters (log)", ylabel="microseconds (log)")
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.legend(loc="upper left", bbox_to_anchor=(0, 0.92))
        look.save(figure)


def main():
    """Check that all three walk the same path, time them, draw."""
    options = command_line(__doc__, "own_optimizer.png").parse_args()
    difference = same_path()
    print(f"largest difference after 20 steps: {difference:.1e}")
    if difference > 1e-6:
        sys.exit("the three should compute the same")

    widths, rounds = ([8, 64], 20) if options.quick else ([4, 8, 16, 32, 64, 128, 256, 512], 100)
    bar = progress(widths, "measuring", unit="size")
    table = [measure(width, rounds) for width in bar]
    counts = [10 * width * (width + 1) for width in widths]
    for count, row in zip(counts, table, strict=True):
        times = ", ".join(f"{name} {1e6 * seconds[1]:.0f} us" for name, seconds in row.items())
        print(f"{count:9,} parameters: {times}")
    draw(options, counts, table)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
