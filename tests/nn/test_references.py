"""Layers, losses and functions against their formulas in NumPy, and against finite differences.

All that the tables hold, without PyTorch; `test_layer_peers.py` compares the same rows with it.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
import references
from nn_rows import CONSTANTS, ELSEWHERE, FORMULAS, FUNCTIONS, LAYERS, LOSSES, NO_LAYERS, RANDOM
from nn_rows.samplers import inputs_of, numbers, settings_in

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.autograd import gradcheck
from tinygrad_opt.func import functional_call
from tinygrad_opt.nn import functional as F

every_layer = pytest.mark.parametrize("name", LAYERS)


def reductions(name):
    return ("mean", "sum", "none", *(["batchmean"] if name == "KLDivLoss" else []))


def rows_of(table):
    return [
        pytest.param(name, row, id=f"{name}-{i}")
        for name, rows in table.items()
        for i, row in enumerate(rows)
    ]


LOSS_CASES = [
    pytest.param(name, row, reduction, id=f"{name}-{i}-{reduction}")
    for name, rows in LOSSES.items()
    for i, row in enumerate(rows)
    for reduction in reductions(name)
]
every_loss = pytest.mark.parametrize(("name", "row", "reduction"), LOSS_CASES)
every_function = pytest.mark.parametrize(("name", "row"), rows_of(FUNCTIONS))
quiet = pytest.mark.filterwarnings("ignore:.*divides the total loss")


def built(name, dtype="float64"):
    """The layer of a row with a state of random numbers, and its inputs."""
    make, _, *shapes = LAYERS[name]
    arrays = [numbers(*shape, seed=i).astype(dtype) for i, shape in enumerate(shapes)]
    layer = make(nn).to(getattr(T, dtype))
    if "Lazy" in type(layer).__name__:
        layer(*map(T.tensor, arrays))  # now it knows its shapes
    rng = np.random.default_rng(8)
    for key, value in layer.state_dict().items():
        if value.is_floating_point():
            low = 0.5 if key.endswith("running_var") else -1.0
            value.array[...] = rng.uniform(low, 1.5, value.shape)
    return layer, arrays


def state_of(layer):
    return {
        key: np.array(value.numpy(), np.float64 if value.is_floating_point() else np.int64)
        for key, value in layer.state_dict().items()
    }


def close(tensor, expected, rtol=1e-11, atol=1e-12):
    assert tensor.shape == np.shape(expected)
    np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=rtol, atol=atol)


def leaves(arrays):
    return [T.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]


# Layers -------------------------------------------------------------------------------------------


TOLERANCES = {"float64": (1e-11, 1e-12), "float32": (3e-5, 3e-6)}


@every_layer
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_layers_equal_their_formulas(name, dtype):
    layer, arrays = built(name, dtype)
    formula = LAYERS[name][1]
    expected = formula(*[x.astype(np.float64) for x in arrays], **state_of(layer))
    y = layer(*map(T.tensor, arrays))
    assert y.dtype == dtype
    close(y, expected, *TOLERANCES[dtype])


@every_layer
def test_gradients_of_layers(name):
    layer, arrays = built(name)
    parameters = {k: p.detach().clone().requires_grad_() for k, p in layer.named_parameters()}
    count = len(arrays)

    def run(*tensors):
        given = dict(zip(parameters, tensors[count:], strict=True))
        return functional_call(layer, given, tensors[:count])

    assert gradcheck(run, [*leaves(arrays), *parameters.values()])


TRACKING = [
    name for name, (make, *_) in LAYERS.items()
    if (layer := make(nn)).training and getattr(layer, "track_running_stats", False)
]  # fmt: skip


@pytest.mark.parametrize("name", TRACKING)
def test_running_statistics_follow_their_formula(name):
    layer, (x,) = built(name)
    each = "Instance" in name
    for _ in range(3):
        before = state_of(layer)
        layer(T.tensor(x))
        share = layer.momentum
        if share is None:
            share = 1 / (before["num_batches_tracked"] + 1)
        mean, variance = references.running_statistics(
            x, before["running_mean"], before["running_var"], share, each
        )
        close(layer.running_mean, mean)
        close(layer.running_var, variance)
        counted = 0 if each else before["num_batches_tracked"] + 1  # as PyTorch's
        assert layer.num_batches_tracked.item() == counted
        x = 2 * x + 1


def test_layers_with_statistics_are_found():
    assert {name.split()[0] for name in TRACKING} == {
        "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "LazyBatchNorm1d", "LazyBatchNorm2d",
        "LazyBatchNorm3d", "InstanceNorm1d", "LazyInstanceNorm1d", "LazyInstanceNorm3d",
    }  # fmt: skip


# Losses -------------------------------------------------------------------------------------------


def double(values):
    return T.tensor(values, dtype=T.float64)


def formula_of_loss(name, row, reduction):
    settings, arrays = inputs_of(row)
    formula = getattr(references, FORMULAS[name])
    return formula(*arrays, **settings_in(np.array, settings), reduction=reduction)


@quiet
@every_loss
def test_losses_equal_their_formulas(name, row, reduction):
    settings, arrays = inputs_of(row)
    tensors, settings = list(map(T.tensor, arrays)), settings_in(double, settings)
    expected = formula_of_loss(name, row, reduction)
    close(getattr(nn, name)(**settings, reduction=reduction)(*tensors), expected)
    close(getattr(F, FORMULAS[name])(*tensors, **settings, reduction=reduction), expected)


def where_differences_say_nothing(name, settings, tensors):
    """Variances below eps count as eps, but pass their gradient on, as PyTorch's."""
    if name == "GaussianNLLLoss" and settings.get("eps", 0) > tensors[2].min().item():
        tensors[2].requires_grad_(False)


