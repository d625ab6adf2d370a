"""The networks of `models.py` as one writes them in JAX: pure functions of a tree of parameters.

They begin with the parameters of their twins there, so that both compute the same losses.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax, nn

jax.config.update("jax_platforms", "cpu")

Parameters = dict[str, Any]

# Makes the network, for a process that is to hold JAX alone.
START = """
import sys
import numpy as np
import tinygrad_opt as torch
from benchmarks import models
torch.manual_seed(0)
model, x, y = getattr(models, {0!r})(torch, *{1!r})
arrays = {{name: p.numpy() for name, p in model.state_dict().items()}}
np.savez(sys.argv[1], x=x.numpy(), y=y.numpy(), **arrays)
"""


def training_step(maker: str, arguments: tuple) -> Callable:
    """Return forward, cross-entropy, gradients and Adam's step as one function compiled by JAX.

    maker: the network's name in `models.py`. The function returns the loss before the step.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "start.npz"
        code = START.format(maker, tuple(arguments))
        subprocess.run(
            [sys.executable, "-c", code, str(file)], check=True, cwd=Path(__file__).parents[1]
        )
        with np.load(file) as arrays:
            parameters = dict(arrays)
    x, y = parameters.pop("x"), parameters.pop("y").astype(np.int32)
    forward, adam = globals()[maker](*arguments), optax.adam(1e-3)

    def loss(parameters: Parameters, x: Any, y: Any) -> Any:
        logits = forward(parameters, x)
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    def update(parameters: Parameters, state: Any, x: Any, y: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters, x, y)
        updates, state = adam.update(gradients, state)
        return (optax.apply_updates(parameters, updates), state), value

    compiled = jax.jit(update, donate_argnums=(0, 1))  # which may reuse its arguments' memory
    now, last = jax.device_put((parameters, adam.init(parameters))), None
    x, y = jax.device_put((x, y))

    def step() -> Any:
        nonlocal now, last
        now, last = compiled(*now, x, y)
        return last

    # JAX may run ahead of Python, as it would in a training loop: only a batch's end waits for it.
    step.wait = lambda: jax.block_until_ready((now, last))
    return step


def linear(parameters: Parameters, name: str, x: Any) -> Any:
    return x @ parameters[f"{name}.weight"].T + parameters[f"{name}.bias"]


def layer_norm(parameters: Parameters, name: str, x: Any) -> Any:
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred * lax.rsqrt((centred * centred).mean(-1, keepdims=True) + 1e-5)
    return scaled * parameters[f"{name}.weight"] + parameters[f"{name}.bias"]


def perceptron(widths: list[int], batch: int) -> Callable:
    """Return the forward of `models.perceptron`."""

    def forward(parameters: Parameters, x: Any) -> Any:
        *hidden, last = range(0, 2 * len(widths) - 2, 2)
        for i in hidden:
            x = nn.relu(linear(parameters, str(i), x))
        return linear(parameters, str(last), x)

    return forward


def convolutional(side: int, batch: int) -> Callable:
    """Return the forward of `models.convolutional`, with the channels last, as JAX likes them."""

    def forward(parameters: Parameters, x: Any) -> Any:
        x = x.transpose(0, 2, 3, 1)
        for name in ("0", "3"):
            weight = parameters[f"{name}.weight"].transpose(2, 3, 1, 0)
            x = lax.conv_general_dilated(
                x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            )
            x = nn.relu(x + parameters[f"{name}.bias"])
            x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        return linear(parameters, "7", x.transpose(0, 3, 1, 2).reshape(batch, -1))

    return forward


def lstm(batch: int) -> Callable:
    """Return the forward of `models.lstm`: the input's part in one product, the rest in a scan."""

    def forward(parameters: Parameters, x: Any) -> Any:
        weight = parameters["lstm.weight_hh_l0"].T
        bias = parameters["lstm.bias_ih_l0"] + parameters["lstm.bias_hh_l0"]
        given = x.transpose(1, 0, 2) @ parameters["lstm.weight_ih_l0"].T + bias

        def time_step(state: Any, part: Any) -> Any:
            hidden, cell = state
            i, f, g, o = jnp.split(part + hidden @ weight, 4, axis=1)
            cell = nn.sigmoid(f) * cell + nn.sigmoid(i) * jnp.tanh(g)
            return (nn.sigmoid(o) * jnp.tanh(cell), cell), None

        zeros = jnp.zeros((batch, weight.shape[0]), x.dtype)
        (hidden, _), _ = lax.scan(time_step, (zeros, zeros), given)
        return linear(parameters, "head", hidden)

    return forward


def gpt(batch: int) -> Callable:
    """Return the forward of `models.gpt`."""
    return decoder(batch, 128, 4, 64, 4)


def transformer(batch: int) -> Callable:
    """Return the forward of `models.transformer`."""
    return decoder(batch, 16, 2, 20, 1)


def decoder(batch: int, width: int, heads: int, length: int, layers: int) -> Callable:
    """Return the forward of `models.decoder`."""

    def attention(parameters: Parameters, name: str, x: Any) -> Any:
        parts = jnp.split(linear(parameters, f"{name}.qkv", x), 3, axis=2)
        q, k, v = (p.reshape(batch, length, heads, -1) for p in parts)
        y = nn.dot_product_attention(q, k, v, is_causal=True)
        return linear(parameters, f"{name}.out", y.reshape(batch, length, width))

    def forward(parameters: Parameters, tokens: Any) -> Any:
        x = parameters["tokens.weight"][tokens] + parameters["places.weight"][jnp.arange(length)]
        for i in range(layers):
            name = f"blocks.{i}"
            x = x + attention(
                parameters, f"{name}.attention", layer_norm(parameters, f"{name}.norm1", x)
            )
            inner = linear(
                parameters, f"{name}.feed_forward.0", layer_norm(parameters, f"{name}.norm2", x)
            )
            inner = nn.gelu(inner, approximate=False)
            x = x + linear(parameters, f"{name}.feed_forward.2", inner)
        x = layer_norm(parameters, "norm", x)
        return linear(parameters, "head", x).reshape(batch * length, -1)

    return forward
