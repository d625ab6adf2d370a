"""Textbook and PyTorch forms of the same optimizers: how far apart are the paths?

python examples/textbook_forms.py                # a few seconds; leaves textbook_forms.png
python examples/textbook_forms.py --quick --out /tmp/forms.png

What is learnt: "momentum", "RMSprop" and "Adam" each name two formulas. `optim.textbook` has the
ones that are printed in courses, `optim` has PyTorch's. With the same learning rate,

    Momentum    averages the gradient, (1 - b) g, where PyTorch sums it: a tenth of it for b = 0.9.
                Ten times the rate gives the same path exactly.
    Adam        does not correct the first average for having begun at zero, so its first steps are
                short: a warm-up that PyTorch's form lacks.
    RMSprop     adds eps below the root, PyTorch after it. That shows only where the gradient is
                small against sqrt(eps), which is 1e-4 and not 1e-8: there the textbook waits.
"""

from __future__ import annotations

import numpy as np
from common import command_line
from pictures import BLUE, GREY, INK, ORANGE, PAPER, RED, bare, looks

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.optim import textbook

START = (-2.3, 1.4)


def bowl(x, y):
    """A long bowl, ten times as steep across as along."""
    return 0.05 * x**2 + 0.5 * y**2


def faint(x, y):
    """The same bowl, so flat that its gradients are about as large as sqrt(eps)."""
    return 1e-4 * bowl(x, y)


# Title, function, then (label, colour, optimizer class, settings) of each path.
PANELS = [
    (
        "Momentum: average or sum",
        bowl,
        [
            ("PyTorch: v = b v + g", BLUE, optim.SGD, dict(lr=0.1, momentum=0.9)),
            ("textbook: v = b v + (1 - b) g", RED, textbook.Momentum, dict(lr=0.1, beta=0.9)),
            ("textbook, ten times the lr", ORANGE, textbook.Momentum, dict(lr=1.0, beta=0.9)),
        ],
    ),
    (
        "Adam: with and without correcting m",
        bowl,
        [
            ("PyTorch: m / (1 - b1^t)", BLUE, optim.Adam, dict(lr=0.2)),
            ("textbook: m", RED, textbook.Adam, dict(lr=0.2)),
        ],
    ),
    (
        "RMSprop on a faint slope: where eps stands",
        faint,
        [
            ("PyTorch: sqrt(s) + eps", BLUE, optim.RMSprop, dict(lr=0.03, alpha=0.9)),
            ("textbook: sqrt(s + eps)", RED, textbook.RMSprop, dict(lr=0.03, beta=0.9)),
        ],
    ),
]


def follow(function, make, settings, steps):
    """Return the points that an optimizer visits, (steps + 1, 2)."""
    point = tinygrad_opt.tensor(START, dtype=tinygrad_opt.float64, requires_grad=True)
    optimizer = make([point], **settings)
    path = [point.tolist()]
    for _ in range(steps):
        optimizer.zero_grad()
        function(*point).backward()  # a tensor unpacks into its elements
        optimizer.step()
        path.append(point.tolist())
    return np.array(path)


def draw_paths(axes, look, function, paths):
    """Draw the contours, and the paths with a dot for each of the first steps."""
    x, y = np.meshgrid(np.linspace(-2.8, 1.4, 160), np.linspace(-2.1, 1.9, 160))
    height = function(x, y)
    axes.contourf(
        x, y, height, height.max() * np.linspace(0, 1, 12) ** 2, cmap=look.shades(GREY), alpha=0.6
    )
    for label, color, path in paths:
        style = "--" if color == ORANGE else "-"  # so that what lies below it is seen
        axes.plot(*path.T, style, color=color, linewidth=1.3, label=label)
        axes.plot(*path[:13].T, "o", color=color, markersize=3.5)
    axes.plot(0, 0, "*", color=INK, markersize=13, markeredgecolor=PAPER)
    axes.plot(*START, "o", color=PAPER, markeredgecolor=INK)
    axes.set(xlim=(-2.8, 1.4), ylim=(-2.1, 1.9))
    bare(axes)
    axes.legend(loc="lower left", fontsize=9)


def draw_distances(axes, paths):
    """Draw how far from the minimum each path still is."""
    for _, color, path in paths:
        style = "--" if color == ORANGE else "-"
        axes.plot(np.linalg.norm(path, axis=1), style, color=color)
    axes.set(xlabel="step", ylim=(0, None), xlim=(0, None))


def draw(options, results):
    """Draw the paths above, the distances below."""
    for look in looks(options.out, options.dark):
        text = "One name, two formulas: the same start, dots are the first twelve steps"
        figure = look.figure(13, 6.2, text)
        above, below = figure.subplots(2, 3, height_ratios=[1.7, 1])
        for top, bottom, (title, function, paths) in zip(above, below, results, strict=True):
            top.set_title(title)
            draw_paths(top, look, function, paths)
            draw_distances(bottom, paths)
        below[0].set_ylabel("distance to the minimum", color=GREY)
        look.save(figure)


def main():
    """Follow all paths, draw them, and print after how many steps each is near the minimum."""
    options = command_line(__doc__, "textbook_forms.png").parse_args()
    steps = 40 if options.quick else 100
    results = []
    for title, function, forms in PANELS:
        paths = [
            (label, color, follow(function, make, settings, steps))
            for label, color, make, settings in forms
        ]
        results.append((title, function, paths))
        print(title)
        for label, _, path in paths:
            first = np.linalg.norm(path[1] - path[0])
            left = np.linalg.norm(path[-1])
            print(f"  {label:32} first step {first:.4f}, distance after {steps} steps {left:.3f}")
    draw(options, results)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
