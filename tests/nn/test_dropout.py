"""Dropout: what is dropped together, what is kept of mean and variance, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

KINDS = {
    "dropout1d": (F.dropout1d, nn.Dropout1d, (8, 50, 3), 2),
    "dropout1d of one": (F.dropout1d, nn.Dropout1d, (400, 3), 1),
    "dropout2d": (F.dropout2d, nn.Dropout2d, (8, 50, 2, 3), 2),
    "dropout3d": (F.dropout3d, nn.Dropout3d, (8, 50, 2, 1, 3), 2),
    "dropout3d of one": (F.dropout3d, nn.Dropout3d, (400, 2, 1, 3), 1),
    "feature_alpha_dropout": (F.feature_alpha_dropout, nn.FeatureAlphaDropout, (8, 50, 3), 2),
}


@pytest.mark.parametrize("name", KINDS)
def test_channels_are_dropped_together(name):
    function, layer, shape, axes = KINDS[name]
    y = function(T.ones(*shape), 0.25, training=True).array
    channels = y.reshape(*shape[:axes], -1)
    assert (channels == channels[..., :1]).all()
    low = channels.min()
    assert np.mean(channels == low) == pytest.approx(0.25, abs=0.08)
    x = T.randn(*shape)
    assert function(x, 0.25, training=False) is x
    assert layer(0.25).eval()(x) is x
    assert layer(0.0)(x) is x
    assert set(np.unique(layer(0.25)(T.ones(*shape)).array)) == set(np.unique(y))
    a, b = (
        function(x, training=True, generator=T.Generator().manual_seed(1)).tolist()
        for _ in range(2)
    )
    assert a == b


def test_alpha_dropout_keeps_mean_and_variance():
    x = T.randn(200_000, dtype=T.float64)
    y = nn.AlphaDropout(0.3)(x)
    assert y.mean().item() == pytest.approx(0, abs=0.02)
    assert y.std().item() == pytest.approx(1, abs=0.02)
    ones = F.alpha_dropout(T.ones(1000, dtype=T.float64), 0.5, training=True)
    np.testing.assert_allclose(np.unique(ones), [-0.7791939, 1.6655988], rtol=1e-6)
    assert F.alpha_dropout(x[:3], 1.0, training=True).tolist() == [0, 0, 0]
    assert F.alpha_dropout(x) is x  # not in training unless asked for


def test_gradients_see_the_same_mask():
    x = T.randn(4, 3, 2, dtype=T.float64, requires_grad=True)
    for function in (F.dropout1d, F.alpha_dropout, F.feature_alpha_dropout):
        fixed = lambda x, f=function: f(  # noqa: E731
            x, 0.4, training=True, generator=T.Generator().manual_seed(3)
        )
        assert autograd.gradcheck(fixed, [x])
        assert fixed(x).dtype == np.float64


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: F.dropout2d(T.ones(1, 1, 1, 1), 1.5), ValueError, "between 0 and 1, but got 1.5"),
        (lambda: nn.AlphaDropout(-1), ValueError, "between 0 and 1, but got -1"),
        (lambda: F.dropout1d(T.ones(2)), RuntimeError, "Expected 2D or 3D input, but received a 1"),
        (lambda: F.feature_alpha_dropout(T.ones(2), training=True), RuntimeError,
         "requires at least 2 dimensions"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda: F.dropout2d(T.ones(2, 3)), "dropout2d: Received a 2-D input"),
        (lambda: F.dropout2d(T.ones(2, 3, 4)), "assuming that channel-wise 1D dropout"),
        (lambda: F.dropout3d(T.ones(2, 3)), "dropout3d: Received a 2-D input"),
    ],
)
def test_warnings(act, text):
    with pytest.warns(UserWarning, match=text):
        act()
