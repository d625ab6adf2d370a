"""CTC against the sum over all paths, one by one, and against PyTorch."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import tinygrad_opt as T
import tinygrad_opt.nn.functional as F
from tinygrad_opt import autograd, nn
from tinygrad_opt.kernels.fused import ctc as kernels

STEPS, CLASSES = 4, 3


def spelled(path, blank):
    """The labels of a path: repeats joined, then blanks dropped."""
    return tuple(c for c, _ in itertools.groupby(path) if c != blank)


def by_enumeration(log_probs, target, blank):
    """-log of the sum over all paths that spell the target."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        if spelled(path, blank) == tuple(target):
            total += math.exp(sum(log_probs[t, c] for t, c in enumerate(path)))
    return -math.log(total) if total else math.inf


def log_probs(n=1, steps=STEPS, classes=CLASSES, seed=0):
    x = np.random.default_rng(seed).standard_normal((steps, n, classes))
    return x - np.log(np.exp(x).sum(2, keepdims=True))


@pytest.mark.parametrize(
    ("target", "blank"),
    [([1, 2], 0), ([1, 1], 0), ([2], 0), ([], 0), ([0, 2], 1), ([1, 0, 1], 2), ([1, 2, 1, 2], 0),
     ([1, 1, 1], 0)],
)  # fmt: skip
def test_equals_the_sum_over_paths(target, blank):
    x = log_probs()
    labels = T.tensor(target, dtype=T.int64)
    loss = F.ctc_loss(
        T.tensor(x[:, 0]), labels, T.tensor(STEPS), T.tensor(len(target)), blank, "none"
    )
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_enumeration(x[:, 0], target, blank), rel=1e-12)


LENGTHS, LABELS = (4, 3, 4), (2, 1, 0)
TARGETS = np.array([[1, 2, 9], [2, 9, 9], [9, 9, 9]])


def test_batches_of_different_lengths():
    x = log_probs(3)
    each = [
        by_enumeration(x[:steps, i], TARGETS[i, :n], 0)
        for i, (steps, n) in enumerate(zip(LENGTHS, LABELS, strict=True))
    ]
    joined = T.tensor([1, 2, 2])
    for targets in (T.tensor(TARGETS), joined):
        args = (T.tensor(x), targets, T.tensor(LENGTHS), LABELS)
        np.testing.assert_allclose(F.ctc_loss(*args, reduction="none"), each, rtol=1e-12)
        assert F.ctc_loss(*args, reduction="sum").item() == pytest.approx(sum(each))
        mean = np.mean(np.array(each) / [2, 1, 1])
        assert nn.CTCLoss()(*args).item() == pytest.approx(mean)


def test_gradients():
    x = T.tensor(log_probs(3), requires_grad=True)
    loss = lambda x: F.ctc_loss(x, T.tensor(TARGETS), LENGTHS, LABELS, reduction="none")  # noqa: E731
    assert autograd.gradcheck(loss, [x])
    (g,) = autograd.grad(loss(x).sum(), [x], create_graph=True)
    plain = autograd.grad(loss(x).sum(), [x])[0]
    np.testing.assert_array_equal(g.detach(), plain)
    with pytest.raises(RuntimeError, match="ctc_loss: the second derivative"):
        (g * g).sum().backward()


def test_targets_that_do_not_fit():
    x = T.tensor(log_probs(2), requires_grad=True)
    args = (x, T.tensor([[1, 1, 1], [1, 2, 1]]), (4, 4), (3, 3))
    assert F.ctc_loss(*args, reduction="none").tolist()[0] == math.inf
    loss = F.ctc_loss(*args, reduction="none", zero_infinity=True)
    assert loss.tolist()[0] == 0 < loss.tolist()[1]
    loss.sum().backward()
    assert (x.grad.array[:, 0] == 0).all()
    assert (x.grad.array[:, 1] != 0).any()
    x.grad = None
    F.ctc_loss(*args, reduction="sum").backward()
    assert np.isnan(x.grad.array[:, 0]).all()
    nothing = F.ctc_loss(x, T.tensor([[1], [1]]), (0, 0), (0, 1), reduction="none")
    assert nothing.tolist() == [0, math.inf]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"input_lengths": (4, 5)}, "input_lengths to have value at most 4, but got value 5"),
        ({"input_lengths": (4,)}, "input_lengths must be of size batch_size"),
        ({"input_lengths": T.tensor([4.0, 4.0])}, "input_lengths must be integral"),
        ({"target_lengths": (2, 4)}, "size at least 4 at dimension 1, but got size 2"),
        ({"target_lengths": (2, -1)}, "at least 0, but got value -1"),
        ({"targets": T.tensor([1, 2, 1])}, "size 4 at dimension 0, but got size 3"),
        ({"targets": T.tensor([[1, 3], [1, 2]])}, "labels in the range 0 to 2"),
        ({"blank": 3}, "blank must be in label range"),
    ],
)
def test_errors(change, text):
    args = {
        "log_probs": T.tensor(log_probs(2)), "targets": T.tensor([[1, 2], [2, 1]]),
        "input_lengths": (4, 4), "target_lengths": (2, 2), **change,
    }  # fmt: skip
    with pytest.raises(RuntimeError, match=text):
        F.ctc_loss(**args)
    with pytest.raises(ValueError, match="is not a valid value for reduction"):
        F.ctc_loss(**{**args, "reduction": "most"})


