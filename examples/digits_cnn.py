"""Read handwritten digits with a convolutional network: 99% of those it never saw.

python examples/digits_cnn.py                    # half a minute; leaves digits_cnn.png
python examples/digits_cnn.py --quick --out /tmp/cnn.png

What is learnt: a convolution looks for the same small shape everywhere in an image, so it needs
fewer examples than a network that must learn each place anew; batch normalisation and one cycle of
the learning rate make training short; moved and stretched copies of the images are new data.
"""

from __future__ import annotations

import sys

import numpy as np
from common import command_line
from digits import load
from pictures import BLUE, GREY, INK, RED, bare, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.optim.lr_scheduler import OneCycleLR
from tinygrad_opt.training import progress
from tinygrad_opt.utils.data import DataLoader, TensorDataset


class Network(nn.Module):
    """Three convolutions, two of them followed by halving the image: 8x8 to 4x4 to 2x2."""

    def __init__(self):
        super().__init__()
        # The bias of a convolution would be subtracted again by the normalisation behind it.
        self.first = nn.Conv2d(1, 16, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(16)
        self.second = nn.Conv2d(16, 32, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(32)
        self.third = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 2 * 2, 10))

    def forward(self, x):
        """Scores of the ten digits, (n, 10), for images (n, 1, 8, 8)."""
        x = F.relu(self.norm1(self.first(x)))
        x = self.pool(F.relu(self.norm2(self.second(x))))  # (n, 32, 4, 4)
        x = self.pool(F.relu(self.norm3(self.third(x))))  # (n, 64, 2, 2)
        return self.head(x)


def moved(images):
    """Each image moved and stretched a little, at random: what another writer would do.

    Row i of the result shows what stood at height `place`; between two rows, a share of each. That
    is a matrix with a tent of width 2 in each of its rows, another matrix does the columns, and
    paper comes in from outside.
    """
    n, pixel = len(images), torch.arange(8.0)

    def tents():
        stretch = 1 + 0.3 * (torch.rand(n, 1, 1, 1) - 0.5)
        shift = 1.4 * (torch.rand(n, 1, 1, 1) - 0.5)  # pixels
        place = stretch * (pixel[:, None] - 3.5) + 3.5 + shift
        return F.relu(1 - (place - pixel).abs())  # (n, 1, 8, 8)

    return tents() @ images @ tents().mT


def train(images, labels, unseen, truth, epochs):
    """Train; return the model, and after each epoch the loss and the accuracy on unseen images."""
    loader = DataLoader(TensorDataset(images, labels), batch_size=64, shuffle=True)
    model = Network()
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)  # nobody is ever quite certain
    optimizer = optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    scheduler = OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * len(loader))

    losses, accuracies = [], []
    bar = progress(range(epochs), "training", unit="epoch")
    for _ in bar:
        model.train()
        total = 0.0
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(moved(x)), y)
            loss.backward()
            optimizer.step()
            scheduler.step()  # this one is stepped after each batch, not each epoch
            total += loss.item() * len(x)
        losses.append(total / len(images))
        accuracies.append((read(model, unseen).argmax(dim=1) == truth).float().mean().item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", held_out=f"{accuracies[-1]:.1%}")
    return model, losses, accuracies


def read(model, images):
    """The probability of each digit, (n, 10)."""
    model.eval()  # no dropout, and the normalisation that was learnt instead of this batch's
    with torch.no_grad():
        return model(images).softmax(dim=1)


def draw(options, model, losses, accuracies, unseen, truth):
    """Draw the curves, what one digit looks like to the network, and what it got wrong."""
    probabilities = read(model, unseen)
    sure = probabilities.gather(1, truth[:, None])[:, 0].numpy()
    for look in looks(options.out, options.dark):
        text = f"A convolutional network reads {accuracies[-1]:.1%} of {len(truth)} unseen digits"
        figure = look.figure(11, 6.4, text)
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.55])
        draw_curves(*left.subplots(2, 1, sharex=True), losses, accuracies)
        above, below = right.subfigures(2, 1, height_ratios=[2.2, 1])
        draw_maps(above, look, model, unseen[:1])
        draw_hardest(below, unseen.numpy(), truth.numpy(), probabilities.numpy(), sure)
        look.save(figure)


def draw_curves(above, below, losses, accuracies):
    """The loss while training, and how many unseen digits were read wrongly."""
    epochs = np.arange(1, len(losses) + 1)
    above.plot(epochs, losses, color=GREY)
    above.set(title="loss while training", ylim=(0, None))
    below.plot(epochs, 100 * (1 - np.array(accuracies)), color=BLUE)
    below.axhline(1, color=RED, linewidth=1, linestyle="--")
    below.set_yscale("symlog", linthresh=1)  # a line up to 1%, logarithmic above: 0 is on it
    below.yaxis.set_major_formatter("{x:g}%")
    below.set(title="unseen digits read wrongly; 1% in red", xlabel="epoch", ylim=(0, None))


def draw_maps(figure, look, model, image):
    """What the sixteen filters of the first layer answer to one image."""
    figure.suptitle(
        "one digit, and what the first layer's filters see in it", x=0.02, ha="left", size=12
    )
    with torch.no_grad():
        maps = F.relu(model.norm1(model.first(image)))[0].numpy()
    grid = figure.subplots(3, 6)
    for axes, picture in zip(grid.flat, [image[0, 0].numpy(), *maps], strict=False):
        axes.imshow(picture, cmap=look.shades(INK if axes is grid[0, 0] else BLUE))
        bare(axes)
    grid[-1, -1].set_visible(False)


def draw_hardest(figure, images, labels, probabilities, sure):
    """The images for which the right answer got the lowest probability."""
    figure.suptitle("the hardest of the unseen", x=0.02, ha="left", size=12)
    for axes, i in zip(figure.subplots(1, 6), sure.argsort(), strict=False):
        best = probabilities[i].argmax()
        right = best == labels[i]
        text = (
            f"{best}, {probabilities[i, best]:.0%} sure" if right else f"{labels[i]} read as {best}"
        )
        axes.imshow(images[i, 0])
        axes.set_xlabel(text, color=GREY if right else RED)
        bare(axes)


def main():
    """Train on four fifths, measure on the rest, draw."""
    options = command_line(__doc__, "digits_cnn.png").parse_args()
    torch.manual_seed(0)
    images, labels = load()
    images = torch.from_numpy(images).reshape(-1, 1, 8, 8)
    labels = torch.from_numpy(labels)
    cut = len(images) * 4 // 5
    unseen, truth = images[cut:], labels[cut:]
    model, losses, accuracies = train(
        images[:cut], labels[:cut], unseen, truth, epochs=3 if options.quick else 60
    )
    draw(options, model, losses, accuracies, unseen, truth)
    print(f"loss {losses[-1]:.3f}, held-out accuracy {accuracies[-1]:.2%}; see {options.out}")
    target = 0.95 if options.quick else 0.99
    if accuracies[-1] < target:
        sys.exit(f"that is below the {target:.0%} this network should reach")


if __name__ == "__main__":
    main()
