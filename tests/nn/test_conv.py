"""Convolutional layers: values by definition, kernels against array code, names, text, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_rows.samplers import numbers

import tinygrad_opt as T
from tinygrad_opt import nn
from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.windows import Window
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.nn import functional as F

# By definition ------------------------------------------------------------------------------------


def test_a_known_image():
    image = T.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    corner = T.tensor([[[[1.0, 0.0], [0.0, -1.0]]]])
    assert F.conv2d(image, corner).tolist() == [[[[-4, -4], [-4, -4]]]]
    assert F.conv2d(image, corner, T.tensor([4.5])).tolist() == [[[[0.5, 0.5], [0.5, 0.5]]]]
    assert F.conv2d(image, corner, stride=2).tolist() == [[[[-4]]]]
    assert F.conv2d(image, corner, dilation=2).tolist() == [[[[-8]]]]
    assert F.conv2d(image, corner, padding="same").tolist() == [
        [[[-4, -4, 3], [-4, -4, 6], [7, 8, 9]]]
    ]
    assert F.conv_transpose2d(T.tensor([[[[2.0]]]]), corner).tolist() == [[[[2, 0], [0, -2]]]]
    assert F.conv1d(image[0, 0], T.ones(1, 3, 1)).tolist() == [[12, 15, 18]]
    assert F.conv3d(image, T.ones(1, 1, 1, 3, 3)).tolist() == [[[[45]]]]


def test_conv_transpose_is_the_transpose():
    x, y = T.tensor(numbers(2, 4, 7, 6)), T.tensor(numbers(2, 6, 4, 5))
    w = T.tensor(numbers(6, 2, 3, 2))
    settings = {"stride": (2, 1), "padding": (1, 0), "groups": 2}
    assert F.conv2d(x, w, **settings).shape == y.shape
    ours = (F.conv2d(x, w, **settings) * y).sum()
    np.testing.assert_allclose(ours, (x * F.conv_transpose2d(y, w, **settings)).sum(), rtol=1e-12)
    for axes, conv, back in (1, F.conv1d, F.conv_transpose1d), (3, F.conv3d, F.conv_transpose3d):
        a, b = numbers(1, 2, *(4,) * axes), numbers(1, 3, *(3,) * axes)
        w = T.tensor(numbers(3, 2, *(2,) * axes))
        left = (conv(T.tensor(a), w) * T.tensor(b)).sum()
        np.testing.assert_allclose(left, (T.tensor(a) * back(T.tensor(b), w)).sum(), rtol=1e-12)


@st.composite
def geometries(draw):
    """An image, a Window over it, filters and channels per group, and a batch."""
    axes = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(axes))

    image, kernel, stride, dilation = each(1, 6), each(1, 3), each(1, 3), each(1, 3)
    low, high = each(0, 3), each(0, 3)
    output = tuple(
        (n + a + b - d * (k - 1) - 1) // s + 1
        for n, a, b, d, k, s in zip(image, low, high, dilation, kernel, stride, strict=True)
    )
    groups = draw(st.integers(1, 3))
    counts = tuple(draw(st.integers(1, 7)) for _ in range(2))
    return (
        Window(image, kernel, output, stride, low, dilation, groups),
        counts,
        draw(st.integers(1, 9)),
    )


@settings(deadline=None, max_examples=60)
@given(geometries())
def test_kernels_agree_with_array_code(drawn):
    at, (channels, filters), batch = drawn
    if min(at.output) < 1:
        return
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, at.groups * channels, *at.image))
    w = rng.standard_normal((at.groups * filters, channels, *at.kernel))
    g = rng.standard_normal((batch, at.groups * filters, *at.output))
    bias = rng.standard_normal(len(w))
    fast, plain = xp(x), Namespace(np)
    for name, *arrays in [
        ("convolve", x, w, bias), ("convolve_input", g, w), ("convolve_weight", g, x),
    ]:  # fmt: skip
        expected = getattr(plain, name)(*arrays, at=at)
        np.testing.assert_allclose(getattr(fast, name)(*arrays, at=at), expected, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float16", "int64"])
def test_other_types_take_array_code(dtype):
    x, w = (np.round(numbers(*shape) * 2).astype(dtype) for shape in [(2, 3, 5, 4), (2, 3, 2, 2)])
    y = F.conv2d(T.tensor(x), T.tensor(w))
    assert y.dtype == dtype
    expected = F.conv2d(T.tensor(x.astype("float64")), T.tensor(w.astype("float64")))
    np.testing.assert_array_equal(y.array, expected.array)


def test_float32_error_stays_small():
    x, w = numbers(4, 64, 12, 12), numbers(8, 64, 3, 3, seed=1)
    exact = F.conv2d(T.tensor(x), T.tensor(w)).array
    y = F.conv2d(T.tensor(x, dtype=T.float32), T.tensor(w, dtype=T.float32)).array
    scale = np.sqrt((x**2).mean() * (w**2).mean() * w[0].size)
    assert np.abs(y - exact).max() < 4e-6 * scale


def test_empty_batches_and_single_elements():
    w = T.tensor(numbers(4, 3, 3, 3), requires_grad=True)
    x = T.zeros(0, 3, 8, 8, dtype=T.float64, requires_grad=True)
    y = F.conv2d(x, w, padding=1)
    assert y.shape == (0, 4, 8, 8)
    y.sum().backward()
    assert x.grad.shape == x.shape
    assert not w.grad.array.any()
    assert F.conv_transpose2d(y, w).shape == (0, 3, 10, 10)
    assert F.conv2d(T.ones(1, 1, 1), T.full((1, 1, 1, 1), 3.0)).tolist() == [[[3]]]


def test_not_a_number_stays_where_it_is_seen():
    x = T.zeros(1, 1, 5, 5)
    x[0, 0, 2, 0] = math.nan
    seen = F.conv2d(x, T.ones(1, 1, 3, 3), padding=1).isnan().array[0, 0]
    expected = np.zeros((5, 5), bool)
    expected[1:4, :2] = True
    np.testing.assert_array_equal(seen, expected)


def test_threads_change_no_bit(monkeypatch):
    from tinygrad_opt.kernels import threads

    x, w = numbers(9, 3, 6, 6).astype("f"), numbers(5, 3, 3, 3).astype("f")

    def results():
        a, b = (T.tensor(v, requires_grad=True) for v in (x, w))
        y = F.conv2d(a, b, padding=1)
        y.sum().backward()
        return y.array, a.grad.array, b.grad.array

    serial = results()
    monkeypatch.setattr(threads, "threshold", 1)
    for a, b in zip(serial, results(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_fold_counts_what_unfold_repeats():
    ones = T.ones(1, 2, 4, 4)
    patches = F.unfold(ones, 3)
    assert patches.shape == (1, 18, 4)
    assert F.fold(patches, (4, 4), 3)[0, 0].tolist() == [
        [1, 2, 2, 1], [2, 4, 4, 2], [2, 4, 4, 2], [1, 2, 2, 1]
    ]  # fmt: skip


def test_names_beside_nn():
    for name in ("conv1d", "conv2d", "conv3d", "conv_transpose2d", "max_pool2d", "avg_pool1d",
                 "adaptive_avg_pool1d", "pixel_shuffle"):  # fmt: skip
        assert getattr(T, name) is getattr(F, name)


# Layers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 8, 5), nn.ConvTranspose2d(8, 3, 5)])
def test_initial_values(layer):
    assert layer.weight.shape == (8, 3, 5, 5)
    bound = 1 / math.sqrt(3 * 25)
    for parameter in (layer.weight, layer.bias):
        assert abs(parameter.array).max() <= bound
    assert abs(layer.weight.array).max() > 0.95 * bound


def test_output_size_chooses_among_the_sizes():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2)
    x = T.tensor(numbers(1, 2, 4, 4), dtype=T.float32)
    assert layer(x).shape == (1, 3, 9, 9)
    y = layer(x, output_size=(9, 10))
    assert y.shape == (1, 3, 9, 10)
    np.testing.assert_allclose(y.array[..., :9], layer(x).array, rtol=1e-6)
    assert layer(x, output_size=[1, 3, 10, 10]).shape == (1, 3, 10, 10)


def test_lazy_layers_become_ordinary_ones():
    layer = nn.LazyConv2d(4, 3, groups=2)
    assert layer.has_uninitialized_params()
    assert layer(T.zeros(1, 6, 5, 5)).shape == (1, 4, 3, 3)
    assert type(layer) is nn.Conv2d
    assert layer.weight.shape == (4, 3, 3, 3)
    assert layer.in_channels == 6
    transposed = nn.LazyConvTranspose1d(4, 3)
    transposed(T.zeros(6, 5))
    assert transposed.weight.shape == (6, 4, 3)
    with pytest.raises(RuntimeError, match=r"Expected 3D \(unbatched\) or 4D \(batched\)"):
        nn.LazyConv2d(4, 3)(T.zeros(5, 5))
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        nn.LazyConv2d(4, 3, groups=2)(T.zeros(1, 3, 5, 5))


X, W = (2, 3, 8, 8), (4, 3, 3, 3)
ERRORS = {
    "channels": (
        lambda t, F: F.conv2d(t.zeros(2, 5, 8, 8), t.zeros(*W)), RuntimeError,
        r"Given groups=1, weight of size \[4, 3, 3, 3\], expected input\[2, 5, 8, 8\] to have 3 "
        r"channels, but got 5 channels instead",
    ),
    "groups": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), groups=2), RuntimeError,
        "Given groups=2, .* to have 6 channels, but got 3 channels instead",
    ),
    "filters by groups": (
        lambda t, F: F.conv2d(t.zeros(2, 6, 8, 8), t.zeros(3, 3, 3, 3), groups=2), RuntimeError,
        "expected weight to be divisible by 2 at dimension 0",
    ),
    "axes": (
        lambda t, F: F.conv2d(t.zeros(8, 8), t.zeros(*W)), RuntimeError,
        r"Expected 3D \(unbatched\) or 4D \(batched\) input to conv2d, but got input of size: "
        r"\[8, 8\]",
    ),
    "axes of the weight": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(4, 3, 3)), RuntimeError,
        "to match the convolution dimensions",
    ),
    "bias": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), t.zeros(3)), RuntimeError,
        r"expected bias to be 1-dimensional with 4 elements, but got bias of size \[3\] instead",
    ),
    "kernel too large": (
        lambda t, F: F.conv2d(t.zeros(1, 3, 2, 2), t.zeros(*W)), RuntimeError,
        r"Calculated padded input size per channel: \(2 x 2\). Kernel size: \(3 x 3\). Kernel size "
        r"can't be greater than actual input size",
    ),
    "stride": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), stride=0), RuntimeError,
        "non-positive stride is not supported",
    ),
    "padding": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), padding=-1), RuntimeError,
        "negative padding is not supported",
    ),
    "dilation": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), dilation=0), RuntimeError,
        "non-positive dilation is not supported",
    ),
    "no groups": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), groups=0), RuntimeError,
        "non-positive groups is not supported",
    ),
    "same with stride": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), padding="same", stride=2), RuntimeError,
        "padding='same' is not supported for strided convolutions",
    ),
    "padding string": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), padding="some"), RuntimeError,
        "Invalid padding string",
    ),
    "strides": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), stride=(1, 1, 1)), RuntimeError,
        r"expected stride to be a single integer value or a list of 2 values to match the "
        r"convolution dimensions, but got stride=\[1, 1, 1\]",
    ),
    "types": (
        lambda t, F: F.conv2d(t.zeros(*X).double(), t.zeros(*W)), RuntimeError,
        "expected scalar type Double but found Float",
    ),
    "type of the bias": (
        lambda t, F: F.conv2d(t.zeros(*X), t.zeros(*W), t.zeros(4).double()), RuntimeError,
        r"Input type \(float\) and bias type \(double\) should be the same",
    ),
    "transposed, channels": (
        lambda t, F: F.conv_transpose2d(t.zeros(2, 5, 8, 8), t.zeros(3, 4, 3, 3)), RuntimeError,
        "Given transposed=1, weight of size .* to have 3 channels, but got 5 channels instead",
    ),
    "output padding": (
        lambda t, F: F.conv_transpose2d(t.zeros(*X), t.zeros(3, 4, 3, 3), output_padding=1),
        RuntimeError, "output padding must be smaller than either stride or dilation",
    ),
    "nothing left": (
        lambda t, F: F.conv_transpose2d(t.zeros(1, 3, 1, 1), t.zeros(3, 4, 3, 3), padding=2),
        RuntimeError, "Output size is too small",
    ),
    "layer, in by groups": (
        lambda t, F: t.nn.Conv2d(3, 4, 3, groups=2), ValueError,
        "in_channels must be divisible by groups",
    ),
    "layer, out by groups": (
        lambda t, F: t.nn.Conv2d(4, 3, 3, groups=2), ValueError,
        "out_channels must be divisible by groups",
    ),
    "layer, no groups": (
        lambda t, F: t.nn.Conv2d(4, 3, 3, groups=0), ValueError,
        "groups must be a positive integer",
    ),
    "layer, padding string": (
        lambda t, F: t.nn.Conv2d(4, 3, 3, padding="some"), ValueError, "Invalid padding string",
    ),
    "layer, same with stride": (
        lambda t, F: t.nn.Conv2d(4, 3, 3, padding="same", stride=2), ValueError,
        "padding='same' is not supported for strided convolutions",
    ),
    "layer, padding mode": (
        lambda t, F: t.nn.Conv2d(4, 3, 3, padding_mode="some"), ValueError,
        "padding_mode must be one of",
    ),
    "transposed layer, padding mode": (
        lambda t, F: t.nn.ConvTranspose2d(4, 3, 3, padding_mode="reflect"), ValueError,
        'Only "zeros" padding mode is supported for ConvTranspose2d',
    ),
    "output size": (
        lambda t, F: t.nn.ConvTranspose2d(3, 4, 3, 2)(t.zeros(*X), output_size=(17, 30)),
        ValueError, r"requested an output size of .*, but valid sizes range from \[17, 17\]",
    ),
    "numbers of output size": (
        lambda t, F: t.nn.ConvTranspose2d(3, 4, 3, 2)(t.zeros(*X), output_size=(17,)),
        ValueError, "output_size must have 2 or 4 elements",
    ),
    "unfold, axes": (
        lambda t, F: F.unfold(t.zeros(1, 1, 1, 8, 8), 2), RuntimeError,
        r"Expected 3D or 4D \(batch mode\)",
    ),
    "unfold, too large": (
        lambda t, F: F.unfold(t.zeros(1, 1, 2, 2), 3), RuntimeError,
        "calculated shape of the array of sliding blocks as",
    ),
    "fold, axes": (
        lambda t, F: F.fold(t.zeros(4), 2, 2), RuntimeError, r"Expected 2D or 3D \(batch mode\)",
    ),
    "fold, rows": (
        lambda t, F: F.fold(t.zeros(1, 3, 4), (3, 3), 2), RuntimeError,
        "to be divisible by the product of kernel_size",
    ),
    "fold, columns": (
        lambda t, F: F.fold(t.zeros(1, 4, 3), (3, 3), 2), RuntimeError,
        "expected size of input's dimension 2 to match the calculated number of sliding blocks",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    wrong, kind, message = ERRORS[name]
    with pytest.raises(kind, match=message):
        wrong(T, F)


# PyTorch ------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("name", ERRORS)
def test_pytorch_refuses_the_same(torch, name):
    wrong, kind, _ = ERRORS[name]
    with pytest.raises(kind):
        wrong(torch, torch.nn.functional)
