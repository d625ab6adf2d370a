"""Pooling and resizing layers: known values, ties, kernels against array code, text, errors."""

from __future__ import annotations

import math
from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_rows.samplers import numbers

import tinygrad_opt as T
from tinygrad_opt import autograd, nn
from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.windows import Spans
from tinygrad_opt.arrays.xp import xp
from tinygrad_opt.nn import functional as F

# Known values -------------------------------------------------------------------------------------


def test_the_first_of_equal_maxima_gets_the_gradient():
    x = T.tensor([[[[2.0, 2.0], [1.0, 2.0]]]], requires_grad=True)
    y, place = F.max_pool2d(x, 2, return_indices=True)
    y.sum().backward()
    assert x.grad.tolist() == [[[[1, 0], [0, 0]]]]
    assert place.tolist() == [[[[0]]]]
    assert place.dtype == T.int64


def test_maxima_of_overlapping_windows_add_up():
    x = T.tensor([[1.0, 3.0, 2.0]], requires_grad=True)
    y = F.max_pool1d(x, 2, stride=1)
    assert y.tolist() == [[3, 3]]
    y.sum().backward()
    assert x.grad.tolist() == [[0, 2, 0]]


def test_maxima_of_not_a_number_and_of_minus_infinity():
    x = T.tensor([[math.nan, 1.0, -math.inf, -math.inf, 5.0, math.nan]])
    y, place = F.max_pool1d(x, 2, return_indices=True)
    assert np.isnan(y.array[0, [0, 2]]).all()
    assert y[0, 1].item() == -math.inf
    assert place.tolist() == [[0, 2, 5]]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "arguments", [(2,), (2, 2, 1), (3, 2, 1), (3, 1, 1), ((1, 3), 2), (2, 3, 0, 2), (16, 1)]
)
def test_maxima_are_the_same_with_and_without_their_places(arguments, dtype):
    rng = np.random.default_rng(0)
    values = np.round(2 * rng.standard_normal((2, 3, 18, 17)))
    for special in (math.nan, -math.inf, math.inf):
        values[rng.random(values.shape) < 0.05] = special
    found = []
    for places in (False, True):
        x = T.tensor(values.astype(dtype), requires_grad=True)
        y = F.max_pool2d(x, *arguments, return_indices=places)
        y = y[0] if places else y
        order = T.arange(y.numel()).reshape(y.shape).to(y.dtype)
        (y * order).nan_to_num(0, 0, 0).sum().backward()
        found.append((y.array, x.grad.array))
    (y, g), (other, other_g) = found
    np.testing.assert_array_equal(y, other, strict=True)
    np.testing.assert_allclose(g, other_g, rtol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize("size", [1, 2, (2, 3), 6])
def test_even_windows_are_those_that_cover_the_image(size):
    x = T.tensor(numbers(2, 3, 6, 6), requires_grad=True)
    cells = x.array.reshape(6, 6, 6)
    rows, columns = (size, size) if isinstance(size, int) else size
    parts = cells.reshape(6, rows, 6 // rows, columns, 6 // columns)
    largest, mean = F.adaptive_max_pool2d(x, size), F.adaptive_avg_pool2d(x, size)
    np.testing.assert_array_equal(largest.array, parts.max((2, 4)).reshape(largest.shape))
    np.testing.assert_allclose(mean.array, parts.mean((2, 4)).reshape(mean.shape), rtol=1e-12)


def test_windows_of_many_cells_and_whole_numbers_are_added_up_axis_by_axis():
    x = numbers(1, 2, 20, 20)
    expected = np.lib.stride_tricks.sliding_window_view(x, (9, 9), (2, 3)).mean((4, 5))
    np.testing.assert_allclose(F.avg_pool2d(T.tensor(x), 9, 1).array, expected, rtol=1e-12)


# input, kernel, stride, padding, dilation, maxima, places: PyTorch's maxima, written out
NO_CELL = [
    ([[1.0]], 2, None, 1, 2, [[-math.inf]], [[-1]]),
    ([[1.0, 2.0]], 2, 1, 1, 2, [[2.0, 1.0]], [[1, 0]]),
    ([[1.0, 2.0]], 2, 1, 1, 3, [[-math.inf]], [[-1]]),
    ([[4.0, 5.0, 6.0]], 2, 2, 1, 4, [[-math.inf]], [[-1]]),
    ([[4.0, 5.0, 6.0]], 3, 1, 1, 2, [[5.0]], [[1]]),
]


@pytest.mark.parametrize("dtype", [T.float32, T.float64, T.float16, T.int64])
@pytest.mark.parametrize("case", NO_CELL)
def test_windows_without_a_cell(case, dtype):
    values, *arguments, maxima, places = case
    x = T.tensor(values).to(dtype)
    y, place = F.max_pool1d(x, *arguments, return_indices=True)
    least = np.iinfo(np.int64).min if dtype == T.int64 else -math.inf
    assert y.tolist() == [[least if v == -math.inf else v for v in row] for row in maxima]
    assert place.tolist() == places
    assert y.dtype == dtype


def test_windows_without_a_cell_have_no_gradient():
    x = T.ones(1, 1, 3, 1, dtype=T.float64, requires_grad=True)
    y = F.max_pool2d(x, (1, 2), None, (0, 1), (1, 2))
    assert y.tolist() == [[[[-math.inf]] * 3]]
    (g,) = T.autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [[[[0.0]] * 3]]
    cube = T.ones(1, 1, 1, 1, 1, requires_grad=True)
    F.max_pool3d(cube, 2, None, 1, 2).sum().backward()
    assert cube.grad.tolist() == [[[[[0.0]]]]]
    # Of the gradient's gradient, too: what was picked from nowhere stays nothing.
    line = T.tensor([[[1.0, 2.0, 3.0]]], dtype=T.float64, requires_grad=True)
    weight = T.ones(1, 1, 1, dtype=T.float64, requires_grad=True)
    missed = F.max_pool1d(line, 2, 2, 1, 4)
    (g,) = T.autograd.grad(missed, line, weight, create_graph=True)
    g.sum().backward()
    assert weight.grad.tolist() == [[[0.0]]]


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_windows_that_lie_outside_in_every_way(axes):
    # By definition: the largest of the cells that lie in the image, -inf if none does.
    rng = np.random.default_rng(axes)
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1]
    for _ in range(40):
        kernel, dilation, stride = rng.integers(1, 4, (3, axes)).tolist()
        padding = [int(rng.integers(0, k // 2 + 1)) for k in kernel]
        image = rng.integers(1, 5, axes).tolist()
        x = rng.standard_normal((1, 2, *image))
        sides = [(0, 0), (0, 0), *((p, p) for p in padding)]
        padded = np.pad(x, sides, constant_values=-np.inf)
        reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if any(n < r for n, r in zip(padded.shape[2:], reach, strict=True)):
            continue
        windows = np.lib.stride_tricks.sliding_window_view(padded, reach, range(2, 2 + axes))
        steps = (slice(None, None, s) for s in stride)
        taps = (slice(None, None, d) for d in dilation)
        right = windows[(..., *steps, *(slice(None),) * axes)][(..., *taps)]
        ours = pool(T.tensor(x), kernel, stride, padding, dilation)
        np.testing.assert_array_equal(ours.array, right.max(axis=tuple(range(-axes, 0))))


def test_indices_that_were_changed_after_pooling_are_refused():
    x = T.tensor([[[1.0, 2.0, 3.0, 4.0]]], requires_grad=True)
    for bad in (4, 10**12, -5, -(2**63)):
        y, place = F.max_pool1d(x, 2, return_indices=True)
        place.array[0, 0, 1] = bad
        with pytest.raises(IndexError, match=r"between 0 and 3, got .*; were the indices changed"):
            y.sum().backward()
        z, place = F.max_pool1d(x.detach(), 2, return_indices=True)
        z.requires_grad = True
        full = F.max_unpool1d(z, place, 2)
        place.array[0, 0, 1] = bad
        with pytest.raises(IndexError, match="between 0 and 3"):
            full.sum().backward()


def test_whole_numbers_and_half_precision():
    x = T.arange(16).reshape(1, 4, 4)
    assert F.max_pool2d(x, 2).tolist() == [[[5, 7], [13, 15]]]
    assert F.max_pool2d(x.half(), 2).dtype == T.float16
    assert F.avg_pool2d(x.half(), 2).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]


def test_padding_counts_or_not():
    x = T.ones(1, 1, 2, 2)
    assert F.avg_pool2d(x, 2, 2, 1).tolist() == [[[[0.25, 0.25], [0.25, 0.25]]]]
    assert F.avg_pool2d(x, 2, 2, 1, count_include_pad=False).tolist() == [[[[1, 1], [1, 1]]]]
    assert F.avg_pool2d(x, 2, 2, 1, divisor_override=2).tolist() == [[[[0.5, 0.5], [0.5, 0.5]]]]


def test_unpooling_returns_maxima_to_their_places():
    x = T.tensor(numbers(2, 3, 6, 5))
    y, place = nn.MaxPool2d(2, return_indices=True)(x)
    full = F.max_unpool2d(y, place, 2, output_size=(2, 3, 6, 5))
    kept = full.array != 0
    np.testing.assert_array_equal(full.array[kept], x.array[kept])
    assert kept.sum() == y.numel()
    even, place = F.max_pool2d(x[..., :4], 2, return_indices=True)
    assert nn.MaxUnpool2d(2)(even, place).shape == (2, 3, 6, 4)
    line = T.tensor([[1.0, 4.0, 3.0, 2.0]])
    assert nn.MaxUnpool1d(2)(*F.max_pool1d(line, 2, return_indices=True)).tolist() == [[0, 4, 3, 0]]
    assert F.max_unpool1d(*F.max_pool1d(line, 2, return_indices=True), 2).tolist() == [[0, 4, 3, 0]]
    cube = T.tensor(numbers(1, 1, 2, 2, 2))
    maximum = F.max_pool3d(cube, 2, return_indices=True)
    for unpool in (nn.MaxUnpool3d(2), lambda *xs: F.max_unpool3d(*xs, 2)):
        assert unpool(*maximum).sum().item() == cube.max().item()


def test_adaptive_maxima_name_their_places():
    x = T.tensor(numbers(2, 3, 5, 4))
    for layer in (nn.AdaptiveMaxPool2d(2, return_indices=True),
                  lambda x: F.adaptive_max_pool2d(x, (2, 2), True)):  # fmt: skip
        y, place = layer(x)
        cells = x.array.reshape(2, 3, -1)
        found = np.take_along_axis(cells, place.array.reshape(2, 3, -1), 2)
        np.testing.assert_array_equal(found.reshape(y.shape), y.array)
    y, place = F.adaptive_max_pool1d(x[0, 0], 1, return_indices=True)
    np.testing.assert_array_equal(place.array[:, 0], x.array[0, 0].argmax(1))
    assert F.adaptive_avg_pool2d(x, 0).shape == (2, 3, 0, 0)
    y, place = F.adaptive_max_pool3d(x, 1, return_indices=True)
    np.testing.assert_array_equal(place.array.ravel(), x.array.reshape(2, -1).argmax(1))


def test_older_names_of_interpolate():
    x = T.tensor(numbers(1, 2, 3, 4))
    expected = F.interpolate(x, scale_factor=2).array
    np.testing.assert_array_equal(F.upsample(x, scale_factor=2).array, expected)
    np.testing.assert_array_equal(F.upsample_nearest(x, scale_factor=2).array, expected)
    corners = F.interpolate(x, size=5, mode="bilinear", align_corners=True).array
    np.testing.assert_array_equal(F.upsample_bilinear(x, 5).array, corners)


def test_shuffles_undo_each_other():
    x = T.tensor(numbers(2, 8, 2, 3))
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, 2), 2).array, x.array)
    np.testing.assert_array_equal(F.channel_shuffle(F.channel_shuffle(x, 2), 4).array, x.array)


