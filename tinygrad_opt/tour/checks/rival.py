"""Chapter 14: an optimizer that beats Adam."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_opt as torch
from tinygrad_opt import nn, optim

from ..judging import Wrong, need

STEPS, SEEDS, SHARE = 500, range(4), 0.7
RATES = (0.01, 0.02, 0.03)


def check(answer: Any) -> str:
    """The mean error after 500 steps, against that of Adam at its best rate."""
    rival = need(answer, "Rival", "a class")
    adam = adams_error()
    own = mean_error(rival)
    told = f"Adam {adam:.4f}, yours {own:.4f}"
    if own < SHARE * adam:
        return f"{told}: {own / adam:.2f} of Adam's error"
    hint = (
        "the noise of a batch of 16 keeps a constant rate from settling: a large rate that falls "
        "to nothing, as lr * (1 + cos(pi * t / STEPS)) / 2 in `coefficients`, is a good beginning"
    )
    if not own < 3 * adam:  # NaN too
        hint = "it diverged, or hardly began: a smaller rate, or a larger one"
    about = f"the mean error of four networks after {STEPS} steps"
    raise Wrong(about, f"below {SHARE * adam:.4f}, that is {SHARE} of Adam's {adam:.4f}",
                f"{own:.4f}", hint)  # fmt: skip


@functools.cache
def adams_error() -> float:
    """That of Adam, at the best of three rates."""
    return min(mean_error(lambda params, lr=lr: optim.Adam(params, lr=lr)) for lr in RATES)


def mean_error(make: Callable[..., Any]) -> float:
    """The mean over all seeds."""
    return float(np.mean([_error(make, seed) for seed in SEEDS]))


def _truth(x: Any) -> Any:
    return np.sin(3 * x[:, :1]) * np.cos(2 * x[:, 1:])


def _error(make: Callable[..., Any], seed: int) -> float:
    """The mean squared error of one network, on points that it has not seen, without noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (400, 2)).astype(np.float32)
    y = (_truth(x) + rng.normal(0, 0.3, (400, 1))).astype(np.float32)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = make(network.parameters())
    for _ in range(STEPS):
        rows = rng.integers(0, 400, 16)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(network(torch.tensor(x[rows])), torch.tensor(y[rows]))
        loss.backward()
        optimizer.step()
    new = rng.uniform(-1, 1, (1000, 2)).astype(np.float32)
    with torch.no_grad():
        found = network(torch.tensor(new)).numpy()
    return float(np.mean((found - _truth(new)) ** 2))
