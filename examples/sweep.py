"""Train 200 small networks at once, and see which rate and width a task wants.

python examples/sweep.py                       # a minute or two; leaves sweep.png
python examples/sweep.py --workers 8
python examples/sweep.py --backend dask        # the same over Dask's workers, here or elsewhere
python examples/sweep.py --quick --out /tmp/sweep.png

What is learnt: a network that trains in a fraction of a second has no use for several cores, so
many networks share them out, one process each; joblib does that for anything that scikit-learn
knows, and its Dask backend over machines. The throughput is told against one process.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
import time

import numpy as np
from common import command_line
from joblib import Parallel, delayed, parallel_config
from pictures import BLUE, INK, PAPER, looks

RATES = np.geomspace(1e-4, 3, 10)
WIDTHS = (1, 2, 4, 8, 16)
SEEDS = range(4)


def moons(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two half circles that reach into each other: points (count, 2) and 0 or 1 for each."""
    generator = np.random.default_rng(seed)
    label = np.arange(count) % 2
    angle = generator.uniform(0, np.pi, count)
    points = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    points[label == 1] = [1.0, 0.5] - points[label == 1]
    return points + generator.normal(0, 0.2, points.shape), label


def one(rate: float, width: int, seed: int, epochs: int) -> float:
    """The accuracy on unseen points of one network; the data are made where it is trained."""
    from tinygrad_opt.sklearn import Classifier

    network = Classifier((width,), "tanh", lr=rate, epochs=epochs, random_state=seed)
    return float(network.fit(*moons(200, 0)).score(*moons(2000, 1)))


def many(settings: list[tuple], workers: int, epochs: int) -> tuple[np.ndarray, float]:
    """The accuracy of all, in order, and how many were trained a second."""
    run = Parallel(n_jobs=workers)
    run(delayed(one)(*settings[0], 1) for _ in range(2 * workers))  # start workers, load kernels
    begin = time.perf_counter()
    found = run(delayed(one)(*setting, epochs) for setting in settings)
    return np.array(found), len(settings) / (time.perf_counter() - begin)


def somewhere(backend: str, workers: int) -> contextlib.AbstractContextManager:
    """Where `Parallel` runs: processes of this machine, or Dask's workers."""
    stack = contextlib.ExitStack()
    if backend == "dask":
        from dask.distributed import Client, LocalCluster

        cluster = LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None)
        stack.enter_context(cluster)
        stack.enter_context(Client(cluster))  # Client("address:8786") for a cluster elsewhere
    stack.enter_context(parallel_config(backend=backend))
    return stack


def draw(options, accuracy: np.ndarray) -> None:
    """Draw the mean over the seeds, by rate and width: (rates, widths)."""
    for look in looks(options.out, options.dark):
        figure = look.figure(8, 4)
        axes = figure.subplots()
        shown = axes.imshow(
            100 * accuracy.T, cmap=look.shades(BLUE), vmin=50, vmax=100, aspect="auto"
        )
        axes.grid(False)
        axes.set(title="accuracy on unseen points, %", xlabel="learning rate", ylabel="width")
        axes.set_xticks(range(len(RATES)), [f"{rate:.0e}" for rate in RATES])
        axes.set_yticks(range(len(WIDTHS)), WIDTHS)
        for i, j in np.ndindex(accuracy.shape):
            text = f"{100 * accuracy[i, j]:.0f}"
            dark = accuracy[i, j] > 0.85
            axes.text(i, j, text, ha="center", va="center", color=PAPER if dark else INK)
        figure.colorbar(shown)
        look.save(figure)


def main() -> None:
    """Train all with one process, and with several; print the throughput, draw the accuracy."""
    parser = command_line(__doc__, "sweep.png")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--backend", choices=("loky", "dask"), default="loky")
    options = parser.parse_args()
    epochs, seeds = (4, SEEDS[:1]) if options.quick else (40, SEEDS)
    settings = list(itertools.product(RATES, WIDTHS, seeds))
    if options.quick:
        settings = [s for s in settings if s[1] in (1, 16)]
    alone, first = many(settings, 1, epochs)
    with somewhere(options.backend, options.workers):
        found, rate = many(settings, options.workers, epochs)
    if not (found == alone).all():
        sys.exit("the networks depend on who trained them")
    accuracy = found.reshape(len(RATES), -1, len(seeds)).mean(axis=2)
    best = np.unravel_index(accuracy.argmax(), accuracy.shape)
    full = np.full((len(RATES), len(WIDTHS)), np.nan)
    full[:, [0, 4] if options.quick else slice(None)] = accuracy
    draw(options, np.nan_to_num(full, nan=0.5))
    print(
        f"{len(settings)} networks: {first:.1f} a second by 1 process, {rate:.1f} by "
        f"{options.workers} with {options.backend}: {rate / first:.2f} times"
    )
    print(f"best rate {RATES[best[0]]:.0e}, accuracy {100 * accuracy.max():.1f}%")


if __name__ == "__main__":
    main()
