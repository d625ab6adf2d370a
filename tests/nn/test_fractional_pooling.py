"""Maxima of windows that begin at random places."""

import math

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.nn import functional as F

NAMES = [
    "fractional_max_pool2d", "fractional_max_pool2d_with_indices", "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
]  # fmt: skip
CASES = {2: ((9, 8), (3, 2), (4, 5)), 3: ((7, 6, 8), (2, 3, 2), (3, 1, 4))}
every_case = pytest.mark.parametrize("axes", CASES)


def drawn(axes):
    rng = np.random.default_rng(0)
    return rng.standard_normal((2, 3, *CASES[axes][0])), rng.uniform(size=(2, 3, axes))


def starts(u, n, k, m):
    if m == 1:
        return [n - k]
    step = (n - k) / (m - 1)
    return [int((i + u) * step) - int(u * step) for i in range(m - 1)] + [n - k]


def test_functions_have_their_names():
    assert [getattr(F, name).__name__ for name in NAMES] == NAMES


@every_case
def test_maxima_of_the_windows(axes):
    (x, u), (image, kernel, output) = drawn(axes), CASES[axes]
    leaf = tg.tensor(x, requires_grad=True)
    pool = getattr(F, f"fractional_max_pool{axes}d_with_indices")
    y, places = pool(leaf, kernel, output, None, True, tg.tensor(u))
    order = (1, 0) if axes == 2 else (0, 1, 2)  # the width comes first
    for b, c in np.ndindex(2, 3):
        begin = [starts(u[b, c, order[i]], image[i], kernel[i], output[i]) for i in range(axes)]
        for place in np.ndindex(*output):
            cut = tuple(slice(begin[i][p], begin[i][p] + kernel[i]) for i, p in enumerate(place))
            assert y[(b, c, *place)].item() == x[(b, c, *cut)].max()
    flat = np.take_along_axis(x.reshape(2, 3, -1), places.numpy().reshape(2, 3, -1), -1)
    np.testing.assert_array_equal(flat.reshape(y.shape), y.detach())
    y.sum().backward()
    assert leaf.grad.sum().item() == math.prod(y.shape)


@every_case
def test_layers(axes):
    layer = getattr(nn, f"FractionalMaxPool{axes}d")
    x = tg.zeros(2, 3, *CASES[axes][0])
    assert layer(2, output_size=3)(x).shape == (2, 3, *[3] * axes)
    assert layer(2, output_ratio=0.5)(x).shape == (2, 3, *(n // 2 for n in CASES[axes][0]))
    values, places = layer(2, output_size=3, return_indices=True)(x[0])
    assert values.shape == places.shape == (3, *[3] * axes)
    tg.manual_seed(0)
    image = tg.arange(float(math.prod(CASES[axes][0]))).reshape(1, 1, *CASES[axes][0])
    pool = layer(2, output_size=4 if axes == 2 else 3)
    assert any((pool(image) != pool(image)).any() for _ in range(20))  # drawn anew


@every_case
def test_nan_is_the_maximum(axes):
    x, u = drawn(axes)
    x[0, 0] = np.nan
    pool = getattr(F, f"fractional_max_pool{axes}d")
    y = pool(tg.tensor(x), 2, output_ratio=0.5, _random_samples=tg.tensor(u))
    assert y[0, 0].isnan().all()
    assert not y[1:].isnan().any()


test_refusals, test_pytorch_refuses = both_refuse(
    {
        "neither": (ValueError, "requires specifying either an output_size or an output_ratio",
                    lambda m: m.nn.functional.fractional_max_pool2d(m.zeros(1, 1, 4, 4), 2)),
        "layer, neither": (ValueError, "requires specifying either an output size, or a pooling",
                           lambda m: m.nn.FractionalMaxPool2d(2)),
        "both": (ValueError, "only one of output_size and output_ratio may be specified",
                 lambda m: m.nn.FractionalMaxPool3d(2, 2, 0.5)),
        "ratio": (ValueError, r"output_ratio must be between 0 and 1 \(got 1.5\)",
                  lambda m: m.nn.FractionalMaxPool3d(2, output_ratio=1.5)),
        "axes": (RuntimeError, "Expected 3D or 4D tensor",
                 lambda m: m.nn.functional.fractional_max_pool2d(m.zeros(1, 1, 1, 4, 4), 2, 2)),
    }
)  # fmt: skip


def test_windows_that_do_not_fit():
    with pytest.raises(RuntimeError, match=r"windows of \(3, 3\) with an output of \(2, 2\)"):
        F.fractional_max_pool2d(tg.zeros(1, 1, 3, 3), 3, 2)


@pytest.mark.peers
@every_case
def test_equals_pytorch(torch, axes):
    (x, u), (_, kernel, output) = drawn(axes), CASES[axes]
    name = f"fractional_max_pool{axes}d"
    found = [
        getattr(m.nn.functional, name)(
            m.tensor(x), kernel, output, return_indices=True, _random_samples=m.tensor(u)
        )
        for m in (tg, torch)
    ]
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
