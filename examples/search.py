"""Let Optuna look for the settings of a network: rate, width, depth, activation.

python examples/search.py                # some seconds; needs optuna: pip install '.[sweeps]'
python examples/search.py --trials 200

What is learnt: an experiment is a function from settings to a score; Optuna proposes settings where
good ones were found before (a tree of Parzen estimators), and ends trials early that fall behind.
With a storage of Optuna's (`--storage sqlite:///search.db`) any number of processes or machines
share the search: start the same command in each.
"""

from __future__ import annotations

import argparse
from itertools import pairwise

import numpy as np
import optuna

import tinygrad_opt as torch
from tinygrad_opt import nn, optim

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU}
ROUNDS, STEPS = 6, 30  # a trial may end after each round of so many steps


def spirals(count: int, seed: int):
    """Three arms that wind round each other: points (count, 2) and 0, 1 or 2 for each."""
    generator = np.random.default_rng(seed)
    label = np.arange(count) % 3
    distance = generator.uniform(0.1, 1, count)
    angle = 5 * distance + label * 2 * np.pi / 3 + generator.normal(0, 0.15, count)
    points = distance[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return torch.tensor(points.astype(np.float32)), torch.tensor(label)


def network(trial: optuna.Trial) -> nn.Sequential:
    """A network of the settings that the trial proposes."""
    width = trial.suggest_int("width", 4, 64, log=True)
    depth = trial.suggest_int("depth", 1, 3)
    activation = ACTIVATIONS[trial.suggest_categorical("activation", list(ACTIVATIONS))]
    sizes = [2] + [width] * depth
    layers = [layer for ends in pairwise(sizes) for layer in (nn.Linear(*ends), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def score(trial: optuna.Trial) -> float:
    """The accuracy on unseen points."""
    torch.manual_seed(trial.number)
    model = network(trial)
    optimizer = optim.AdamW(model.parameters(), lr=trial.suggest_float("lr", 1e-4, 1, log=True))
    x, y = spirals(300, 0)
    unseen, truth = spirals(600, 1)
    accuracy = 0.0
    for number in range(ROUNDS):
        for _ in range(STEPS):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = (model(unseen).argmax(1) == truth).float().mean().item()
        trial.report(accuracy, number)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def main() -> None:
    """Search, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--storage", help="where processes share the search, as sqlite:///a.db")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="spirals", direction="maximize", storage=options.storage, load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=None if options.storage else 0),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )  # fmt: skip
    study.optimize(score, n_trials=options.trials)
    ended = sum(t.state == optuna.trial.TrialState.PRUNED for t in study.trials)
    print(f"{len(study.trials)} trials, {ended} ended early; best {study.best_params}")
    print(f"accuracy {100 * study.best_value:.1f}%")


if __name__ == "__main__":
    main()
