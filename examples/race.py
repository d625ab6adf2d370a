"""Race all optimizers down three famous valleys, and see what each is good at.

python examples/race.py                          # about two minutes; leaves race.png and race.gif
python examples/race.py --quick --out /tmp/race.png

What is learnt: every optimizer is used alike, through a closure, as LBFGS needs it; a function that
is written in operators takes NumPy arrays (for the contours) as well as tensors (for the gradient);
and no optimizer wins everywhere. Rosenbrock's valley is curved and narrow, Beale's function has
steep walls around flat land, and at the saddle the slope that leads out is at first tiny.

The race is fair as far as two dimensions allow: each starts with the learning rate, out of a coarse
grid, with which it arrives first and stays there; what counts is how often it asked for a gradient.
"""

from __future__ import annotations

import functools

import matplotlib as mpl
import numpy as np
from common import (
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PURPLE,
    RED,
    STYLE,
    command_line,
    fewer_colors,
    pixels,
    save,
)
from matplotlib.figure import Figure
from PIL import Image

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.training import progress

CLOSE = 0.01  # a racer has arrived when the function is this close to its minimum


def rosenbrock(x, y):
    """A curved valley with a flat floor."""
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def beale(x, y):
    """Steep at the walls, flat in the middle."""
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


def saddle(x, y):
    """A pass between two hollows: the slope across it is steep, the slope along it is not."""
    return 2 * x**2 - y**2 + y**4 / 4


# Function: start, the lowest points, the lowest value, and what to draw: (left, right, low, high).
COURSES = {
    rosenbrock: ((-1.5, 2.0), [(1, 1)], 0.0, (-2.1, 2.1, -1, 3.2)),
    beale: ((1.0, 1.5), [(3, 0.5)], 0.0, (-0.5, 4.2, -1.5, 2)),
    saddle: ((1.5, 0.01), [(0, -(2**0.5)), (0, 2**0.5)], -1.0, (-1.9, 1.9, -2.1, 2.1)),
}

# Family: its colour and its members. `partial` holds what is not left at its default.
FAMILIES = {
    "gradient descent": (
        GREY,
        {
            "SGD": optim.SGD,
            "SGD, momentum": functools.partial(optim.SGD, momentum=0.9),
            "SGD, Nesterov": functools.partial(optim.SGD, momentum=0.9, nesterov=True),
            "ASGD": optim.ASGD,
            "SGDScheduleFree": optim.SGDScheduleFree,
        },
    ),
    "a rate for each coordinate": (
        ORANGE,
        {
            "Adagrad": optim.Adagrad,
            "Adadelta": optim.Adadelta,
            "RMSprop": optim.RMSprop,
            "Rprop": optim.Rprop,
            "Adafactor": optim.Adafactor,
        },
    ),
    "that and momentum": (
        RED,
        {
            "Adam": optim.Adam,
            "AdamW": optim.AdamW,
            "Adamax": optim.Adamax,
            "NAdam": optim.NAdam,
            "RAdam": optim.RAdam,
            "AdaBelief": optim.AdaBelief,
            "Adan": optim.Adan,
            "ADOPT": optim.ADOPT,
            "AdamWScheduleFree": optim.AdamWScheduleFree,
            "Prodigy": optim.Prodigy,
        },
    ),
    "steps of a given length": (
        GREEN,
        {"Lion": optim.Lion, "Muon": optim.Muon, "LARS": optim.LARS, "LAMB": optim.LAMB},
    ),
    "curvature": (
        PURPLE,
        {
            "LBFGS": functools.partial(optim.LBFGS, line_search_fn="strong_wolfe"),
            "SOAP": functools.partial(optim.SOAP, precondition_frequency=1),
        },
    ),
}
RACERS = {name: make for _, members in FAMILIES.values() for name, make in members.items()}
COLORS = {name: color for color, members in FAMILIES.values() for name in members}


def run(function, make, lr, budget):
    """Let one optimizer run; return the points where it took a gradient, (budget, 2).

    A racer that leaves the track (a value that is not finite) stays where it was.
    """
    start = COURSES[function][0]
    # A matrix with one row: Muon and SOAP work on matrices, and to the others the shape is one.
    point = tinygrad_opt.tensor([start], dtype=tinygrad_opt.float64, requires_grad=True)
    optimizer = make([point], lr=lr)
    if hasattr(optimizer, "train"):  # schedule-free ones have two modes
        optimizer.train()
    path = []

    def closure():
        optimizer.zero_grad()
        path.append(point.detach().numpy()[0].copy())
        value = function(point[0, 0], point[0, 1])
        value.backward()
        return value

    while len(path) < budget:
        # A step asks for one gradient; LBFGS asks for as many as its line search needs.
        optimizer.step(closure)
        if not np.abs(path[-1]).max() < 1e3:
            path[-1:] = [path[-2] if len(path) > 1 else np.array(start)] * budget
    return np.array(path[:budget])


def arrival(function, path):
    """How many gradients it took to come close and to stay; more than there were, if it did not."""
    height = function(*path.T) - COURSES[function][2]
    if height[-1] >= CLOSE:
        return len(path) + height[-1]
    return len(path) - np.argmax(height[::-1] >= CLOSE)