@pytest.mark.parametrize(("dtype", "digits"), [("float32", 2e-5), ("float64", 1e-12)])
@pytest.mark.parametrize("labels", [(0,), (1,), (7, 0, 30, 12)], ids=str)
def test_kernels_are_their_formulas(monkeypatch, labels, dtype, digits):
    rng, n = np.random.default_rng(0), len(labels)
    scores = log_probs(n, 65, 9).astype(dtype)
    scores[3, 0, 1:] = -np.inf
    targets = T.tensor(rng.integers(1, 9, (n, 30)))
    steps = rng.integers(60, 66, n)
    found = []
    for fits in (True, False):
        monkeypatch.setattr(kernels, "fits", lambda *_, fits=fits: fits)
        x = T.tensor(scores, requires_grad=True)
        loss = F.ctc_loss(x, targets, T.tensor(steps), labels, reduction="none")
        (loss * T.arange(1, n + 1)).sum().backward()
        found.append((loss.detach().numpy(), x.grad.numpy()))
    for fused, formula in zip(*found, strict=True):
        assert fused.dtype == dtype
        np.testing.assert_allclose(fused, formula, rtol=digits, atol=digits)


@pytest.mark.parametrize("index", range(4))
def test_kernels_refuse_sizes_that_differ(index):
    x, classes = log_probs(2, 5, 4), np.zeros((2, 3), np.int64)
    skip, steps, alpha = np.zeros((2, 5)), np.full(2, 5), np.zeros((2, 5, 5))
    given = [classes, skip, steps, alpha]
    given[index] = given[index][:1].copy()
    with pytest.raises(ValueError, match="sizes differ"):
        kernels._kernels["ctc_paths", "d"](x, *given[:3], 1, given[3])
    with pytest.raises(ValueError, match="sizes differ"):
        kernels._kernels["ctc_slope", "d"](
            x, *given[:3], 1, given[3], np.zeros(2, np.int64), np.zeros(2), x.copy()
        )


@pytest.mark.peers
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_equals_pytorch(torch, reduction, zero_infinity):
    scores = np.random.default_rng(1).standard_normal((12, 4, 6))
    targets = np.random.default_rng(2).integers(1, 6, (4, 5))
    results = []
    for lib in (T, torch):
        x = lib.tensor(scores, requires_grad=True)
        loss = lib.nn.CTCLoss(0, reduction, zero_infinity)(
            lib.nn.functional.log_softmax(x, 2), lib.tensor(targets), (12, 10, 12, 7), (5, 3, 0, 5)
        )
        weights = lib.tensor(np.arange(1.0, 1 + loss.numel()).reshape(tuple(loss.shape)))
        (loss * weights).sum().backward()
        results.append((loss.detach().numpy(), x.grad.numpy()))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("bad", [4, -1, 2**31, 2**62, -(2**63)])
def test_labels_that_are_no_classes_are_refused(bad):
    with pytest.raises(RuntimeError, match="targets must be labels in the range 0 to"):
        F.ctc_loss(T.zeros(5, 1, 4), T.tensor([[1, bad]]), (5,), (2,))


@pytest.mark.parametrize("dtype", [T.float32, T.bool])
def test_labels_that_are_no_integers_are_refused(dtype):
    with pytest.raises(RuntimeError, match="ctc_loss: targets must be integral, got"):
        F.ctc_loss(T.zeros(5, 1, 4), T.tensor([[1, 1]]).to(dtype), (5,), (2,))
