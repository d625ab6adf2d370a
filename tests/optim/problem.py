"""A small optimization problem whose gradients need no autograd, the same for every library.

Three parameters of different shapes; gradients are a fixed function of value and step, with terms
that change sign. Some gradients are missing: the second parameter has none every fifth step, the
third none before step 10.
"""

from __future__ import annotations

from typing import Any

import numpy as np

SHAPES = [(3,), (2, 3), (4,)]
STEPS = 200


def start() -> list[np.ndarray]:
    return [np.cos(np.arange(np.prod(s)).reshape(s) + 3.0 * i) for i, s in enumerate(SHAPES)]


def gradient(i: int, value: np.ndarray, step: int) -> np.ndarray | None:
    """The gradient of parameter i at a step (0, 1, ...), float64; None where it is missing."""
    if (i == 1 and step % 5 == 2) or (i == 2 and step < 10):
        return None
    wave = np.sin(0.7 * step + np.arange(value.size)).reshape(value.shape)
    return (0.5 + i) * np.tanh(value.astype(np.float64)) + 0.8 * wave  # bounded: maximize may grow


def parameters(library: Any, dtype: str) -> list[Any]:
    kind = getattr(library, dtype)
    return [library.tensor(v, dtype=kind).requires_grad_() for v in start()]


def go_on(library: Any, params: list[Any], optimizer: Any, steps: range) -> None:
    """Take the steps; schedule-free optimizers are in train mode meanwhile."""
    if hasattr(optimizer, "train"):
        optimizer.train()
    for step in steps:
        for i, p in enumerate(params):
            g = gradient(i, p.detach().numpy(), step)
            p.grad = None if g is None else library.tensor(g, dtype=p.dtype)
        optimizer.step()


def result(params: list[Any], optimizer: Any) -> np.ndarray:
    """All parameters, end to end in float64, and behind them the averages that ASGD keeps."""
    if hasattr(optimizer, "eval"):
        optimizer.eval()
    averages = [optimizer.state[p]["ax"] for p in params if "ax" in optimizer.state.get(p, {})]
    ends = [x.detach().numpy().astype(np.float64).ravel() for x in [*params, *averages]]
    return np.concatenate(ends)


def run(library: Any, make_optimizer: Any, dtype: str, steps: int = STEPS) -> np.ndarray:
    """What comes of `steps` steps of `make_optimizer(params)`."""
    params = parameters(library, dtype)
    optimizer = make_optimizer(params)
    go_on(library, params, optimizer, range(steps))
    return result(params, optimizer)


def converted(value, to):
    """A state dict with the Tensors of library `to`."""
    if isinstance(value, dict):
        return {k: converted(v, to) for k, v in value.items()}
    if isinstance(value, list):
        return [converted(v, to) for v in value]
    return to.tensor(value.detach().numpy().copy()) if hasattr(value, "detach") else value