# The functions with an argument, and how many axes an image has.
WITHOUT_BATCH = [
    (F.max_pool1d, 2, 1), (F.max_pool2d, 2, 2), (F.max_pool3d, 2, 3), (F.avg_pool1d, 2, 1),
    (F.avg_pool2d, 2, 2), (F.avg_pool3d, 2, 3), (F.adaptive_max_pool1d, 3, 1),
    (F.adaptive_max_pool2d, 3, 2), (F.adaptive_max_pool3d, 3, 3), (F.adaptive_avg_pool1d, 3, 1),
    (F.adaptive_avg_pool2d, 3, 2), (F.adaptive_avg_pool3d, 3, 3),
    (lambda x, k: F.lp_pool1d(x, 3.0, k), 2, 1), (lambda x, k: F.lp_pool2d(x, 3.0, k), 2, 2),
    (lambda x, k: F.lp_pool3d(x, 3.0, k), 2, 3),
]  # fmt: skip


@pytest.mark.parametrize(("pool", "argument", "axes"), WITHOUT_BATCH)
def test_a_batch_of_images_is_the_images(pool, argument, axes):
    x = T.tensor(np.abs(numbers(2, 3, *(5, 4, 6)[:axes])))
    y = pool(x, argument)
    np.testing.assert_array_equal(y.array, T.stack([pool(x[0], argument), pool(x[1], argument)]))
    other = pool(x, argument - 1)
    assert other.shape != y.shape or not np.array_equal(other.array, y.array)


