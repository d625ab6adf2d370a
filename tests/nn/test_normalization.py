"""Normalising layers: their statistics over time, their modes, and what they refuse."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn

X = np.random.default_rng(0).standard_normal((4, 3, 5))


def standardized(x, axes, eps=1e-5):
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    return (x - mean) / np.sqrt(var + eps)


def leaf(array):
    return T.tensor(array, requires_grad=True)


def test_training_normalizes_by_the_batch():
    layer = nn.BatchNorm1d(3, dtype=T.float64)
    np.testing.assert_allclose(
        layer(leaf(X)).detach(), standardized(X, (0, 2)), rtol=1e-12, atol=1e-14
    )
    layer.weight.data = T.tensor([1.0, 2.0, 3.0], dtype=T.float64)
    layer.bias.data = T.tensor([0.0, 1.0, 0.5], dtype=T.float64)
    expected = standardized(X, (0, 2)) * [[1], [2], [3]] + [[0], [1], [0.5]]
    np.testing.assert_allclose(layer(leaf(X)).detach(), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
def test_running_statistics(momentum):
    layer = nn.BatchNorm1d(3, momentum=momentum, dtype=T.float64)
    mean, var = np.zeros(3), np.ones(3)
    for count in (1, 2, 3):
        x = X * count + count
        layer(leaf(x))
        share = 1 / count if momentum is None else momentum
        mean += share * (x.mean((0, 2)) - mean)
        var += share * (x.var((0, 2), ddof=1) - var)  # the unbiased variance
        assert layer.num_batches_tracked.item() == count
    np.testing.assert_allclose(layer.running_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, var, rtol=1e-12)
    layer.eval()
    expected = (X - mean[:, None]) / np.sqrt(var[:, None] + 1e-5)
    np.testing.assert_allclose(layer(leaf(X)).detach(), expected, rtol=1e-12)
    assert layer.num_batches_tracked.item() == 3
    layer.reset_parameters()
    assert layer.running_var.tolist() == [1, 1, 1]
    assert layer.num_batches_tracked.item() == 0


def test_running_statistics_of_instances_are_means_over_the_batch():
    layer = nn.InstanceNorm1d(3, track_running_stats=True, momentum=1.0, dtype=T.float64)
    layer(leaf(X))
    np.testing.assert_allclose(layer.running_mean, X.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(layer.running_var, X.var(2, ddof=1).mean(0), rtol=1e-12)
    expected = (X - X.mean((0, 2))[:, None]) / np.sqrt(X.var(2, ddof=1).mean(0)[:, None] + 1e-5)
    np.testing.assert_allclose(layer.eval()(leaf(X)).detach(), expected, rtol=1e-12)


def test_a_second_pass_through_the_graph_does_not_count_the_batch_again():
    layer, x = nn.BatchNorm1d(3, dtype=T.float64), leaf(X)
    y = layer(x)
    before = layer.running_mean.tolist()
    (g,) = autograd.grad((y**3).sum(), [x], create_graph=True)
    (g * g).sum().backward()
    assert layer.running_mean.tolist() == before
    assert layer.num_batches_tracked.item() == 1


def test_without_statistics_or_parameters():
    layer = nn.BatchNorm1d(3, affine=False, track_running_stats=False)
    assert not layer.state_dict()
    assert layer.weight is layer.bias is layer.running_mean is layer.num_batches_tracked is None
    x = leaf(X.astype("float32"))
    np.testing.assert_array_equal(layer(x).detach(), layer.eval()(x).detach())
    assert list(nn.BatchNorm2d(3, bias=False).state_dict()) == [
        "weight", "running_mean", "running_var", "num_batches_tracked"
    ]  # fmt: skip


def test_old_checkpoints_have_no_count():
    layer = nn.BatchNorm1d(3)
    state = {k: v for k, v in layer.state_dict().items() if k != "num_batches_tracked"}
    assert not any(layer.load_state_dict(state))
    saved = layer.state_dict()
    del saved["num_batches_tracked"]  # but this one says that it is of the newer kind
    with pytest.raises(RuntimeError, match="num_batches_tracked"):
        layer.load_state_dict(saved)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.BatchNorm1d(3), (0, 3)),
        (nn.BatchNorm2d(3), (0, 3, 2, 2)),
        (nn.LayerNorm(3), (0, 3)),
        (nn.RMSNorm(3), (0, 3)),
        (nn.GroupNorm(3, 3), (0, 3, 2)),
        (nn.InstanceNorm1d(3, affine=True), (0, 3, 4)),
        (nn.LocalResponseNorm(2), (0, 3, 4)),
    ],
)
def test_nothing_in_nothing_out(layer, shape):
    x = T.zeros(*shape, requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == shape
    assert all(np.isfinite(b.array).all() for b in layer.buffers())


@pytest.mark.parametrize("weights", [False, True])
def test_evaluation_has_gradients_of_two_orders(weights):
    mean, var = T.tensor([0.5, -1.0, 0.0]).double(), T.tensor([0.5, 1.0, 2.0]).double()
    w = [leaf([1.0, 2.0, 3.0]).double(), leaf([0.0, 1.0, 0.5]).double()] if weights else []
    w = [leaf(x.tolist()).double().detach().requires_grad_() for x in w]
    f = lambda x, *w: F.batch_norm(x, mean, var, *w)  # noqa: E731
    assert autograd.gradcheck(f, [leaf(X), *w])
    assert autograd.gradgradcheck(f, [leaf(X), *w])


def test_local_response_norm():
    x = X[:, :, :1]
    squares = np.pad(x**2, ((0, 0), (1, 1), (0, 0)))
    window = squares[:, :-2] + squares[:, 1:-1] + squares[:, 2:]
    expected = x / (1.5 + 0.3 / 3 * window) ** 0.6
    y = F.local_response_norm(leaf(x), 3, alpha=0.3, beta=0.6, k=1.5)
    np.testing.assert_allclose(y.detach(), expected, rtol=1e-12)
    assert autograd.gradcheck(lambda x: F.local_response_norm(x, 2, 0.5), [leaf(X)])


def test_constant_channels_keep_float32_finite():
    layer = nn.BatchNorm1d(2)
    x = T.tensor([[1e4, 1.0], [1e4, 2.0]], requires_grad=True)
    y = layer(x)
    y.square().sum().backward()
    assert y.detach().tolist()[0][0] == 0
    assert np.isfinite(x.grad.array).all()


t = T.ones


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: nn.BatchNorm1d(3)(t(1, 3)), ValueError,
         r"Expected more than 1 value per channel when training, got input size .*\[1, 3\]"),
        (lambda: F.instance_norm(t(2, 3, 1)), ValueError, "more than 1 spatial element"),
        (lambda: F.group_norm(t(1, 3, 1), 3), ValueError, "more than 1 value per channel"),
        (lambda: nn.BatchNorm1d(3)(t(3)), ValueError, "expected 2D or 3D input .got 1D"),
        (lambda: nn.BatchNorm2d(3)(t(2, 3)), ValueError, "expected 4D input"),
        (lambda: nn.BatchNorm3d(3)(t(2, 3)), ValueError, "expected 5D input"),
        (lambda: nn.InstanceNorm2d(3)(t(2, 3)), ValueError, "expected 3D or 4D input"),
        (lambda: nn.BatchNorm1d(3)(t(2, 4)), RuntimeError, "running_mean should contain 4 elem"),
        (lambda: F.batch_norm(t(2, 3), None, None), RuntimeError, "running_mean must be defined"),
        (lambda: F.batch_norm(t(2, 3), t(3), None), RuntimeError, "running_var must be defined"),
        (lambda: F.batch_norm(t(2, 3), t(3), None, training=True), ValueError, "must either both"),
        (lambda: F.batch_norm(t(2, 3), t(3), t(3), t(2)), RuntimeError, "weight should contain 3"),
        (lambda: F.batch_norm(t(3), t(3), t(3)), IndexError, "Dimension out of range"),
        (lambda: nn.BatchNorm1d(3)(t(2, 3).double()), RuntimeError, "mixed dtype"),
        (lambda: F.instance_norm(t(2, 3, 4), use_input_stats=False), RuntimeError,
         "to be defined when use_input_stats is false"),
        (lambda: nn.InstanceNorm1d(3, affine=True)(t(2, 4, 5)), ValueError,
         r"size at dim=1 to match num_features \(3\), but got: 4"),
        (lambda: nn.GroupNorm(2, 3), ValueError, "must be divisible by num_groups"),
        (lambda: F.group_norm(t(2, 3), 2), RuntimeError, "divisible by num_groups, but got input"),
        (lambda: F.group_norm(t(3), 1), RuntimeError, "at least 2 dimensions"),
        (lambda: nn.GroupNorm(2, 4)(t(2, 6)), RuntimeError, "weight to be a vector of size equal"),
        (lambda: F.layer_norm(t(2, 3), (4,)), RuntimeError, r"expected input with shape \[\*, 4\]"),
        (lambda: F.layer_norm(t(2, 3), ()), RuntimeError, "at least 1-dimensional"),
        (lambda: F.layer_norm(t(2, 3), 3), TypeError, "must be tuple of ints, not int"),
        (lambda: F.layer_norm(t(2, 3), (3,), None, t(2)), RuntimeError, "bias to be of same shape"),
        (lambda: F.rms_norm(t(2, 3), (3,), t(2)), RuntimeError, "weight to be of same shape"),
        (lambda: F.local_response_norm(t(2, 3), 2), ValueError, "Expected 3D or higher"),
    ],
)  # fmt: skip
def test_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_instance_norm_of_other_channels_warns_where_it_does_no_harm():
    with pytest.warns(UserWarning, match="does not match num_features"):
        assert nn.InstanceNorm1d(3)(T.randn(2, 4, 5)).shape == (2, 4, 5)


@pytest.mark.parametrize("make", [nn.LayerNorm, nn.RMSNorm])
def test_reset_parameters(make):
    layer = make(3)
    fresh = copy.deepcopy(layer.state_dict())
    for p in layer.parameters():
        p.data += 1
    layer.reset_parameters()
    assert all((fresh[k] == v).all() for k, v in layer.state_dict().items())


NORMS = {
    "batch": (nn.BatchNorm1d(3), F.batch_norm), "instance": (nn.InstanceNorm1d(3), None),
    "layer": (nn.LayerNorm(5), None), "group": (nn.GroupNorm(3, 3), None),
    "rms": (nn.RMSNorm(5), None),
}  # fmt: skip


@pytest.mark.parametrize("eps", [0.0, -1e-5, -10.0])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NORMS)
def test_eps_is_checked_where_pytorch_does(name, training, eps):
    """In BatchNorm alone, by either form; the others compute with what they are given."""
    x = T.tensor(X, dtype=T.float32)
    layer, function = copy.deepcopy(NORMS[name][0]).train(training), NORMS[name][1]
    layer.eps = eps
    calls = [lambda: layer(x)]
    if function is not None:
        calls.append(lambda: function(x, T.zeros(3), T.ones(3), training=training, eps=eps))
    for call in calls:
        if name == "batch" and (training or eps < 0):
            bound = "positive during training" if training else "non-negative"
            with pytest.raises(ValueError, match=f"batch_norm eps must be {bound}, but got {eps}"):
                call()
        else:
            assert np.isfinite(call().detach().numpy()).all() == (eps > -10)


def test_eps_of_batch_statistics_in_evaluation():
    layer = nn.BatchNorm2d(2, eps=0.0, track_running_stats=False).eval()
    with pytest.raises(ValueError, match=r"must be positive during training, but got 0\.0"):
        layer(T.ones(2, 2, 1, 1))


def test_running_statistics_where_momentum_is_none():
    """Their plain average over the batches, as PyTorch's; InstanceNorm keeps its start."""
    x = T.tensor(X, dtype=T.float64)
    batch = nn.BatchNorm1d(3, momentum=None, dtype=T.float64)
    instance = nn.InstanceNorm1d(3, momentum=None, track_running_stats=True, dtype=T.float64)
    for layer in (batch, instance):
        for factor in (1, 2, 6):
            layer(x * factor)
    np.testing.assert_allclose(batch.running_mean.numpy(), X.mean((0, 2)) * 3, rtol=1e-12)
    assert instance.running_mean.tolist() == [0, 0, 0]
    assert instance.running_var.tolist() == [1, 1, 1]
