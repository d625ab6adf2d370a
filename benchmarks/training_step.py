"""Whole training steps of small networks: forward, cross-entropy, backward, Adam, zero_grad."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from importlib import import_module

import numpy as np

from benchmarks.harness import Effort, Times, compare, report, table, verdict

# (layer widths, batch size, aim for ours / torch, aim for ours / JAX).
NETWORKS = [
    ([2, 16, 16, 2], 64, 0.3, 1.0),
    ([64, 64, 10], 64, 0.3, 1.0),
    ([784, 128, 10], 64, 0.9, None),
    ([784, 256, 256, 10], 128, 0.9, None),
]
LIBRARIES = ["ours", "torch", "jax", "ours, malloc as it is"]


def prepare(library: str, case: list) -> Callable:
    """Return one training step of the case's network on one batch of noise."""
    widths, batch = case
    random = np.random.default_rng(0)
    x = random.standard_normal((batch, widths[0]), np.float32)
    y = random.integers(widths[-1], size=batch)
    if library == "jax":
        return jax_step(widths, x, y)
    return eager_step(
        import_module("torch" if library == "torch" else "tinygrad_opt"), widths, x, y
    )


def eager_step(torch, widths: list[int], x: np.ndarray, y: np.ndarray) -> Callable:
    """Return the step in PyTorch's interface, for both libraries that have it."""
    nn = torch.nn
    layers = [
        layer for sizes in itertools.pairwise(widths) for layer in (nn.Linear(*sizes), nn.ReLU())
    ]
    model = nn.Sequential(*layers[:-1])
    fastest = {"fused": True} if torch.__name__ == "torch" else {}
    optimizer = torch.optim.Adam(model.parameters(), **fastest)
    criterion = nn.CrossEntropyLoss()
    x, y = torch.tensor(x), torch.tensor(y)

    def step() -> None:
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def jax_step(widths: list[int], x: np.ndarray, y: np.ndarray) -> Callable:
    """Return the step as one function compiled by JAX, which may reuse its arguments' memory."""
    import jax
    import optax

    jax.config.update("jax_platforms", "cpu")
    random = np.random.default_rng(0)
    parameters = [
        (random.uniform(-1, 1, (m, n)).astype(np.float32) / m**0.5, np.zeros(n, np.float32))
        for m, n in itertools.pairwise(widths)
    ]
    adam = optax.adam(1e-3)

    def loss(parameters, x, y):
        *hidden, last = parameters
        for weight, bias in hidden:
            x = jax.nn.relu(x @ weight + bias)
        logits = x @ last[0] + last[1]
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def update(parameters, state, x, y):
        gradients = jax.grad(loss)(parameters, x, y)
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(parameters, updates), state

    compiled = jax.jit(update, donate_argnums=(0, 1))
    now = jax.device_put((parameters, adam.init(parameters)))
    x, y = jax.device_put((x, y))

    def step() -> None:
        nonlocal now
        now = compiled(*now, x, y)

    # JAX may run ahead of Python, as it would in a training loop: only a batch's end waits for it.
    step.wait = lambda: jax.block_until_ready(now)
    return step


def row(network: tuple, times: Times) -> list[str]:
    """Return one line of the table."""
    widths, batch, torch_aim, jax_aim = network
    cells = ["-".join(map(str, widths)), str(batch)]
    cells += [f"{times.micro(library):,.0f}" for library in LIBRARIES]
    for library, aim in (("torch", torch_aim), ("jax", jax_aim)):
        ratio = times.ratio("ours", library)
        cells += [f"{ratio:.2f}", *verdict(ratio, aim)]
    return cells


def main(effort: Effort) -> None:
    """Time all networks and report."""
    cases = [[widths, batch] for widths, batch, *_ in NETWORKS]
    results = compare("training_step", LIBRARIES, cases, effort)
    head = ["network", "batch", "ours", "torch eager, fused Adam", "JAX jit, optax", LIBRARIES[3]]
    head += ["ours / torch", "aim", "met", "ours / JAX", "aim", "met"]
    rows = [row(*pair) for pair in zip(NETWORKS, results, strict=True)]
    report(
        "training_step",
        effort,
        "# One whole training step, float32",
        "Microseconds for forward, cross-entropy, backward, Adam's step and `zero_grad` of fully "
        "connected networks with ReLU. `malloc as it is`: ours with TINYGRAD_OPT_MALLOC=default.",
        table(head, rows),
    )