@quiet
@every_loss
def test_gradients_of_losses(name, row, reduction):
    settings, arrays = inputs_of(row)
    tensors = leaves(arrays)
    where_differences_say_nothing(name, settings, tensors)
    loss = getattr(nn, name)(**settings_in(double, settings), reduction=reduction)
    assert gradcheck(loss, tensors)


# Functions ----------------------------------------------------------------------------------------


@every_function
def test_functions_equal_their_formulas(name, row):
    settings, arrays = inputs_of(row)
    expected = getattr(references, name)(*arrays, **settings)
    close(getattr(F, name)(*map(T.tensor, arrays), **settings), expected)


@every_function
def test_gradients_of_functions(name, row):
    settings, arrays = inputs_of(row)
    tensors = leaves(arrays)
    function = lambda *xs: getattr(F, name)(*xs, **settings)  # noqa: E731
    for i in CONSTANTS.get(name, ()):
        if i < len(tensors):
            tensors[i].requires_grad_(False)
    if name == "one_hot":
        assert not function(*tensors).requires_grad
    else:
        assert gradcheck(function, tensors)


# The tables are complete --------------------------------------------------------------------------


def test_every_layer_and_loss_has_a_formula():
    rows = {type(make(nn)).__name__ for make, *_ in LAYERS.values()} | set(LOSSES)
    assert rows | NO_LAYERS | {name for name in ELSEWHERE if name in nn.__all__} == set(nn.__all__)
    assert not rows & (NO_LAYERS | set(ELSEWHERE))


def test_every_function_has_a_formula():
    rows = set(FUNCTIONS) | set(FORMULAS.values())
    elsewhere = {name for name in ELSEWHERE if name in F.__all__}
    assert rows | elsewhere | RANDOM == set(F.__all__)
    assert not rows & (elsewhere | RANDOM)
    assert set(FORMULAS) == set(LOSSES)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_formulas_elsewhere_are_called_there(name):
    tree = ast.parse((Path(__file__).parent / ELSEWHERE[name]).read_text())
    words = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    words |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert name in words or name.removesuffix("Cell") in words
