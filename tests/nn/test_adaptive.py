"""The adaptive softmax: probabilities that sum to one, and PyTorch's numbers."""

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg
from tinygrad_opt import nn

RNG = np.random.default_rng(0)
X, LABELS = RNG.standard_normal((30, 8)), RNG.integers(0, 20, 30)


def made(**more):
    tg.manual_seed(0)
    return nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 9], 2.0, dtype=tg.float64, **more)


def np_log_prob(layer, x):
    def log_softmax(z):
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    head = log_softmax(x @ layer.head.weight.detach().numpy().T)
    parts = [head[:, :4]]
    for i, (down, up) in enumerate(layer.tail):
        inside = x @ down.weight.detach().numpy().T @ up.weight.detach().numpy().T
        parts.append(head[:, 4 + i, None] + log_softmax(inside))
    return np.concatenate(parts, 1)


def test_formula():
    layer = made()
    with tg.no_grad():
        expected = np_log_prob(layer, X)
        output, loss = layer(tg.tensor(X), tg.tensor(LABELS))
        np.testing.assert_allclose(layer.log_prob(tg.tensor(X)), expected, rtol=1e-10)
        np.testing.assert_allclose(np.exp(expected).sum(1), 1)
        np.testing.assert_allclose(output, expected[np.arange(30), LABELS], rtol=1e-10)
        assert loss.item() == pytest.approx(-output.mean().item())
        np.testing.assert_array_equal(layer.predict(tg.tensor(X)), expected.argmax(1))
        one = layer(tg.tensor(X[0]), tg.tensor(LABELS[0]))
        assert one.output.shape == ()
        assert one.output.item() == pytest.approx(output[0].item())


def test_predictions_among_the_frequent():
    layer = made(head_bias=True)
    with tg.no_grad():
        layer.head.bias[:] = tg.tensor([9.0, 0, 0, 0, 0, 0])
    assert (layer.predict(tg.tensor(X)) == 0).all()


def test_gradients():
    layer = made(head_bias=True)
    x, labels = tg.tensor(X[:6], requires_grad=True), tg.tensor(LABELS[:6])
    assert tg.autograd.gradcheck(lambda x: layer(x, labels).loss, [x])
    before = [p.clone() for p in layer.parameters()]
    layer.reset_parameters()
    assert all((a != b).any() for a, b in zip(before, layer.parameters(), strict=True))


def layer(m):
    return m.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4])


def classes(m, *values):
    return m.tensor(list(values))


UNIQUE = "cutoffs should be a sequence of unique, positive integers sorted"
test_refusals, test_pytorch_refuses = both_refuse(
    {
        "no cutoffs": (ValueError, "cutoffs should be a sequence of length larger than 0",
                       lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [])),
        "order": (ValueError, UNIQUE, lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 2])),
        "last": (ValueError, UNIQUE, lambda m: m.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [20])),
        "class": (RuntimeError, r"Target values should be in \[0, 19\], but values in range",
                  lambda m: layer(m)(m.zeros(2, 8), classes(m, 1, 20))),
        "batch": (RuntimeError, "same size in the batch dimension",
                  lambda m: layer(m)(m.zeros(2, 8), classes(m, 1))),
        "1-D": (RuntimeError, "1D target tensor expects 2D input tensors",
                lambda m: layer(m)(m.zeros(1), classes(m, 1))),
        "0-D": (RuntimeError, "0D target tensor expects 1D input tensors",
                lambda m: layer(m)(m.zeros(2, 8), m.tensor(1))),
        "2-D": (RuntimeError, "0D or 1D target tensor expected, multi-target not supported",
                lambda m: layer(m)(m.zeros(2, 8), m.tensor([[1]]))),
    }
)  # fmt: skip


@pytest.mark.peers
def test_equals_pytorch(torch):
    ours = made(head_bias=True)
    theirs = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 9], 2.0, True).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    assert repr(ours) == repr(theirs)
    a, b = ours(tg.tensor(X), tg.tensor(LABELS)), theirs(torch.tensor(X), torch.tensor(LABELS))
    np.testing.assert_allclose(a.output.detach(), b.output.detach().numpy(), rtol=1e-10)
    a.loss.backward()
    b.loss.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad.numpy(), atol=1e-12)
