"""Tell two moons apart with a small network, and watch its decision boundary take shape.

python examples/two_moons.py                     # a few seconds; leaves two_moons.png
python examples/two_moons.py --quick --out /tmp/moons.png

What is learnt: the training loop, in its whole length; a network can be asked about any point, so
what it believes can be drawn as a map; weight decay keeps that map smooth where data is noisy.
"""

from __future__ import annotations

import sys

import numpy as np
from common import command_line
from pictures import BLUE, GREY, INK, ORANGE, PAPER, bare, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.training import progress

EDGE = 1.0  # how far the map goes beyond the data
RESOLUTION = 150


def moons(count: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that reach into each other: points (count, 2) and 0 or 1 for each."""
    generator = np.random.default_rng(seed)
    label = np.arange(count) % 2
    angle = generator.uniform(0, np.pi, count)
    # The second moon is the first one turned by half a circle and moved.
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points[label == 1] = [1.0, 0.5] - points[label == 1]
    points += generator.normal(0, noise, points.shape)
    return points.astype(np.float32), label.astype(np.int64)


def grid(points: np.ndarray) -> np.ndarray:
    """Points on a regular grid that covers the data: (RESOLUTION, RESOLUTION, 2)."""
    (left, low), (right, high) = points.min(axis=0) - EDGE, points.max(axis=0) + EDGE
    x, y = np.linspace(left, right, RESOLUTION), np.linspace(low, high, RESOLUTION)
    return np.stack(np.meshgrid(x, y), axis=2).astype(np.float32)


def believe(model: nn.Module, points: np.ndarray) -> np.ndarray:
    """The probability of label 1 for each point, of any shape (..., 2)."""
    with torch.no_grad():
        logits = model(torch.from_numpy(points))
    return logits.softmax(dim=-1)[..., 1].numpy()


def train(points, labels, steps, snapshots):
    """Train; return the model, the loss of each step, and {step: map of what it believed}."""
    x, y = torch.from_numpy(points), torch.from_numpy(labels)
    model = nn.Sequential(
        nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 2)
    )  # fmt: skip
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.AdamW(model.parameters(), lr=0.02, weight_decay=1.0)
    scheduler = CosineAnnealingLR(optimizer, T_max=steps)

    everywhere, maps, losses = grid(points), {}, []
    for step in progress(range(steps + 1), "training", unit="step"):
        if step in snapshots:
            maps[step] = believe(model, everywhere)
        optimizer.zero_grad()  # gradients add up otherwise
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()  # after the optimizer
        losses.append(loss.item())
    return model, losses, maps


def draw_map(axes, look, everywhere, belief, points, labels):
    """Draw what the network believes, the line where it is undecided, and the data."""
    x, y = everywhere[..., 0], everywhere[..., 1]
    box = (x.min(), x.max(), y.min(), y.max())
    axes.imshow(belief, cmap=look.shades(BLUE, PAPER, ORANGE), vmin=0, vmax=1, alpha=0.45,
                origin="lower", extent=box, interpolation="bilinear")  # fmt: skip
    axes.contour(x, y, belief, [0.5], colors=INK, linewidths=1.6)
    for label, color in enumerate((BLUE, ORANGE)):
        dots = points[labels == label]
        axes.scatter(*dots.T, s=9, color=color, edgecolors=PAPER, linewidths=0.4)
    bare(axes)


def draw(options, points, labels, losses, maps, summary):
    """Draw the last map large; beside it the way there, and the loss."""
    everywhere = grid(points)
    *early, last = maps
    for look in looks(options.out, options.dark):
        figure = look.figure(11, 5.2, summary)
        panels = figure.subplot_mosaic(
            [["last", *early[:2]], ["last", *early[2:]], ["last", "loss", "loss"]],
            height_ratios=[1, 1, 0.75],
            width_ratios=[2.7, 1, 1],
        )  # fmt: skip
        for step, belief in maps.items():
            axes = panels["last" if step == last else step]
            draw_map(axes, look, everywhere, belief, points, labels)
            axes.set_title(f"after {step} steps" if step else "before training")
        panels["loss"].plot(losses, color=GREY)
        shown = [losses[step] for step in maps]
        panels["loss"].plot(list(maps), shown, "o", color=INK, markersize=4)
        panels["loss"].set(title="loss", xlabel="step", ylim=(0, None))
        look.save(figure)


def main():
    """Train, measure on points that were not seen, draw."""
    options = command_line(__doc__, "two_moons.png").parse_args()
    snapshots = [0, 10, 20, 80, 150] if options.quick else [0, 20, 40, 80, 800]
    torch.manual_seed(0)
    points, labels = moons(400, noise=0.2, seed=0)
    model, losses, maps = train(points, labels, snapshots[-1], snapshots)

    unseen, truth = moons(2000, noise=0.2, seed=1)
    accuracy = ((believe(model, unseen) > 0.5) == truth).mean()
    summary = f"Two moons: {accuracy:.1%} of 2,000 unseen points told apart"
    draw(options, points, labels, losses, maps, summary)
    print(f"loss {losses[-1]:.3f}, accuracy {accuracy:.2%}; see {options.out}")
    if accuracy < 0.95:
        sys.exit("that is below the 95% this network should reach")


if __name__ == "__main__":
    main()