def race(rates, budget):
    """Return {function: {name: (lr, path)}}, each with the rate with which it arrives first."""
    results = {function: {} for function in COURSES}
    heats = [(function, name) for function in COURSES for name in RACERS]
    for function, name in progress(heats, "racing", unit="heat"):
        paths = [(lr, run(function, RACERS[name], lr, budget)) for lr in rates]
        results[function][name] = min(paths, key=lambda pair: arrival(function, pair[1]))
    return results


def draw_course(axes, function):
    """Draw the contours of a function, denser near its minimum, its start and its goals."""
    start, goals, lowest, (left, right, low, high) = COURSES[function]
    x, y = np.meshgrid(np.linspace(left, right, 200), np.linspace(low, high, 200))
    height = function(x, y) - lowest
    levels = np.geomspace(0.02, height.max(), 14)
    axes.contourf(x, y, height, [0, *levels], cmap="Greys", norm="asinh", alpha=0.35)
    axes.contour(x, y, height, levels, colors="white", linewidths=0.6)
    axes.plot(*np.transpose(goals), "*", color=INK, markersize=13, markeredgecolor="white")
    axes.plot(*start, "o", color="white", markeredgecolor=INK, zorder=5)
    axes.set(title=function.__name__.capitalize(), xlim=(left, right), ylim=(low, high))
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def draw_times(axes, function, entries, budget):
    """Draw a bar for each racer: how many gradients it took, the fastest on top."""
    times = {name: arrival(function, path) for name, (_, path) in entries.items()}
    names = sorted(times, key=times.get, reverse=True)
    last = min(budget, times[names[0]])
    for i, name in enumerate(names):
        arrived = times[name] <= budget
        axes.barh(i, min(times[name], budget), 0.7, color=COLORS[name] if arrived else PALE)
        text = f"{times[name]:.0f}" if arrived else "did not arrive"
        axes.annotate(text, (min(times[name], budget), i), (4, 0), textcoords="offset points",
                      va="center", size=8, color=GREY)  # fmt: skip
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, last * 1.3))
    axes.set(ylim=(-0.6, len(names) - 0.4), xlabel="gradients until the goal")
    axes.tick_params(axis="y", labelsize=8, labelcolor=INK)
    axes.grid(False)


def draw(path, results, budget):
    """Draw the trajectories over the contours, and below them who arrived when."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 9.2), layout="constrained")
        figure.suptitle(f"{len(RACERS)} optimizers, three valleys", x=0.01, ha="left")
        above, below = figure.subplots(2, 3, height_ratios=[1, 1.15])
        for top, bottom, (function, entries) in zip(above, below, results.items(), strict=True):
            draw_course(top, function)
            for name, (_, points) in entries.items():
                way = points[: int(arrival(function, points)) + 1]
                top.plot(*way.T, color=COLORS[name], linewidth=1.1, alpha=0.7)
            draw_times(bottom, function, entries, budget)
        lines = [mpl.lines.Line2D([], [], color=color) for color, _ in FAMILIES.values()]
        figure.legend(lines, FAMILIES, loc="outside lower center", ncols=len(FAMILIES))
        save(figure, path)


def animate(path, results, frames):
    """Write a film: the racers as dots with short tails, faster from frame to frame."""
    budget = len(next(iter(results[rosenbrock].values()))[1])
    shown = np.unique(np.geomspace(1, budget, frames).astype(int)) - 1
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4), dpi=64, layout="constrained")
        tails = []
        for axes, (function, entries) in zip(figure.subplots(1, 3), results.items(), strict=True):
            draw_course(axes, function)
            for name, (_, points) in entries.items():
                style = dict(color=COLORS[name], linewidth=1, marker="o", markersize=4)
                (line,) = axes.plot([], [], markevery=[-1], **style)
                tails.append((line, points))
        counter = figure.text(0.995, 0.95, "", ha="right", color=GREY)

        film = []
        for t in shown:
            for line, points in tails:
                line.set_data(*points[max(0, t - 8) : t + 1].T)
            counter.set_text(f"{t} gradients")
            film.append(pixels(figure))
    # One palette for all, without dithering: what stands still then costs nothing in the file.
    palette = fewer_colors(film[len(film) // 2], 48)
    film = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in film]
    pause = [120] * (len(film) - 1) + [2000]  # milliseconds
    film[0].save(path, save_all=True, append_images=film[1:], duration=pause, loop=0)


def main():
    """Race, draw, animate, print who won."""
    options = command_line(__doc__, "race.png").parse_args()
    rates, budget = np.logspace(-4, 2, 13), 400
    if options.quick:
        rates, budget = [0.1], 60
    tinygrad_opt.manual_seed(0)
    results = race(rates, budget)
    film = options.out.with_suffix(".gif")
    draw(options.out, results, budget)
    animate(film, results, frames=6 if options.quick else 60)
    for function, entries in results.items():
        times = {name: arrival(function, points) for name, (_, points) in entries.items()}
        first = min(times, key=times.get)
        arrived = sum(time <= budget for time in times.values())
        print(
            f"{function.__name__}: {arrived} of {len(times)} arrived within {budget} gradients; "
            f"first {first} (lr={entries[first][0]:.2g}) with {times[first]:.0f}"
        )
    print(f"see {options.out} and {film}")


if __name__ == "__main__":
    main()
