"""Punish steep slopes: a penalty on the gradient, which takes second derivatives to train.

python examples/gradient_penalty.py          # ten seconds or so; leaves gradient_penalty.png
python examples/gradient_penalty.py --quick --out /tmp/penalty.png

What is learnt: `autograd.grad(..., create_graph=True)` returns a gradient that is itself part of
the graph, so it may stand in the loss, and backward() then differentiates it once more. As for the
critic of a WGAN-GP, points are mixed at random out of pairs of training points, and there the loss
punishes how fast the network's answer changes. With few and noisy data a network without it learns
them by heart, is sure of everything, and wrong more often about points that it has not seen.
"""

from __future__ import annotations

import sys

from common import command_line
from pictures import BLUE, GREY, INK, RED, looks
from two_moons import believe, draw_map, grid, moons

import tinygrad_opt as torch
from tinygrad_opt import autograd, nn, optim
from tinygrad_opt.training import progress

PENALTIES = [0.0, 0.003, 0.03]
COLORS = [GREY, BLUE, RED]


def train(points, labels, penalty, steps):
    """Train with a penalty on the gradient; return the model and the slope at each step.

    The slope is the root mean square of the norm of d (logit 1 - logit 0) / d point.
    """
    torch.manual_seed(0)  # all start from the same weights
    model = nn.Sequential(
        nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 2)
    )  # fmt: skip
    x, y = torch.from_numpy(points), torch.from_numpy(labels)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)

    slopes = []
    for _ in progress(range(steps), f"penalty {penalty:g}", unit="step"):
        optimizer.zero_grad()
        share = torch.rand(len(x), 1)
        mixed = (share * x + (1 - share) * x[torch.randperm(len(x))]).requires_grad_()
        answer = model(mixed) @ torch.tensor([-1.0, 1.0])  # (points,)
        # An answer depends on its own point alone, so row i of the gradient of the sum is the
        # gradient of answer i. create_graph: this gradient will be differentiated again.
        (slope,) = autograd.grad(answer.sum(), mixed, create_graph=True)  # (points, 2)
        steepness = slope.square().sum(dim=1).mean()
        (criterion(model(x), y) + penalty * steepness).backward()
        optimizer.step()
        scheduler.step()
        slopes.append(steepness.item() ** 0.5)
    return model, slopes


def measure(model, points, labels):
    """Return the share of right answers, and the mean loss, which also asks how sure they are."""
    with torch.no_grad():
        logits = model(torch.from_numpy(points))
        loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels))
    return (logits.numpy().argmax(axis=1) == labels).mean(), loss.item()


def draw(options, points, labels, results):
    """Draw what each network believes, and below how steep its loss was during training."""
    everywhere = grid(points)
    for look in looks(options.out, options.dark):
        text = "60 noisy points, a penalty on quick changes, and what it does for unseen points"
        figure = look.figure(11, 5.6, text)
        panels = figure.subplot_mosaic([PENALTIES, ["slopes"] * 3], height_ratios=[1.6, 1])
        for color, (penalty, (model, slopes, accuracy, loss)) in zip(
            COLORS, results.items(), strict=True
        ):
            draw_map(panels[penalty], look, everywhere, believe(model, everywhere), points, labels)
            name = f"penalty {penalty:g}" if penalty else "no penalty"
            panels[penalty].set_title(f"{name}: {accuracy:.1%}, loss {loss:.2f}")
            panels["slopes"].plot(slopes, color=color)
            panels["slopes"].annotate(
                f" {name}", (len(slopes), slopes[-1]), va="center", color=color
            )
        panels["slopes"].set(title="slope of the answer between the points", xlabel="step")
        panels["slopes"].set(yscale="log", xlim=(0, 1.1 * len(slopes)))
        panels["slopes"].tick_params(labelcolor=INK)
        look.save(figure, 240)


def main():
    """Train with several penalties, count the mistakes on unseen points, draw."""
    options = command_line(__doc__, "gradient_penalty.png").parse_args()
    points, labels = moons(60, noise=0.3, seed=3)  # few and noisy: easy to learn by heart
    unseen, truth = moons(4000, noise=0.3, seed=4)
    results = {}
    for penalty in PENALTIES:
        model, slopes = train(points, labels, penalty, steps=200 if options.quick else 1000)
        accuracy, loss = measure(model, unseen, truth)
        results[penalty] = model, slopes, accuracy, loss
        print(
            f"penalty {penalty:g}: slope {slopes[-1]:.2f}, "
            f"unseen points: {accuracy:.2%} right, loss {loss:.3f}"
        )
    draw(options, points, labels, results)
    print(f"see {options.out}")
    if results[0.03][3] >= results[0.0][3]:
        sys.exit("the penalty should have lowered the loss on unseen points")


if __name__ == "__main__":
    main()
