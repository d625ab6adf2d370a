"""Learn to write digits: a variational autoencoder that lays all of them out on one sheet.

python examples/vae.py                    # ten seconds; leaves vae.png
python examples/vae.py --quick --out /tmp/vae.png

What is learnt: an encoder turns an image into a place on a plane (and how sure it is of it), a
decoder draws an image for any place; noise between the two makes neighbours alike, so that what
lies between two digits can be drawn as well. The noise is drawn first, then stretched and moved, so
that gradients flow through it.

Kingma & Welling 2014, arXiv:1312.6114.
"""

from __future__ import annotations

import sys

import numpy as np
from common import command_line
from digits import load
from pictures import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, RED, bare, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import functional as F
from tinygrad_opt.optim.lr_scheduler import CosineAnnealingLR
from tinygrad_opt.training import progress
from tinygrad_opt.utils.data import DataLoader, TensorDataset

SHEET = 13  # images in a row and in a column of the sheet
EDGE = 2.2  # how far the sheet goes, in standard deviations
STEPS = 12  # of the walk between two digits


class VAE(nn.Module):
    """64 pixels to a place on the plane and back."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, 256), nn.SiLU(), nn.Linear(256, 128), nn.SiLU(), nn.Linear(128, 4)
        )
        self.decoder = nn.Sequential(
            nn.Linear(2, 128), nn.SiLU(), nn.Linear(128, 256), nn.SiLU(), nn.Linear(256, 64)
        )

    def encode(self, x):
        """The middle of where each image may lie, (n, 2), and log(variance) around it, (n, 2)."""
        return self.encoder(x).chunk(2, dim=1)

    def decode(self, place):
        """An image, (n, 64) from 0 to 1, for each place (n, 2)."""
        return self.decoder(place).sigmoid()

    def forward(self, x):
        """Scores of each pixel, drawn from a place near the middle; the middle; log(variance)."""
        middle, log_variance = self.encode(x)
        place = middle + (log_variance / 2).exp() * torch.randn_like(middle)
        return self.decoder(place), middle, log_variance


def loss_parts(model, x):
    """How badly the images are redrawn, and how far the places are from a normal distribution.

    Together a bound on -log p(image), in nats for each image. The second is in closed form:
    KL(N(m, v) || N(0, 1)) = (m^2 + v - 1 - log v) / 2.
    """
    scores, m, log_v = model(x)
    redrawn = F.binary_cross_entropy_with_logits(scores, x, reduction="sum") / len(x)
    apart = (m**2 + log_v.exp() - 1 - log_v).sum() / 2 / len(x)
    return redrawn, apart


def train(images, unseen, epochs):
    """Train; return the model and, for each epoch, the loss on both sets."""
    loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True)
    model = VAE()
    optimizer = optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.1)
    scheduler = CosineAnnealingLR(optimizer, T_max=epochs)

    curves = []
    bar = progress(range(epochs), "training", unit="epoch")
    for _ in bar:
        total = 0.0
        for (x,) in loader:
            optimizer.zero_grad()
            loss = sum(loss_parts(model, x))
            loss.backward()
            optimizer.step()
            total += loss.item() * len(x)
        scheduler.step()
        with torch.no_grad():
            curves.append((total / len(images), sum(loss_parts(model, unseen)).item()))
        bar.set_postfix(loss=f"{curves[-1][0]:.2f}", held_out=f"{curves[-1][1]:.2f}")
    return model, curves


@torch.no_grad()
def sheet(model):
    """What the decoder draws for a grid of places: one picture."""
    ticks = torch.linspace(-EDGE, EDGE, SHEET)
    y, x = torch.meshgrid(ticks.flip(0), ticks, indexing="ij")  # up is up
    drawn = model.decode(torch.stack([x, y], dim=-1).reshape(-1, 2)).reshape(-1, 8, 8)
    apart = F.pad(drawn, (0, 0, 1, 1)).reshape(SHEET, SHEET, 10, 8)  # paper between the rows
    return apart.transpose(1, 2).reshape(10 * SHEET, 8 * SHEET).numpy()


@torch.no_grad()
def walk(model, start, end):
    """Where a straight line from one image to another goes, (STEPS, 2), and what is drawn there."""
    (first, last), _ = model.encode(torch.stack([start, end]))
    places = torch.lerp(first, last, torch.linspace(0, 1, STEPS)[:, None])
    return places.numpy(), model.decode(places).reshape(STEPS, 8, 8).numpy()


def draw(options, model, curves, unseen, labels):
    """Draw the sheet, where unseen digits lie on it, a walk from a 0 to a 1, and the loss."""
    ends = [unseen[np.flatnonzero(labels == digit)[0]] for digit in (0, 1)]
    places, steps = walk(model, *ends)
    with torch.no_grad():
        middle = model.encode(unseen)[0].numpy()
    for look in looks(options.out, options.dark):
        text = "Digits nobody wrote: what a decoder draws, place by place"
        figure = look.figure(11, 7.2, text)
        panels = figure.subplot_mosaic(
            [["sheet", "sheet", "map"], ["sheet", "sheet", "loss"], ["walk", "walk", "walk"]],
            height_ratios=[1.25, 0.7, 0.36],
        )
        panels["sheet"].imshow(sheet(model), aspect="auto")
        bare(panels["sheet"])
        draw_places(panels["map"], middle, labels, places)
        draw_walk(panels["walk"], steps)
        draw_losses(panels["loss"], np.array(curves))
        look.save(figure)


def draw_losses(axes, curves):
    """The loss on the images that train, and on unseen ones."""
    epochs = np.arange(1, len(curves) + 1)
    axes.plot(epochs, curves[:, 0], color=GREY, label="training")
    axes.plot(epochs, curves[:, 1], color=BLUE, label="held out")
    top = np.quantile(curves, 0.97)  # the first epochs would press the others flat
    axes.set(title="loss (nats)", xlabel="epoch", ylim=(None, top))
    axes.legend()


def draw_places(axes, middle, labels, places):
    """Each unseen digit where the encoder puts it, and the line of the walk."""
    colors = (BLUE, ORANGE, GREEN, RED, PURPLE)  # they help the eye; which digit it is, it says
    for (x, y), label in zip(middle, labels, strict=True):
        if max(abs(x), abs(y)) < EDGE:
            axes.text(x, y, str(label), color=colors[label % 5], size=8, ha="center", va="center")
    axes.plot(*places.T, color=INK, linewidth=1, marker=".", markersize=3)
    axes.set(xlim=(-EDGE, EDGE), ylim=(-EDGE, EDGE), aspect="equal")
    bare(axes)
    axes.set_title("the same plane: unseen digits")


def draw_walk(axes, steps):
    """The images of a walk, beside one another."""
    row = np.pad(steps, ((0, 0), (0, 0), (1, 1))).transpose(1, 0, 2).reshape(8, -1)
    axes.imshow(row)
    bare(axes)
    axes.set_title("a walk from an unseen 0 to an unseen 1, along the black line")


def main():
    """Train, measure on images that were not seen, draw."""
    options = command_line(__doc__, "vae.png").parse_args()
    torch.manual_seed(0)
    images, labels = load()
    cut = len(images) * 4 // 5
    unseen = torch.from_numpy(images[cut:])
    model, curves = train(torch.from_numpy(images[:cut]), unseen, 12 if options.quick else 120)
    draw(options, model, curves, unseen, labels[cut:])

    with torch.no_grad():
        redrawn, apart = (part.item() for part in loss_parts(model, unseen))
    print(
        f"held-out loss {redrawn + apart:.2f} nats: {redrawn:.2f} to redraw, {apart:.2f} to place; "
        f"see {options.out}"
    )
    target = 30 if options.quick else 26
    if redrawn + apart > target:
        sys.exit(f"that is above the {target} nats this network should reach")


if __name__ == "__main__":
    main()
