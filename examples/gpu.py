"""The same training on a GPU where there is one, and on the CPU where there is none.

python examples/gpu.py           # half a minute on a CPU; on a GPU it leaves gpu.png
python examples/gpu.py --quick --out /tmp/gpu.png

What is learnt: only three lines know of a device: choosing it, moving the model, moving the data.
Parameters are moved before the optimizer gets them. A GPU works while Python goes on, so the clock
waits for it; and asking for a number (`item()`) waits too, so the losses stay there until the end.
A small network is no faster on a GPU: to start each kernel takes longer than to run it.
"""

from __future__ import annotations

import sys
import time

from common import command_line
from digits import load
from pictures import BLUE, GREY, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.training import progress

WIDTHS = [64, 256]  # of the hidden layers: one network is small, the other is not
COLORS = [GREY, BLUE]


def train(device, width, steps):
    """Train on all digits at once; return milliseconds for a step, losses and the accuracy."""
    torch.manual_seed(0)  # the same weights on every device
    model = nn.Sequential(
        nn.Linear(64, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    ).to(device)
    images, labels = (torch.from_numpy(array).to(device) for array in load())
    cut = len(images) * 4 // 5
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.Adam(model.parameters(), lr=5e-3)

    losses = []
    for step in progress(range(-1, steps), f"{width} wide", unit="step"):
        if step == 0:  # the step before compiled the kernels
            torch.cuda.synchronize()
            start = time.perf_counter()
        optimizer.zero_grad()
        loss = criterion(model(images[:cut]), labels[:cut])
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    torch.cuda.synchronize()
    milliseconds = 1e3 * (time.perf_counter() - start) / steps

    with torch.no_grad():
        right = (model(images[cut:]).argmax(1) == labels[cut:]).float().mean()
    return milliseconds, [loss.item() for loss in losses], right.item()


def draw(options, device, results):
    """Draw the losses."""
    for look in looks(options.out, options.dark):
        figure = look.figure(8, 4)
        axes = figure.subplots()
        axes.set_title(f"Training on all digits at once, on {device}: loss")
        for color, (width, (_, losses, _)) in zip(COLORS, results.items(), strict=False):
            axes.plot(losses, color=color, label=f"hidden layers {width} wide")
        axes.set(xlabel="step", yscale="log")
        axes.legend()
        look.save(figure)


def main():
    """Choose the device, train there, print how long a step took."""
    options = command_line(__doc__, "gpu.png").parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    results = {}
    for width in WIDTHS[:1] if options.quick else WIDTHS:
        results[width] = train(device, width, steps=30 if options.quick else 150)
        milliseconds, losses, right = results[width]
        print(
            f"{device}, {width} wide: {milliseconds:.2f} ms a step, "
            f"loss {losses[-1]:.3f}, held-out accuracy {right:.1%}"
        )
        if right < 0.8:
            sys.exit("that is below the 80% this network should reach")
    if device == "cpu":
        print("no GPU here, so there is no picture of one")
        return
    draw(options, device, results)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
