"""Take over a network that PyTorch trained, and adapt it to other images with a handful of them.

python examples/finetune.py                  # half a minute; leaves finetune.png
python examples/finetune.py --quick --out /tmp/finetune.png
python examples/finetune.py --pretrain       # makes the weights again; needs PyTorch

What is learnt: a .safetensors file from PyTorch loads as it is, since names and layouts are the
same; so does the code that builds the network; weights that are nearly right need few examples to
be put right; a part can be left alone (frozen), or trained with a smaller rate than the rest.

data/digits_pytorch.safetensors reads clean digits. Here they come from a bad copier.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from common import command_line
from digits import load
from pictures import BLUE, GREY, ORANGE, looks

import tinygrad_opt as tg
from tinygrad_opt.nn import functional as F
from tinygrad_opt.training import progress

WEIGHTS = Path(__file__).parent / "data" / "digits_pytorch.safetensors"
WAYS = {
    "from scratch": ("all weights random", GREY),
    "last layer only": ("PyTorch's weights, the others frozen", ORANGE),
    "fine-tuned": ("PyTorch's weights, trained on", BLUE),
}


def network(nn):
    """The network; `nn` is torch.nn or tinygrad_opt.nn, whichever is to train it."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(16 * 4 * 4, 32), nn.ReLU(),
        nn.Linear(32, 10),
    )  # fmt: skip


def digits():
    """Images (n, 1, 8, 8) and labels (n,): those to learn from, then those that are held out."""
    images, labels = load()
    images, cut = images.reshape(-1, 1, 8, 8), len(images) * 4 // 5
    return (images[:cut], labels[:cut]), (images[cut:], labels[cut:])


def copied(images):
    """As a bad copier gives them: grey paper, pale ink, noise."""
    noise = np.random.default_rng(0).normal(0, 0.12, images.shape)
    return (0.3 + 0.5 * images + noise).astype(np.float32)


def pretrain():
    """Train on the clean digits, with PyTorch, and write the weights for everybody."""
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    (images, labels), (unseen, truth) = (map(torch.from_numpy, part) for part in digits())
    model = network(torch.nn)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        for rows in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()
    save_file(model.state_dict(), WEIGHTS)
    right = (model(unseen).argmax(dim=1) == truth).float().mean()
    print(f"PyTorch {torch.__version__} reads {right:.1%} of unseen clean digits: {WEIGHTS}")


def prepared(way):
    """A network, and parameter groups for one way of teaching it."""
    model = network(tg.nn)
    if way == "from scratch":
        return model, [{"params": model.parameters(), "lr": 3e-3}]
    model.load_state_dict(tg.load(WEIGHTS))
    body, head = model[:-1], model[-1]
    if way == "last layer only":
        body.requires_grad_(False)
        return model, [{"params": head.parameters(), "lr": 5e-3}]
    # What has been learnt from many images should not be overturned by a few.
    return model, [
        {"params": body.parameters(), "lr": 2e-3},
        {"params": head.parameters(), "lr": 5e-3},
    ]


def accuracy(model, images, labels):
    """The share of images that are read correctly."""
    with tg.no_grad():
        return (model(images).argmax(dim=1) == labels).float().mean().item()


def teach(way, known, unseen, each, steps, seed):
    """Learn from `each` images of each digit; return the accuracy on unseen ones."""
    tg.manual_seed(seed)
    rows = [np.flatnonzero(known[1] == digit)[seed * each :][:each] for digit in range(10)]
    images, labels = (tg.from_numpy(array[np.concatenate(rows)]) for array in known)
    model, groups = prepared(way)
    optimizer = tg.optim.AdamW(groups, weight_decay=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return accuracy(model, *unseen)


def draw(options, results, counts, before):
    """Draw the accuracy over the number of images, one line for each way of learning."""
    for look in looks(options.out, options.dark):
        text = "Adapting PyTorch's weights to a bad copier takes fewer images"
        figure = look.figure(9, 5, text)
        axes = figure.subplots()
        for way, (explained, color) in WAYS.items():
            runs = np.array([results[way, each] for each in counts])  # (counts, seeds)
            axes.plot(counts, runs.mean(axis=1), "o-", color=color, label=f"{way}: {explained}")
            axes.fill_between(counts, runs.min(axis=1), runs.max(axis=1), color=color, alpha=0.12)
        axes.axhline(before, color=GREY, linewidth=1, linestyle="--")
        axes.text(
            counts[-1], before + 0.01, "PyTorch's weights as they are", color=GREY, ha="right"
        )
        axes.set_xscale("log")
        axes.set_xticks(counts, counts)
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(mpl.ticker.PercentFormatter(1))
        axes.set_title(
            f"means of {runs.shape[1]} draws of images, from the worst to the best", size=10
        )
        axes.set(xlabel="images of each digit", ylabel="unseen digits read correctly")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.1))
        look.save(figure)


def main():
    """Measure before, teach in each way with few and with more images, draw."""
    parser = command_line(__doc__, "finetune.png")
    parser.add_argument("--pretrain", action="store_true", help="make the weights, with PyTorch")
    options = parser.parse_args()
    if options.pretrain:
        pretrain()
    counts, seeds, steps = ([1, 3], 3, 60) if options.quick else ([1, 2, 3, 5, 10, 20], 5, 100)
    (images, labels), (others, truth) = digits()
    known = copied(images), labels
    unseen = tg.from_numpy(copied(others)), tg.from_numpy(truth)
    model = network(tg.nn)
    model.load_state_dict(tg.load(WEIGHTS))
    clean, before = accuracy(model, tg.from_numpy(others), unseen[1]), accuracy(model, *unseen)

    runs, results = [(way, each) for way in WAYS for each in counts], {}
    for way, each in progress(runs, "teaching"):
        results[way, each] = [teach(way, known, unseen, each, steps, seed) for seed in range(seeds)]
    draw(options, results, counts, before)

    at = {way: np.mean(results[way, 3]) for way in WAYS}
    told = ", ".join(f"{way} {value:.1%}" for way, value in at.items())
    print(f"PyTorch's weights: {clean:.1%} of clean digits, {before:.1%} of copies")
    print(f"after 3 images of each digit: {told}; see {options.out}")
    if at["fine-tuned"] < max(before, at["from scratch"]) + 0.05:
        sys.exit("fine-tuning should be better by 5% than before, and than from scratch")


if __name__ == "__main__":
    main()
