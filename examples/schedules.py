"""One task, one optimizer, eight schedules: what does the learning rate do to the loss?

python examples/schedules.py                     # about a minute; leaves schedules_compared.png
python examples/schedules.py --quick --out /tmp/schedules.png

What is learnt: a scheduler is stepped after the optimizer, and most know beforehand how many steps
there will be. With small batches and a large rate the loss first falls fast and then hovers: the
noise of the batches keeps the weights moving about the valley. Lowering the rate lets them settle.
When it is lowered matters less than that it is lowered, and that it was large before.
"""

from __future__ import annotations

import sys

import numpy as np
from common import command_line
from digits import load
from pictures import BLUE, GREY, PALE, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.optim import lr_scheduler as schedulers
from tinygrad_opt.training import progress
from tinygrad_opt.utils.data import DataLoader, TensorDataset

RATE, EVERY = 0.4, 25  # the learning rate, and how often the held-out loss is measured, in steps

# Name: what makes the scheduler, from the optimizer and the number of steps.
SCHEDULES = {
    "FixedLR": lambda o, n: schedulers.FixedLR(o),
    "TimeDecayLR": lambda o, n: schedulers.TimeDecayLR(o, decay_rate=20 / n),
    "StepLR": lambda o, n: schedulers.StepLR(o, step_size=n // 4, gamma=0.3),
    "ExponentialLR": lambda o, n: schedulers.ExponentialLR(o, gamma=0.02 ** (1 / n)),
    "CosineAnnealingLR": lambda o, n: schedulers.CosineAnnealingLR(o, T_max=n),
    "WarmRestarts": lambda o, n: schedulers.CosineAnnealingWarmRestarts(o, T_0=n // 3),
    "OneCycleLR": lambda o, n: schedulers.OneCycleLR(
        o, max_lr=1.5 * RATE, total_steps=n + 1, cycle_momentum=False
    ),
    "WarmupStableDecayLR": lambda o, n: schedulers.WarmupStableDecayLR(
        o, warmup_steps=n // 20, stable_steps=n * 13 // 20, decay_steps=n * 3 // 10
    ),
}


def train(make, train_set, held_out, steps, seed):
    """Train once; return the rate at each step, and the held-out loss every `EVERY` steps."""
    torch.manual_seed(seed)  # the same weights and batches for every schedule
    loader = DataLoader(train_set, batch_size=8, shuffle=True, drop_last=True)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.SGD(model.parameters(), lr=RATE, weight_decay=1e-3)
    scheduler = make(optimizer, steps)
    rates, losses = [], []
    while len(rates) < steps:
        for x, y in loader:
            if len(rates) % EVERY == 0:
                with torch.no_grad():
                    losses.append(criterion(model(held_out[0]), held_out[1]).item())
            if len(rates) == steps:
                break
            rates.append(scheduler.get_last_lr()[0])
            optimizer.zero_grad()
            criterion(model(x), y).backward()
            optimizer.step()
            scheduler.step()
    return rates, losses


def draw(options, results):
    """Draw for each schedule its rate above and its loss below, the others' losses in grey."""
    lowest = min(losses.min() for _, losses in results.values())
    for look in looks(options.out, options.dark):
        text = "Reading digits with SGD, batches of eight: the rate, and what becomes of the loss"
        figure = look.figure(13, 6.6, text)
        rows = figure.subplots(4, 4, height_ratios=[1, 2, 1, 2], sharex=True, sharey="row")
        pairs = [(rows[i, k], rows[i + 1, k]) for i in (0, 2) for k in range(4)]
        for (above, below), name in zip(pairs, results, strict=True):
            rates, losses = results[name]
            # A rate holds for a whole step: edges of steps, not slopes between them.
            above.stairs(rates, fill=True, color=BLUE, alpha=0.15)
            above.stairs(rates, baseline=None, color=BLUE, linewidth=1.8)
            above.set(title=name, ylim=(0, 1.6 * RATE))
            for other, (_, curve) in results.items():
                mine = other == name
                below.plot(
                    EVERY * np.arange(len(curve)),
                    curve,
                    color=BLUE if mine else PALE,
                    linewidth=1.8 if mine else 0.7,
                    zorder=3 if mine else 2,
                )
            below.set_yscale("log")
            below.set(ylim=(0.97 * lowest, 2.0 * lowest), xlabel="step")
            marks = [mark for mark in (0.6, 0.8, 1.0, 1.5, 2.0) if mark < 2 * lowest]
            below.set_yticks(marks, [f"{mark:g}" for mark in marks])
            below.set_yticks([], minor=True)
            below.text(1, 0.9, f"{losses[-3:].mean():.3f}", color=BLUE, weight="bold",
                       ha="right", transform=below.transAxes)  # fmt: skip
        for row, label in zip(rows[:, 0], ["rate", "held-out loss (log)"] * 2, strict=True):
            row.set_ylabel(label, color=GREY)
        look.save(figure, 64)


def main():
    """Train with each schedule and several seeds, draw the means, print the last losses."""
    options = command_line(__doc__, "schedules_compared.png").parse_args()
    steps, seeds = (100, 1) if options.quick else (3000, 3)
    images, labels = map(torch.from_numpy, load())
    cut = len(images) * 4 // 5
    train_set, held_out = TensorDataset(images[:cut], labels[:cut]), (images[cut:], labels[cut:])

    results = {}
    for name, make in progress(SCHEDULES.items(), "training", unit="schedule"):
        runs = [train(make, train_set, held_out, steps, seed) for seed in range(seeds)]
        results[name] = runs[0][0], np.mean([losses for _, losses in runs], axis=0)
        print(f"{name:20} last losses {results[name][1][-3:].mean():.4f}")
    draw(options, results)
    print(f"see {options.out}")
    if not options.quick and min(results, key=lambda name: results[name][1][-1]) == "FixedLR":
        sys.exit("a schedule should have been better than none")


if __name__ == "__main__":
    main()
