"""The shape of a row, samplers that keep off kinks, ties and poles, and shared references."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """One operation with what is known of it."""

    name: str  # the public name, then after a colon what is special about this row
    call: Callable[..., Any]  # (module, *tensors) -> Tensor
    sample: Callable[..., Any]  # rng -> float64 arrays; elementwise rows: (rng, *shapes)
    ref: Callable[..., Any] | None  # arrays -> array, in NumPy
    peer: Callable[..., Any] | None = None  # (torch, *tensors), where `call` does not fit torch
    arity: int = 0  # number of inputs, for elementwise rows only
    second: bool = True  # whether the derivative can be differentiated
    rough: float = 0.0  # PyTorch's own relative error, where it is worse than rounding

    @property
    def covers(self):
        """The public name that this row tests."""
        return self.name.partition(":")[0]

    def inputs(self, seed=0):
        """The sampled arrays, always the same."""
        rng = np.random.default_rng(seed)
        return self.sample(rng, *[(2, 3)] * self.arity) if self.arity else self.sample(rng)


# Values -------------------------------------------------------------------------------------------


def normal(rng, shape=(2, 3)):
    return rng.standard_normal(shape)


def positive(rng, shape=(2, 3)):
    return rng.uniform(0.3, 3.0, shape)


def off_zero(rng, shape=(2, 3)):
    return rng.uniform(0.2, 2.0, shape) * rng.choice([-1.0, 1.0], shape)


def apart(rng, shape=(2, 3)):
    """Values of which no two are closer than 0.1."""
    n = math.prod(shape)
    return (rng.permutation(n) - n / 2 + rng.uniform(0.1, 0.9, n)).reshape(shape) / 3


def off_bounds(rng, shape=(2, 3)):
    """Values at least 0.1 away from the bounds -0.5 and 0.5."""
    x = rng.uniform(0.6, 1.5, shape) * rng.choice([-1.0, 1.0], shape)
    return np.where(rng.uniform(size=shape) < 0.5, x, rng.uniform(-0.4, 0.4, shape))


def of(*shapes, values=normal):
    """A sampler of one array for each shape."""
    return lambda rng: tuple(values(rng, shape) for shape in shapes)


# Constructors of rows -----------------------------------------------------------------------------


def unary(name, ref, values=normal, call=None, peer=None, **more):
    name_ = name.partition(":")[0]
    call = call or (lambda m, x: getattr(m, name_)(x))
    return Row(name, call, lambda rng, shape: (values(rng, shape),), ref, peer, arity=1, **more)


def binary(name, ref, left=normal, right=normal, call=None, peer=None):
    name_ = name.partition(":")[0]
    call = call or (lambda m, x, y: getattr(m, name_)(x, y))

    def sample(rng, a, b):
        x, y = left(rng, a), right(rng, b)
        if left is apart:  # a choice between the two must not tie
            y = y + 0.05 * np.where(np.round(y, 1) == np.round(x, 1), 7, 1)
        return x, y

    return Row(name, call, sample, ref, peer, arity=2)


# References ---------------------------------------------------------------------------------------

np_erf = np.vectorize(math.erf, otypes=[float])


def np_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def np_softmax(x, axis):
    e = np.exp(x)
    return e / e.sum(axis=axis, keepdims=True)


def np_gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


TARGET = np.array([[0.0, 1.0, 0.0], [0.5, 0.0, 0.5]])
MASK = np.array([[True, False, True], [False, False, True]])
LABELS = np.array([2, 0])
INDEX = np.array([[0, 2, 2], [1, 0, 1]])
PLACE = np.array([[[[0, 5], [5, 11]]]])  # places in an image; 5 twice


def functional(name, **kwargs):
    """The function of torch.nn.functional of that name."""
    return lambda m, *xs: getattr(m.nn.functional, name)(*xs, **kwargs)


def mask(m):
    return m.tensor(MASK)
