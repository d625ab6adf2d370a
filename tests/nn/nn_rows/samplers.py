"""Inputs for rows, drawn from a generator; and which row goes with which class."""

import numpy as np


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def normal(rng, shape):
    return rng.standard_normal(shape)


def probabilities(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def counts(rng, shape):
    return rng.uniform(0, 5, shape)


def signs(rng, shape):
    return rng.choice([-1, 1], shape)


def classes(rng, shape):
    return rng.integers(0, 3, shape)


def given(values):
    """A sampler of just these values."""
    return lambda rng, shape: np.array(values).reshape(shape)


def inputs_of(row, seed=3):
    """The settings of a row, and its inputs as arrays."""
    settings, *inputs = row
    rng = np.random.default_rng(seed)
    return settings, [np.asarray(sample(rng, shape)) for sample, shape in inputs]


def settings_in(make, settings):
    """The settings with lists of numbers made into arrays or tensors."""
    return {k: make(v) if isinstance(v, list) else v for k, v in settings.items()}


def written_as(name, functions):
    """The function whose name is a class's in small letters, or None: of MSELoss mse_loss."""
    return next((f for f in functions if f.replace("_", "") == name.lower()), None)
