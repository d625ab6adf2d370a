"""Forecast the carbon dioxide in the air over Mauna Loa, six years ahead and with error bars.

python examples/regression.py                    # a few seconds; leaves regression.png
python examples/regression.py --quick --out /tmp/regression.png

What is learnt: inputs that carry what is known beforehand (a slow trend, and a season that returns
each year and may grow) let a linear layer do what a deep network could not: go beyond the data.
How far off it will be, the scatter around a fit does not say: neighbouring weeks err alike, and a
trend goes astray with the years. What says it are forecasts from earlier years, each made with the
weeks before it alone and held against the six years that followed: GaussianNLLLoss learns from
their errors a variance that grows with the time ahead. The last years tell whether the band keeps
its promise. LBFGS is the optimizer for small smooth problems like these.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import command_line
from pictures import BLUE, GREY, INK, ORANGE, looks

import tinygrad_opt as torch
from tinygrad_opt import nn, optim
from tinygrad_opt.training import progress

DATA = Path(__file__).parent / "data" / "co2.csv.gz"
FIRST_UNSEEN, AHEAD = 1996, 6  # years
FIRST_CUT = 1970  # the first forecast knows twelve years
PROMISE, WIDTH = 0.95, 1.96  # of a Gaussian, 95% lies within 1.96 standard deviations


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


def fit(inputs, loss_of, steps):
    """Fit a linear layer with LBFGS; return it, and the loss of each step."""
    model = nn.Linear(inputs, 1, dtype=torch.float64)
    optimizer = optim.LBFGS(model.parameters(), line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    return model, [optimizer.step(closure).item() for _ in range(steps)]


def forecast(year, ppm, cut, steps):
    """Fit the weeks before `cut`; return the mean of all weeks, the later ones as forecast."""
    seen = year < cut
    shift, scale = ppm[seen].mean(), ppm[seen].std()  # targets near 1 are easier to fit
    x, y = features(year), torch.tensor((ppm - shift) / scale)
    known, target = x[seen], y[seen, None]
    model, _ = fit(x.shape[1], lambda model: (model(known) - target).square().mean(), steps)
    with torch.no_grad():
        mean = model(x).squeeze(1).numpy() * scale + shift
    # A fit to forty years is off by a little in the last one: the forecast begins where that ended.
    last = seen & (year >= cut - 1)
    mean[~seen] += (ppm - mean)[last].mean()
    return mean


def earlier_errors(year, ppm, cuts, steps):
    """Forecast from each cut; return how many years ahead the weeks were, and the errors."""
    ahead, errors = [], []
    for cut in progress(cuts, "forecasting", unit="cut"):
        later = (year >= cut) & (year < cut + AHEAD)
        ahead.append(year[later] - cut)
        errors.append((ppm - forecast(year, ppm, cut, steps))[later])
    return np.concatenate(ahead), np.concatenate(errors)


def learn_spread(ahead, errors, steps):
    """Learn a variance that grows with the years ahead; return the spread as a function of them."""
    x, y = torch.tensor(ahead[:, None]), torch.tensor(errors[:, None])
    criterion = nn.GaussianNLLLoss()

    def loss_of(model):
        return criterion(torch.zeros_like(y), y, model(x).exp())

    model, losses = fit(1, loss_of, steps)

    def spread(years):
        with torch.no_grad():
            return (model(torch.tensor(years[:, None])) / 2).exp().squeeze(1).numpy()

    return spread, losses


def draw(options, year, ppm, mean, half, told):
    """Draw all weeks and the forecast; below a closer look, and how far off it was."""
    unseen = year >= FIRST_UNSEEN
    title, earlier = told
    for look in looks(options.out, options.dark):
        figure = look.figure(11, 6.4, title)
        panels = figure.subplot_mosaic([["all", "close"], ["rest", "rest"]], height_ratios=[2, 1])
        for name in ("all", "close"):
            axes = panels[name]
            axes.plot(year, ppm, ".", color=GREY, markersize=2.5, label="measured")
            axes.plot(year[~unseen], mean[~unseen], color=BLUE, linewidth=1, label="fitted")
            band = ((mean - half)[unseen], (mean + half)[unseen])
            axes.fill_between(
                year[unseen],
                *band,
                color=ORANGE,
                alpha=0.3,
                linewidth=0,
                label=f"{PROMISE:.0%} band",
            )
            axes.plot(year[unseen], mean[unseen], color=ORANGE, linewidth=1.2, label="forecast")
        panels["all"].set(title="CO2 over Mauna Loa, parts per million")
        panels["all"].legend(loc="upper left", markerscale=4)
        panels["close"].set(title="the years that were not seen")
        panels["close"].set(xlim=(FIRST_UNSEEN - 2, year[-1]), ylim=(353, 379))
        rest = panels["rest"]
        rest.fill_between(year[unseen], -half[unseen], half[unseen], color=ORANGE, alpha=0.3,
                          linewidth=0)  # fmt: skip
        rest.plot(year[~unseen], (ppm - mean)[~unseen], ".", color=BLUE, markersize=2.5)
        rest.plot(year[unseen], (ppm - mean)[unseen], ".", color=ORANGE, markersize=2.5)
        rest.set(title=f"measured less fitted or forecast; the band is learnt from {earlier}")
        rest.tick_params(labelcolor=INK)
        look.save(figure)


def main():
    """Forecast from years in the past, learn from the errors, forecast the unseen, draw."""
    options = command_line(__doc__, "regression.png").parse_args()
    torch.manual_seed(0)
    year, ppm = load()
    steps = 5 if options.quick else 20
    cuts = range(FIRST_CUT, FIRST_UNSEEN - AHEAD + 1, 4 if options.quick else 1)
    # Errors that were known by the cut: no week after it has a part in the band.
    spread, losses = learn_spread(*earlier_errors(year, ppm, cuts, steps), steps)
    mean = forecast(year, ppm, FIRST_UNSEEN, steps)
    half = WIDTH * spread(np.maximum(0.0, year - FIRST_UNSEEN))

    unseen = year >= FIRST_UNSEEN
    error = np.abs(mean - ppm)[unseen]
    inside = (error < half[unseen]).mean()
    title = f"Six years ahead: {error.mean():.2f} ppm off on average; the {PROMISE:.0%} band"
    title += f" holds {inside:.0%} of {len(error)} unseen weeks"
    draw(options, year, ppm, mean, half, (title, f"{len(cuts)} earlier forecasts"))
    print(
        f"loss {losses[-1]:.3f}; unseen weeks: mean error {error.mean():.2f} ppm, {inside:.1%} in "
        f"a band for {PROMISE:.0%} that grows from {half[unseen][0]:.2f} to {half[-1]:.2f} ppm; "
        f"see {options.out}"
    )
    if error.mean() > 1.5:
        sys.exit("the forecast should be within 1.5 ppm on average")
    if inside < PROMISE:
        sys.exit(f"the band should hold {PROMISE:.0%} of what comes")


if __name__ == "__main__":
    main()