@pytest.mark.parametrize("pool", [
    lambda x: F.max_pool2d(x, 2), lambda x: F.avg_pool2d(x, 3, 1, 1),
    lambda x: F.adaptive_avg_pool2d(x, 3), lambda x: F.adaptive_max_pool2d(x, 3),
    lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
])  # fmt: skip
def test_empty_batches(pool):
    x = T.zeros(0, 3, 8, 8, requires_grad=True)
    y = pool(x)
    assert y.shape == (0, *pool(T.zeros(1, 3, 8, 8)).shape[1:])
    y.sum().backward()
    assert x.grad.shape == x.shape


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 3), st.data())
def test_kernels_agree_with_array_code(axes, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = tuple(data.draw(st.integers(1, 6)) for _ in range(axes))
    spans = []
    for n in image:
        start = rng.integers(n, size=data.draw(st.integers(1, 4)))
        stop = np.minimum(start + rng.integers(1, 4, len(start)), n)
        spans.append(Spans(start, stop, data.draw(st.integers(1, 2))))
    x = np.round(rng.standard_normal((2, 3, *image)) * 2)
    x[rng.uniform(size=x.shape) < 0.1] = np.nan
    fast, plain = xp(x), Namespace(np)
    place = fast.window_argmax(x, tuple(spans))
    np.testing.assert_array_equal(place, plain.window_argmax(x, tuple(spans)))
    np.testing.assert_array_equal(fast.pick(x, place), plain.pick(x, place))
    g = rng.standard_normal(place.shape)
    spread = fast.spread(g, place, image)
    np.testing.assert_allclose(spread, plain.spread(g, place, image), atol=1e-14)


def test_threads_change_nothing(monkeypatch):
    from tinygrad_opt.kernels import threads

    x = T.tensor(numbers(5, 3, 6, 6), dtype=T.float32)
    expected = F.max_pool2d(x, 3, 1, 1).array
    monkeypatch.setattr(threads, "threshold", 1)
    np.testing.assert_array_equal(F.max_pool2d(x, 3, 1, 1).array, expected)


# Errors -------------------------------------------------------------------------------------------

X = (2, 3, 8, 8)
ERRORS = {
    "padding": (lambda t, F: F.max_pool2d(t.zeros(*X), 2, padding=2), RuntimeError,
                "pad should be at most half of effective kernel size"),
    "axes": (lambda t, F: F.max_pool2d(t.zeros(8, 8), 2), RuntimeError,
             r"non-empty 3D or 4D \(batch mode\) tensor expected for input"),
    "empty": (lambda t, F: F.max_pool2d(t.zeros(2, 3, 0, 8), 2), RuntimeError,
              r"Expected 3D or 4D \(batch mode\) tensor with optional 0 dim batch size"),
    "too small": (lambda t, F: F.max_pool2d(t.zeros(1, 1, 2, 2), 3), RuntimeError,
                  "Output size is too small"),
    "stride": (lambda t, F: F.max_pool2d(t.zeros(*X), 2, 0), RuntimeError,
               "stride should not be zero"),
    "kernel": (lambda t, F: F.max_pool2d(t.zeros(*X), 0), RuntimeError,
               "stride should not be zero"),
    "kernel sizes": (lambda t, F: F.max_pool2d(t.zeros(*X), (2, 2, 2)), RuntimeError,
                     "kernel_size must either be a single int, or a tuple of two ints"),
    "dilation": (lambda t, F: F.max_pool2d(t.zeros(*X), 2, dilation=0), RuntimeError,
                 "dilation should be greater than zero"),
    "mean, padding": (lambda t, F: F.avg_pool2d(t.zeros(*X), 2, padding=2), RuntimeError,
                      "pad should be at most half"),
    "divisor": (lambda t, F: F.avg_pool2d(t.zeros(*X), 2, divisor_override=0), RuntimeError,
                "divisor must be not zero"),
    "adaptive axes": (lambda t, F: F.adaptive_avg_pool2d(t.zeros(8, 8), 2), RuntimeError,
                      "Expected 3D or 4D"),
    "adaptive sizes": (lambda t, F: F.adaptive_avg_pool2d(t.zeros(*X), (2, 2, 2)), RuntimeError,
                       "output_size must be 2"),
    "adaptive negative": (lambda t, F: F.adaptive_avg_pool2d(t.zeros(*X), -1), RuntimeError,
                          "elements of output_size must be greater than or equal to 0"),
    "unpooled size": (
        lambda t, F: F.max_unpool2d(
            *F.max_pool2d(t.ones(*X), 2, return_indices=True), 2, output_size=(20, 20)),
        ValueError, r'invalid output_size "\(20, 20\)" \(dim 0 must be between 6 and 10\)'),
    "unpooled sizes": (
        lambda t, F: F.max_unpool2d(
            *F.max_pool2d(t.ones(*X), 2, return_indices=True), 2, output_size=(8,)),
        ValueError, "output_size should be a sequence containing"),
    "unpooled places": (
        lambda t, F: F.max_unpool2d(t.ones(1, 1, 1, 1), t.full((1, 1, 1, 1), 9), 2),
        RuntimeError, "Found an invalid max index: 9"),
    "unpooled places below": (
        lambda t, F: F.max_unpool2d(t.ones(1, 1, 1, 1), t.full((1, 1, 1, 1), -1), 2),
        RuntimeError, "Found an invalid max index: -1"),
    "unpooled places of int64's end": (
        lambda t, F: F.max_unpool1d(t.ones(1, 1, 1), t.full((1, 1, 1), -(2**63)), 2),
        RuntimeError, "Found an invalid max index: -9223372036854775808"),
    "unpooled places of floats": (
        lambda t, F: F.max_unpool1d(t.ones(1, 1, 1), t.full((1, 1, 1), math.nan), 2),
        RuntimeError, "elements in indices should be type int64 but got: "),
    "unpooled shapes": (
        lambda t, F: F.max_unpool2d(t.ones(1, 1, 1, 1), t.full((1, 1, 1, 2), 0), 2),
        RuntimeError, "Expected shape of indices to be same as that of the input tensor"),
    "size and factor": (lambda t, F: F.interpolate(t.zeros(*X), 3, 2), ValueError,
                        "only one of size or scale_factor should be defined"),
    "no size": (lambda t, F: F.interpolate(t.zeros(*X)), ValueError,
                "either size or scale_factor should be defined"),
    "corners": (lambda t, F: F.interpolate(t.zeros(*X), 3, align_corners=True), ValueError,
                "align_corners option can only be set with the interpolating modes"),
    "mode": (lambda t, F: F.interpolate(t.zeros(*X), 3, mode="some"), NotImplementedError,
             "Only 3D, 4D and 5D input Tensors supported"),
    "mode of axes": (lambda t, F: F.interpolate(t.zeros(*X), 3, mode="linear"),
                     NotImplementedError, "Got 4D input, but linear mode needs 3D input"),
    "axes of images": (lambda t, F: F.interpolate(t.zeros(3, 8), 3), NotImplementedError,
                       r"supported \(got 2D\)"),
    "sizes": (lambda t, F: F.interpolate(t.zeros(*X), (3, 3, 3)), ValueError,
              "Input and output must have the same number of spatial dimensions"),
    "empty result": (lambda t, F: F.interpolate(t.zeros(*X), 0), RuntimeError,
                     "Input and output sizes should be greater than 0"),
    "antialias": (lambda t, F: F.interpolate(t.zeros(*X), 3, antialias=True), ValueError,
                  "Anti-alias option is restricted to bilinear"),
    "recompute": (lambda t, F: F.interpolate(t.zeros(*X), 3, recompute_scale_factor=True),
                  ValueError, "recompute_scale_factor is not meaningful with an explicit size"),
    "shuffle": (lambda t, F: F.pixel_shuffle(t.zeros(*X), 2), RuntimeError,
                "divisible by the square of upscale_factor"),
    "shuffle, axes": (lambda t, F: F.pixel_shuffle(t.zeros(3), 2), RuntimeError,
                      "expects input to have at least 3 dimensions"),
    "shuffle, factor": (lambda t, F: F.pixel_shuffle(t.zeros(*X), 0), RuntimeError,
                        "expects a positive upscale_factor"),
    "unshuffle": (lambda t, F: F.pixel_unshuffle(t.zeros(*X), 3), RuntimeError,
                  "expects height to be divisible by downscale_factor"),
    "channels": (lambda t, F: F.channel_shuffle(t.zeros(*X), 2), RuntimeError,
                 "Number of channels must be divisible by groups"),
    "channels, axes": (lambda t, F: F.channel_shuffle(t.zeros(2, 4), 2), RuntimeError,
                       "expects input with > 2 dims"),
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


@pytest.mark.peers
@pytest.mark.parametrize("layer", ["MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"])
def test_text_of_unpooling(torch, layer):
    assert repr(getattr(nn, layer)(2, 3, 1)) == repr(getattr(torch.nn, layer)(2, 3, 1))


@pytest.mark.peers
@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 10, 13])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nearest_chooses_the_cells_that_pytorch_does(torch, n, dtype):
    x = np.arange(n, dtype=dtype).reshape(1, 1, n)
    for mode in ("nearest", "nearest-exact"):
        for settings_ in [{"size": k} for k in range(1, 30)] + [
            {"scale_factor": k / 7} for k in range(7, 40)
        ]:
            y = F.interpolate(T.tensor(x), mode=mode, **settings_)
            z = torch.nn.functional.interpolate(torch.tensor(x), mode=mode, **settings_)
            np.testing.assert_array_equal(y.array, z.numpy(), strict=True)


