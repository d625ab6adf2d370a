"""Weights in other forms: parametrizations, weight and spectral norm, fusion, skip_init."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt import nn, optim
from tinygrad_opt.nn import utils
from tinygrad_opt.nn.utils import parametrizations, parametrize


class Symmetric(nn.Module):
    def forward(self, x):
        return (x + x.T) / 2

    def right_inverse(self, x):
        return x


class Doubled(nn.Module):
    def forward(self, x):
        return 2 * x


class Shorter(nn.Module):
    def forward(self, x):
        return x[0]


class Half(nn.Module):
    def forward(self, x):
        return x.half()


def test_a_parameter_becomes_a_function_of_another():
    layer = nn.Linear(3, 3)
    original, before = layer.weight, layer.weight.tolist()
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, nn.Linear)
    assert type(layer.parametrizations.weight) is parametrize.ParametrizationList
    assert layer.parametrizations.weight.original is original
    assert layer.weight.tolist() == layer.weight.T.tolist()
    assert list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]
    assert parametrize.is_parametrized(layer)
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    layer(T.ones(1, 3)).sum().backward()
    assert original.grad is not None
    layer.weight = T.eye(3)  # by right_inverse
    assert original.tolist() == T.eye(3).tolist()
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert layer.weight is original
    assert layer.weight.tolist() == T.eye(3).tolist() != before
    assert list(layer.state_dict()) == ["bias", "weight"]


def test_parametrizations_are_applied_in_turn():
    layer = nn.Linear(2, 2)
    before = layer.weight.array.copy()
    parametrize.register_parametrization(layer, "weight", Doubled())
    parametrize.register_parametrization(layer, "weight", Doubled())
    np.testing.assert_allclose(layer.weight.detach(), 4 * before)
    assert len(layer.parametrizations.weight) == 2
    with pytest.raises(RuntimeError, match="Doubled does not implement right_inverse"):
        layer.weight = T.zeros(2, 2)
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    np.testing.assert_array_equal(layer.weight.detach(), before)


def test_a_cache_computes_once():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Doubled())
    assert layer.weight is not layer.weight
    with parametrize.cached():
        assert layer.weight is layer.weight
        with parametrize.cached():
            assert layer.weight is layer.weight
    assert layer.weight is not layer.weight


def test_copies_and_buffers():
    layer = parametrize.register_parametrization(nn.BatchNorm1d(2), "running_mean", Doubled())
    twin = copy.deepcopy(layer)
    twin.parametrizations.running_mean.original.array += 3
    assert layer.running_mean.tolist() == [0, 0]
    assert twin.running_mean.tolist() == [6, 6]
    assert "parametrizations.running_mean.original" in dict(twin.named_buffers())
    parametrize.remove_parametrizations(twin, "running_mean")
    assert twin.running_mean.tolist() == [6, 6]
    assert type(layer).__name__ == "ParametrizedBatchNorm1d"


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda m: parametrize.register_parametrization(m, "w", Doubled()), ValueError,
         "does not have a parameter, a buffer"),
        (lambda m: parametrize.register_parametrization(m, "weight", Shorter()), ValueError,
         "may not change the shape"),
        (lambda m: parametrize.register_parametrization(m, "weight", Half()), ValueError,
         "may not change the dtype"),
        (lambda m: parametrize.register_parametrization(m, "weight", nn.Unflatten(0, (1, 2))),
         ValueError, "may not change the shape"),
        (lambda m: parametrize.remove_parametrizations(m, "weight"), ValueError,
         "does not have a parametrization on weight"),
        (lambda m: parametrize.remove_parametrizations(
            parametrizations.weight_norm(m), "weight", False), ValueError, "sequence of tensors"),
        (lambda m: parametrizations.spectral_norm(m, "w"), ValueError, "with name 'w'"),
        (lambda m: parametrizations.spectral_norm(m, n_power_iterations=0), ValueError,
         "n_power_iterations to be positive"),
        (lambda m: parametrizations.spectral_norm(m, dim=2), IndexError, "but got 2"),
        (lambda m: utils.spectral_norm(m, n_power_iterations=0), ValueError, "to be positive"),
        (lambda m: utils.spectral_norm(utils.spectral_norm(m)), RuntimeError, "two spectral_norm"),
        (lambda m: utils.remove_spectral_norm(m), ValueError, "spectral_norm of 'weight' not"),
        (lambda m: utils.remove_weight_norm(m), ValueError, "weight_norm of 'weight' not found"),
        (lambda m: utils.skip_init(dict), RuntimeError, "Expected a Module"),
        (lambda m: utils.skip_init(nn.Flatten), RuntimeError, "must support a 'device' arg"),
        (lambda m: utils.fuse_linear_bn_eval(m, nn.BatchNorm1d(2)), AssertionError, "only for eva"),
        (lambda m: utils.fuse_linear_bn_eval(m, nn.BatchNorm1d(3)), AssertionError, "To fuse"),
        (lambda m: utils.fuse_linear_bn_eval(
            m.eval(), nn.BatchNorm1d(2, track_running_stats=False).eval()), AssertionError,
         "needs running statistics"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act(nn.Linear(2, 2))


def test_unsafe_parametrizations_may_change_the_shape():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Shorter(), unsafe=True)
    assert layer.weight.shape == (2,)


@pytest.mark.parametrize(("dim", "shape"), [(0, (3, 1)), (1, (1, 2)), (None, ())])
def test_weight_norm(dim, shape):
    x, layer = T.randn(5, 2), nn.Linear(2, 3)
    plain, weight = layer(x).tolist(), layer.weight.array.copy()
    parametrizations.weight_norm(layer, dim=dim)
    length = layer.parametrizations.weight.original0
    assert length.shape == shape
    np.testing.assert_allclose(layer(x).tolist(), plain, rtol=1e-5, atol=1e-6)
    layer.parametrizations.weight.original1.data *= 7  # only the direction counts
    np.testing.assert_allclose(layer.weight.detach(), weight, rtol=1e-5)
    length.data *= 2
    np.testing.assert_allclose(layer.weight.detach(), 2 * weight, rtol=1e-5)
    parametrize.remove_parametrizations(layer, "weight")
    np.testing.assert_allclose(layer.weight.detach(), 2 * weight, rtol=1e-5)


def test_weight_norm_by_a_hook():
    x, layer = T.randn(5, 2), nn.Linear(2, 3)
    plain = layer(x).tolist()
    with pytest.warns(FutureWarning, match="is deprecated in favor of"):
        assert utils.weight_norm(layer) is layer
    assert [n for n, _ in layer.named_parameters()] == ["bias", "weight_g", "weight_v"]
    np.testing.assert_allclose(layer(x).tolist(), plain, rtol=1e-5, atol=1e-6)
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    layer(x).square().sum().backward()
    optimizer.step()
    changed = layer(x).tolist()
    assert changed != plain
    with (
        pytest.warns(FutureWarning),
        pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"),
    ):
        utils.weight_norm(layer)
    utils.remove_weight_norm(layer)
    assert [n for n, _ in layer.named_parameters()] == ["bias", "weight"]
    np.testing.assert_allclose(layer(x).tolist(), changed, rtol=1e-5, atol=1e-6)


def largest(weight):
    return np.linalg.svd(weight.detach().numpy(), compute_uv=False)[0]


@pytest.mark.parametrize("norm", [parametrizations.spectral_norm, utils.spectral_norm])
def test_spectral_norm(norm):
    layer = norm(nn.Linear(4, 3), n_power_iterations=3)
    for _ in range(20):
        layer(T.ones(1, 4))
    assert largest(layer.weight) == pytest.approx(1, rel=1e-4)
    before = layer.eval()(T.ones(1, 4)).tolist()
    assert layer(T.ones(1, 4)).tolist() == before  # evaluation does not iterate
    loss = layer.train()(T.ones(1, 4)).sum()
    layer(T.ones(1, 4))  # a second forward pass must not disturb the first one's backward
    loss.backward()
    assert np.isfinite(next(iter(layer.parameters())).grad.array).all()


def test_spectral_norm_can_be_undone():
    layer = utils.spectral_norm(nn.Linear(4, 3))
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_u", "weight_v"]
    y = layer.eval()(T.ones(1, 4)).tolist()
    utils.remove_spectral_norm(layer)
    assert list(layer.state_dict()) == ["bias", "weight"]
    np.testing.assert_allclose(layer(T.ones(1, 4)).tolist(), y, rtol=1e-6)
    vector = parametrizations.spectral_norm(nn.PReLU(4))
    np.testing.assert_allclose(vector.weight.detach(), 0.5, rtol=1e-6)
    rows = parametrizations.spectral_norm(nn.Linear(4, 3), dim=1)
    assert rows.parametrizations.weight[0]._u.shape == (4,)


def evaluated(norm):
    norm.running_mean.data += 0.5
    norm.running_var.data *= 3
    for p in norm.parameters():
        p.data += T.randn(3)
    return norm.eval()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_fusion(bias, affine):
    linear, norm = nn.Linear(2, 3, bias=bias).eval(), evaluated(nn.BatchNorm1d(3, affine=affine))
    x = T.randn(5, 2)
    fused = utils.fuse_linear_bn_eval(linear, norm)
    np.testing.assert_allclose(fused(x).detach(), norm(linear(x)).detach(), rtol=1e-4, atol=1e-5)
    conv, norm = nn.Conv2d(2, 3, 2, bias=bias).eval(), evaluated(nn.BatchNorm2d(3, affine=affine))
    x = T.randn(2, 2, 4, 4)
    fused = utils.fuse_conv_bn_eval(conv, norm)
    np.testing.assert_allclose(fused(x).detach(), norm(conv(x)).detach(), rtol=1e-4, atol=1e-5)
    parts = (norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias)
    kernel, _ = utils.fuse_conv_bn_weights(
        conv.weight.transpose(0, 1), None, *parts, transpose=True
    )
    np.testing.assert_allclose(kernel.transpose(0, 1).detach(), fused.weight.detach(), rtol=1e-6)
    assert utils.fuse_linear_bn_weights(linear.weight, None, *parts)[0].shape == (3, 2)


def test_skip_init_and_functional_call():
    layer = utils.skip_init(nn.Linear, 2, 3, bias=False)
    assert layer.weight.shape == (3, 2)
    given = {"weight": T.zeros(3, 2)}
    assert utils.stateless.functional_call(layer, given, T.ones(1, 2)).tolist() == [[0, 0, 0]]
    assert utils.rnn.pad_sequence([T.ones(1), T.ones(2)]).shape == (2, 2)


@pytest.mark.peers
@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_parametrized_layers_print_save_and_compute_as_pytorchs(torch, name):
    layers = [
        getattr(lib.nn.utils.parametrizations, name)(lib.nn.Linear(4, 3)) for lib in (T, torch)
    ]
    ours, theirs = layers
    assert repr(ours) == repr(theirs)
    ours.load_state_dict({k: T.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    for _ in range(2):
        y, z = ours(T.tensor(x)), theirs(torch.tensor(x))
        np.testing.assert_allclose(y.detach(), z.detach().numpy(), rtol=1e-5, atol=1e-6)
    y.square().sum().backward()
    z.square().sum().backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), rtol=1e-4, atol=1e-5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
