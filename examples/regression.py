"""Forecast the carbon dioxide in the air over Mauna Loa, six years ahead and with error bars.

python examples/regression.py                    # a few seconds; leaves regression.png
python examples/regression.py --quick --out /tmp/regression.png

What is learnt: a Module of one's own; inputs that carry what is known beforehand (a slow trend, and
a season that returns each year and may grow) let a linear layer do what a deep network could not:
go beyond the data; GaussianNLLLoss trains the mean and the variance together, so the model says
how far off it expects to be; and LBFGS is the optimizer for a small smooth problem like this one.
The error bars know the scatter of single weeks only: whether they hold ahead, the last years tell.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
from common import BLUE, GREY, INK, RED, STYLE, command_line, save
from matplotlib.figure import Figure

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.training import progress

DATA = Path(__file__).parent / "data" / "co2.csv.gz"
FIRST_UNSEEN = 1996.0


def load() -> tuple[np.ndarray, np.ndarray]:
    """Return the times in years, 1958.24 and so on, and parts per million; both (weeks,)."""
    date, ppm = np.genfromtxt(DATA, delimiter=",", skip_header=1).T
    year, month, day = date // 10000, date // 100 % 100, date % 100
    measured = ~np.isnan(ppm)
    return (year + (30.44 * (month - 1) + day - 0.5) / 365.3)[measured], ppm[measured]


def features(year):
    """Return (weeks, 14): a trend, and the waves of a year, fixed and growing."""
    t = (year - 1977) / 19  # -1 to 1 over the weeks for training, so that all columns are alike
    waves = [wave(2 * np.pi * k * year) for k in (1, 2, 3) for wave in (np.sin, np.cos)]
    columns = [t, t**2, *waves, *(t * wave for wave in waves)]
    return torch.tensor(np.stack(columns, axis=1))


class Forecast(nn.Module):
    """A mean that is linear in the features, and one variance for all weeks."""

    def __init__(self, inputs):
        super().__init__()
        self.mean = nn.Linear(inputs, 1, dtype=torch.float64)
        self.log_variance = nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, x):  # (weeks, inputs)
        mean = self.mean(x).squeeze(1)  # (weeks,)
        return mean, self.log_variance.exp().expand_as(mean)


def train(x, y, steps):
    """Fit mean and variance; return the model and the loss of each step."""
    model = Forecast(x.shape[1])
    criterion = nn.GaussianNLLLoss()
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        mean, variance = model(x)
        loss = criterion(mean, y, variance)
        loss.backward()
        return loss

    bar = progress(range(steps), "fitting", unit="step")
    return model, [optimizer.step(closure).item() for _ in bar]


def draw(path, year, ppm, mean, spread, summary):
    """Draw all weeks and the forecast; below a closer look, and what the model cannot explain."""
    unseen = year >= FIRST_UNSEEN
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 6.4), layout="constrained")
        figure.suptitle(summary, x=0.01, ha="left")
        panels = figure.subplot_mosaic([["all", "close"], ["rest", "rest"]], height_ratios=[2, 1])
        for name in ("all", "close"):
            axes = panels[name]
            axes.plot(year, ppm, ".", color=GREY, markersize=2.5, label="measured")
            axes.plot(year[~unseen], mean[~unseen], color=BLUE, linewidth=1, label="fitted")
            band = (mean[unseen] - 2 * spread, mean[unseen] + 2 * spread)
            axes.fill_between(year[unseen], *band, color=RED, alpha=0.2, linewidth=0)
            axes.plot(year[unseen], mean[unseen], color=RED, linewidth=1.2, label="forecast")
        panels["all"].set(title="CO2 over Mauna Loa, parts per million")
        panels["all"].legend(loc="upper left", markerscale=4)
        panels["close"].set(title="the last years, with two standard deviations")
        panels["close"].set(xlim=(FIRST_UNSEEN - 2, year[-1]), ylim=(353, 377))
        rest = panels["rest"]
        rest.axhspan(-2 * spread, 2 * spread, color=RED, alpha=0.12, linewidth=0)
        rest.plot(year[~unseen], (ppm - mean)[~unseen], ".", color=BLUE, markersize=2.5)
        rest.plot(year[unseen], (ppm - mean)[unseen], ".", color=RED, markersize=2.5)
        rest.set(title="measured less fitted: neighbours err alike, so this is not all noise")
        rest.tick_params(labelcolor=INK)
        save(figure, path)


def main():
    """Fit the weeks before the cut, forecast the others, draw."""
    options = command_line(__doc__, "regression.png").parse_args()
    torch.manual_seed(0)
    year, ppm = load()
    seen = year < FIRST_UNSEEN
    shift, scale = ppm[seen].mean(), ppm[seen].std()  # targets near 1 are easier to fit
    x, y = features(year), torch.tensor((ppm - shift) / scale)
    model, losses = train(x[seen], y[seen], steps=5 if options.quick else 20)

    with torch.no_grad():
        mean, variance = (part.numpy() for part in model(x))
    mean, spread = mean * scale + shift, variance[0] ** 0.5 * scale
    error = np.abs(mean - ppm)[~seen]
    inside = (error < 2 * spread).mean()
    summary = f"Six years ahead: {error.mean():.2f} ppm off on average, {inside:.0%} in the band"
    draw(options.out, year, ppm, mean, spread, summary)
    print(
        f"loss {losses[-1]:.3f}; unseen weeks: mean error {error.mean():.2f} ppm, "
        f"{inside:.0%} within two standard deviations of {spread:.2f} ppm; see {options.out}"
    )
    if error.mean() > 1.5:
        sys.exit("the forecast should be within 1.5 ppm on average")


if __name__ == "__main__":
    main()