@pytest.mark.parametrize(
    "pool",
    [
        lambda x: F.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 2, return_indices=True)[0],
        lambda x: F.max_pool1d(x[0], 2), lambda x: F.adaptive_max_pool2d(x, 3),
        lambda x: F.fractional_max_pool2d(x, 2, output_size=2),
    ],
)  # fmt: skip
def test_second_derivatives_of_maxima_are_zeros(pool):
    x = T.randn(1, 2, 4, 4, requires_grad=True)
    y = pool(3 * x)
    (slope,) = autograd.grad((y * y.detach().requires_grad_()).sum(), x, create_graph=True)
    (bend,) = autograd.grad(slope.sum(), x)
    assert bend.shape == x.shape
    assert not bend.array.any()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_in_ceil_mode_the_last_window_may_reach_beyond_the_image(axes, threads):
    # What lies beyond has no place: none may be written, least of all over the next image's first.
    image = (4,) * (axes - 1) + (27,)
    values = np.random.default_rng(0).standard_normal((256, 16, *image), np.float32)
    first = (..., *[0] * axes)
    values[first] = 10
    before = T.get_num_threads()
    T.set_num_threads(threads)
    try:
        for _ in range(10):
            x = T.tensor(values, requires_grad=True)
            y = getattr(F, f"max_pool{axes}d")(x, 2, ceil_mode=True)
            y.sum().backward()
            assert (x.grad.numpy()[first] == 1).all()
            assert x.grad.sum() == math.prod(y.shape)
    finally:
        T.set_num_threads(before)


def test_sizes_may_be_given_as_anything_that_holds_whole_numbers():
    x, w = T.randn(1, 2, 8, 8), T.randn(3, 2, 3, 3)

    class Sizes(list):
        pass

    size = T.tensor([2, 2])
    for sizes in (2, (2, 2), [2, 2], np.array([2, 2]), deque([2, 2]), Sizes([2, 2]), size):
        assert F.max_pool2d(x, sizes).shape == F.avg_pool2d(x, sizes).shape == (1, 2, 4, 4)
        assert F.conv2d(x, w, stride=sizes, padding=sizes).shape == (1, 3, 5, 5)
    size[:] = 4
    assert F.max_pool2d(x, size).shape == (1, 2, 2, 2)
    for function in (lambda n: F.max_pool2d(x, n), lambda n: F.conv2d(x, w, stride=n)):
        with pytest.raises(TypeError, match="float"):
            function(2.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("factor", [2, 3, (1, 5)])
def test_nearest_cells_are_copied_with_their_signs(factor, dtype):
    x = T.tensor(np.full((2, 3, 5, 17), -0.0, dtype))
    assert np.signbit(F.interpolate(x, scale_factor=factor).numpy()).all()
