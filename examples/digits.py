"""Train a small network to read handwritten digits, and draw how it went.

python examples/digits.py                     # a few seconds; leaves digits.png
python examples/digits.py --epochs 10 --device cuda --out /tmp/digits.png
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from common import command_line
from matplotlib.ticker import MaxNLocator, PercentFormatter
from pictures import BLUE, GREY, PALE, RED, bare, looks

import tinygrad_opt
from tinygrad_opt import nn, optim
from tinygrad_opt.optim.lr_scheduler import ExponentialLR
from tinygrad_opt.training import progress
from tinygrad_opt.utils.data import DataLoader, TensorDataset

DATA = Path(__file__).parent / "data" / "digits.csv.gz"
TARGET = 0.97


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return all images, (1797, 64) from 0 for paper to 1 for ink, and their labels, (1797,)."""
    table = np.loadtxt(DATA, delimiter=",", dtype=np.float32)
    # Neighbours in the file come from one writer: shuffle, so that a cut through it is fair. The
    # seed is fixed, so everybody holds out the same images.
    table = np.random.default_rng(0).permutation(table)
    return table[:, :64] / 16, table[:, 64].astype(np.int64)


def train(train_set, held_out, epochs, device):
    """Train on one pair (images, labels), and after each epoch read the other pair.

    Returns the mean loss of each epoch, the held-out accuracy after each epoch, and the final
    probabilities for the held-out images, (number of images, 10).
    """
    images, labels = (tinygrad_opt.tensor(array).to(device) for array in train_set)
    unseen = tinygrad_opt.tensor(held_out[0]).to(device)
    loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)

    # Dropout hides three hidden units in ten at each step, so that none can rely on another.
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10))
    model.to(device)
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=4e-3)
    scheduler = ExponentialLR(optimizer, gamma=0.93)  # long strides first, then ever shorter ones

    losses, accuracies = [], []
    bar = progress(range(epochs), "training", unit="epoch")
    for _ in bar:
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        scheduler.step()
        losses.append(total / len(images))

        model.eval()  # reading needs every unit: no dropout
        with tinygrad_opt.no_grad():
            probabilities = nn.functional.softmax(model(unseen), dim=1).cpu().numpy()
        accuracies.append((probabilities.argmax(axis=1) == held_out[1]).mean())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", held_out=f"{accuracies[-1]:.1%}")
    return losses, accuracies, probabilities


def draw(options, summary, losses, accuracies, probabilities, images, labels):
    """Draw both learning curves, and beside them the digits that were hardest to read."""
    accuracy = f"{accuracies[-1]:.1%}"
    for look in looks(options.out, options.dark):
        figure = look.figure(11, 5.8, layout=None)
        figure.text(0.06, 0.91, f"{accuracy} of the unseen digits read correctly", size=19)
        figure.text(0.06, 0.86, summary, color=GREY)
        figure.text(0.585, 0.764, "The twelve hardest to read", size=12)

        box = {"left": 0.06, "right": 0.49, "top": 0.735, "bottom": 0.1, "hspace": 0.42}
        above, below = figure.subplots(2, 1, sharex=True, gridspec_kw=box)
        draw_curve(above, "Training loss", losses, GREY, f"{losses[-1]:.3f}")
        above.set_yscale("log")
        above.yaxis.set_major_formatter("{x:g}")
        draw_curve(below, "Held-out accuracy", accuracies, BLUE, accuracy)
        below.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
        below.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        below.set_ylim(top=1.002)
        below.set_xlabel("epoch")

        box = {"left": 0.585, "right": 0.98, "top": 0.72, "bottom": 0.1, "hspace": 0.38}
        chance = probabilities[np.arange(len(labels)), labels]  # given to the right answer
        gallery = figure.subplots(3, 4, gridspec_kw=box)
        for axes, i in zip(gallery.flat, chance.argsort(), strict=False):
            draw_digit(axes, images[i].reshape(8, 8), labels[i], probabilities[i])
        look.save(figure)


def draw_curve(axes, title, values, color, last):
    """Draw one value an epoch, its name above it and its last value at its end."""
    epochs = np.arange(1, len(values) + 1)
    axes.plot(epochs, values, color=color, linewidth=2.2, solid_capstyle="round")
    axes.plot(epochs[-1], values[-1], "o", color=color, clip_on=False)
    axes.annotate(
        last,
        (epochs[-1], values[-1]),
        (6, 0),
        textcoords="offset points",
        va="center",
        color=color,
        weight="bold",
    )
    axes.set_title(title)
    axes.margins(x=0.01)


def draw_digit(axes, image, label, probabilities):
    """Draw one image, and under it what it was read as; mistakes in red."""
    read = probabilities.argmax()
    text = f"{read}, {probabilities[read]:.0%} sure"
    if read != label:
        text = f"{label} read as {read}"
    axes.imshow(image, vmin=0, vmax=1, interpolation="nearest")
    axes.set_xlabel(text, color=GREY if read == label else RED, labelpad=6)
    bare(axes)
    for spine in axes.spines.values():
        spine.set(visible=True, color=RED if read != label else PALE, linewidth=1.2)


def main():
    """Train, draw, and fail when the network reads worse than it should."""
    parser = command_line(__doc__, "digits.png", quick=False)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    if options.epochs < 1:
        parser.error(f"--epochs must be at least 1, got {options.epochs}")

    tinygrad_opt.manual_seed(0)
    images, labels = load()
    cut = len(images) * 4 // 5  # the last fifth is held out: the training never sees it
    start = time.perf_counter()
    losses, accuracies, probabilities = train(
        (images[:cut], labels[:cut]), (images[cut:], labels[cut:]), options.epochs, options.device
    )
    seconds = time.perf_counter() - start

    summary = (
        f"64-128-10 network, Adam, {options.epochs} epochs over {cut:,} digits in {seconds:.1f} s; "
        f"{len(images) - cut} more held out"
    )
    draw(options, summary, losses, accuracies, probabilities, images[cut:], labels[cut:])
    print(f"held-out accuracy: {accuracies[-1]:.2%} after {seconds:.1f} s; see {options.out}")
    if accuracies[-1] < TARGET:
        sys.exit(f"that is below the {TARGET:.0%} this network should reach")


if __name__ == "__main__":
    main()
