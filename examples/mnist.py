"""Train on MNIST, from the four files it is published in, which you have in a folder.

python examples/mnist.py --data ~/mnist        # some minutes; leaves mnist.png
python examples/mnist.py --data ~/fashion --epochs 5
python examples/mnist.py --quick               # without files: the small digits, written as such

What is learnt: data from files in a format of its own becomes two tensors; the size of the images
is asked of the data, not written into the network (a lazy layer finds out at the first batch);
the weights can be kept in a file that PyTorch's users load as well.

Any data set in MNIST's form will do: Fashion-MNIST, KMNIST, EMNIST. Files may end in .gz.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import matplotlib as mpl
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
from tinygrad_opt.utils.idx import load_mnist, save_idx


def write_digits(folder: Path) -> None:
    """The small digits that come with the examples, as the four files of MNIST."""
    images, labels = load()
    cut = len(images) * 4 // 5
    grey = (images.reshape(-1, 8, 8) * 255).astype(np.uint8)
    for part, rows in (("train", slice(cut)), ("t10k", slice(cut, None))):
        save_idx(folder / f"{part}-images-idx3-ubyte.gz", grey[rows])
        save_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels[rows].astype(np.uint8))


def network() -> nn.Module:
    """Two convolutions, each followed by halving the image, then two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.LazyLinear(128), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(128, 10),
    )  # fmt: skip


@torch.no_grad()
def read(model, images):
    """The probability of each label, (n, 10), in pieces that fit into memory."""
    model.eval()
    return torch.cat([model(piece).softmax(dim=1) for piece in images.split(1000)])


def train(train_set, test_set, epochs):
    """Train; return the model, the loss of each step, and the accuracy after each epoch."""
    loader = DataLoader(TensorDataset(*train_set), batch_size=64, shuffle=True, drop_last=True)
    model = network()
    model(train_set[0][:1])  # the lazy layer learns the size of the images
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = OneCycleLR(optimizer, max_lr=4e-3, total_steps=epochs * len(loader))

    losses, accuracies = [], []
    bar = progress(range(epochs), "training", unit="epoch")
    for _ in bar:
        model.train()
        for x, y in progress(loader, "epoch", unit="step", leave=False):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            scheduler.step()
            losses.append(loss.item())
        right = read(model, test_set[0]).argmax(dim=1) == test_set[1]
        accuracies.append(right.float().mean().item())
        bar.set_postfix(loss=f"{losses[-1]:.3f}", test=f"{accuracies[-1]:.2%}")
    return model, losses, accuracies


def draw(options, model, losses, accuracies, images, labels):
    """Draw the curves, and the images whose label surprised the network most."""
    probabilities = read(model, images)
    surprise = -probabilities.gather(1, labels[:, None])[:, 0].log()
    for look in looks(options.out, options.dark):
        text = f"{accuracies[-1]:.2%} of {len(labels):,} test images read correctly"
        figure = look.figure(11, 5.4, text)
        left, right = figure.subfigures(1, 2, width_ratios=[1, 1.25])
        above, below = left.subplots(2, 1)
        width = max(1, len(losses) // 50)
        smooth = np.convolve(losses, np.ones(width) / width, "valid")
        above.plot(np.arange(len(smooth)) + width, smooth, color=GREY)
        above.set(title=f"loss, mean of {width} steps", xlabel="step", ylim=(0, None))
        below.plot(np.arange(1, len(accuracies) + 1), accuracies, "o-", color=BLUE, markersize=4)
        below.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        below.xaxis.set_major_locator(mpl.ticker.MaxNLocator(integer=True))
        below.set(title="accuracy on the test images", xlabel="epoch")
        right.suptitle("the most surprising labels", x=0.02, ha="left", size=12)
        order = surprise.argsort(descending=True)
        for axes, i in zip(right.subplots(3, 5).flat, order.tolist(), strict=False):
            best, label = probabilities[i].argmax().item(), labels[i].item()
            axes.imshow(images[i, 0].numpy())
            bare(axes)
            text = f"{best}" if best == label else f"{label} read as {best}"
            axes.set_xlabel(text, color=INK if best == label else RED)
        look.save(figure)


def main():
    """Load, train, measure, draw."""
    parser = command_line(__doc__, "mnist.png")
    parser.add_argument("--data", type=Path, help="the folder with the four files")
    parser.add_argument("--epochs", type=int, help="how often to go through the data (default: 8)")
    parser.add_argument("--weights", type=Path, help="a .safetensors file to write")
    options = parser.parse_args()
    if options.data is None and not options.quick:
        parser.error("--data FOLDER is needed: the folder with train-images-idx3-ubyte and so on")

    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if options.data is None:
            write_digits(Path(folder))
        data = options.data or Path(folder)
        train_set, test_set = load_mnist(data), load_mnist(data, train=False)
    epochs = options.epochs or (6 if options.quick else 8)
    model, losses, accuracies = train(train_set, test_set, epochs)
    if options.weights:
        torch.save(model.state_dict(), options.weights)
    draw(options, model, losses, accuracies, *test_set)
    print(
        f"{len(train_set[0])} images of {' x '.join(map(str, train_set[0].shape[2:]))}, "
        f"accuracy {accuracies[-1]:.2%} on {len(test_set[0])} others; see {options.out}"
    )


if __name__ == "__main__":
    main()
