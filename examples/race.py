"""Race all optimizers down three famous valleys, and see what each is good at.

python examples/race.py                    # about two minutes; leaves race.gif and race*.png
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
from common import command_line
from pictures import (
    BLUE,
    DPI,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PAPER,
    PURPLE,
    RED,
    bare,
    fewer_colors,
    looks,
    paint,
    pixels,
)

import tinygrad_opt
from tinygrad_opt import optim
from tinygrad_opt.training import progress

SIZE = (11, 7)  # of a picture, in inches
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
        BLUE,
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


def shading(function):
    """The height over a course, in few steps: contours as an image, (400, 400)."""
    _, _, lowest, (left, right, low, high) = COURSES[function]
    x, y = np.meshgrid(np.linspace(left, right, 400), np.linspace(low, high, 400))
    height = function(x, y) - lowest
    return np.digitize(height, np.geomspace(0.02, height.max(), 11))


def draw_course(axes, look, function, ground):
    """Draw the ground of a function, dark where it is high, its start and its goals."""
    start, goals, _, (left, right, low, high) = COURSES[function]
    axes.imshow(ground, cmap=look.shades(GREY), vmin=0, vmax=16, origin="lower", aspect="auto",
                extent=(left, right, low, high), interpolation="nearest")  # fmt: skip
    axes.plot(*np.transpose(goals), "*", color=INK, markersize=9, markeredgecolor=PAPER)
    axes.plot(*start, "o", color=PAPER, markeredgecolor=INK, markersize=4.5, zorder=5)
    axes.set(xlim=(left, right), ylim=(low, high))
    bare(axes)


def draw_field(figure, look, function, entries):
    """A panel for each racer, the first to arrive first; return {name: (line, head, verdict)}."""
    order = sorted(entries, key=lambda name: arrival(function, entries[name][1]))
    panels, ground, parts = figure.subplots(4, 7), shading(function), {}
    for axes, name in zip(panels.flat, order, strict=False):
        draw_course(axes, look, function, ground)
        axes.set_title(name, size=9, pad=3)
        (line,) = axes.plot([], [], color=COLORS[name], linewidth=1.1)
        (head,) = axes.plot([], [], "o", color=COLORS[name], markersize=5, zorder=6)
        verdict = axes.set_xlabel(" ", size=8, labelpad=3, loc="left")
        parts[name] = line, head, verdict
    for axes in panels.flat[len(order) :]:
        axes.set_axis_off()
    lines = [mpl.lines.Line2D([], [], color=color) for color, _ in FAMILIES.values()]
    box = panels.flat[len(order)]
    key = box.legend(lines, FAMILIES, loc="center left", bbox_to_anchor=(-0.05, 0.5), fontsize=8.5)
    key.set_in_layout(False)  # it may be wider than a panel
    return parts


def show(parts, function, entries, time):
    """Let all panels show the race after so many gradients."""
    for name, (line, head, verdict) in parts.items():
        lr, points = entries[name]
        needed = arrival(function, points)
        way = points[: int(min(time, needed, len(points) - 1)) + 1]
        line.set_data(*way.T)
        head.set_data(*way[-1:].T)
        if time >= needed:
            verdict.set(text=f"{needed:.0f} gradients, lr {lr:.2g}", color=INK)
        elif time >= len(points):
            verdict.set(text=f"not in {len(points)}, lr {lr:.2g}", color=GREY)
        else:
            verdict.set_text(" ")


def headline(function, entries):
    """How many arrived, in words."""
    budget = len(next(iter(entries.values()))[1])
    arrived = sum(arrival(function, points) <= budget for _, points in entries.values())
    name = function.__name__.capitalize()
    return f"{name}: {arrived} of {len(entries)} optimizers arrive within {budget} gradients"


def draw(options, results):
    """A picture for each function: whole paths, and how many gradients they took."""
    for function, entries in results.items():
        out = options.out
        if function is not rosenbrock:
            out = out.with_stem(f"{out.stem}_{function.__name__}")
        for look in looks(out, options.dark):
            figure = look.figure(*SIZE, headline(function, entries))
            parts = draw_field(figure, look, function, entries)
            show(parts, function, entries, len(entries["SGD"][1]))
            look.save(figure, 64)


def animate(options, entries, frames):
    """Write a film of Rosenbrock's valley, faster from frame to frame; return its name."""
    budget = len(entries["SGD"][1])
    times = np.unique(np.geomspace(1, budget, frames).astype(int))
    for look in looks(options.out.with_suffix(".gif"), options.dark):
        figure = look.figure(*SIZE, headline(rosenbrock, entries), dpi=DPI // 2)
        parts = draw_field(figure, look, rosenbrock, entries)
        counter = figure.text(0.995, 0.995, "", ha="right", va="top", color=GREY, size=12)
        show(parts, rosenbrock, entries, budget)  # all that will be written has its place now
        pixels(figure)
        figure.set_layout_engine("none")
        film = []
        for time in times:
            show(parts, rosenbrock, entries, time)
            counter.set_text(f"after {time} gradients")
            film.append(pixels(figure))
        # One palette for all, without dithering: what stands still costs nothing in the file.
        palette = fewer_colors(film[-1], 48).getpalette()
        film = [paint(frame, palette) for frame in film]
        pause = [100] * (len(film) - 1) + [6000]  # milliseconds
        film[0].save(look.path, save_all=True, append_images=film[1:], duration=pause, loop=0)
    return options.out.with_suffix(".gif")


def main():
    """Race, draw, animate, print who won."""
    options = command_line(__doc__, "race.png").parse_args()
    rates, budget = np.logspace(-4, 2, 13), 400
    if options.quick:
        rates, budget = [0.1], 60
    tinygrad_opt.manual_seed(0)
    results = race(rates, budget)
    draw(options, results)
    film = animate(options, results[rosenbrock], frames=6 if options.quick else 60)
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
