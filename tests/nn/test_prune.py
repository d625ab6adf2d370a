"""Pruning by masks, and the parametrization of orthonormal matrices."""

import importlib

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn
from tinygrad_opt.nn.utils import parametrizations, prune


def network(m=tg):
    rng = np.random.default_rng(1)
    made = m.nn.Sequential(m.nn.Linear(6, 5), m.nn.Linear(5, 4))
    with m.no_grad():
        for p in made.parameters():
            p.copy_(m.tensor(rng.standard_normal(tuple(p.shape))))
    return made


def masked(layer):
    return layer.weight_mask.numpy() == 0


def test_smallest_elements():
    net = network()
    layer, weight = net[0], net[0].weight.detach().numpy().copy()
    assert prune.l1_unstructured(layer, "weight", 0.3) is layer
    assert sorted(dict(layer.named_parameters())) == ["bias", "weight_orig"]
    assert dict(layer.named_buffers()).keys() == {"weight_mask"}
    smallest = np.argsort(np.abs(weight), axis=None)[:9]
    assert set(np.flatnonzero(masked(layer))) == set(smallest)
    np.testing.assert_array_equal(layer.weight.detach(), np.where(masked(layer), 0, weight))
    assert not isinstance(layer.weight, nn.Parameter)
    net(tg.ones(2, 6)).sum().backward()
    assert (layer.weight_orig.grad.numpy()[masked(layer)] == 0).all()
    with tg.no_grad():
        layer.weight_orig.add_(1)
    net(tg.ones(2, 6))  # the hook masks anew
    assert (layer.weight.detach().numpy()[~masked(layer)] != weight[~masked(layer)]).all()
    assert (layer.weight.detach().numpy()[masked(layer)] == 0).all()


def test_again():
    layer = network()[0]
    prune.l1_unstructured(layer, "weight", 10)
    first = masked(layer)
    prune.l1_unstructured(layer, "weight", 0.5)  # of what is left
    assert masked(layer)[first].all()
    assert masked(layer).sum() == 20
    methods = next(iter(layer._forward_pre_hooks.values()))
    assert isinstance(methods, prune.PruningContainer)
    assert len(methods) == 2
    assert [type(m) for m in methods] == [prune.L1Unstructured] * 2
    assert methods[1].amount == 0.5
    prune.ln_structured(layer, "weight", 2, n=2, dim=0)
    assert masked(layer).all(1).sum() >= 2


def test_slices():
    layer = network()[0]
    weight = layer.weight.detach().numpy().copy()
    prune.ln_structured(layer, "weight", 0.4, n=1, dim=1)
    assert set(np.flatnonzero(masked(layer).all(0))) == set(np.argsort(np.abs(weight).sum(0))[:2])
    other = nn.Linear(10, 10)
    prune.random_structured(other, "weight", 3, 0)
    assert masked(other).all(1).sum() == 3
    prune.random_unstructured(other, "weight", 0.5)
    assert masked(other).sum() == 30 + 35


def test_scores_and_masks():
    layer = network()[0]
    scores = tg.ones(5, 6)
    scores[2, 3] = 0
    prune.l1_unstructured(layer, "weight", 1, importance_scores=scores)
    assert np.argwhere(masked(layer)).tolist() == [[2, 3]]
    layer = network()[0]
    prune.custom_from_mask(layer, "weight", tg.eye(5, 6))
    assert masked(layer).sum() == 25
    prune.identity(layer, "bias")
    assert (layer.bias_mask == 1).all()
    assert prune.Identity().prune(tg.ones(2)).tolist() == [1, 1]
    assert prune.L1Unstructured(1).prune(tg.tensor([2.0, 1.0])).tolist() == [2, 0]
    assert prune.CustomFromMask(tg.tensor([0.0, 1])).prune(tg.tensor([2.0, 1])).tolist() == [0, 1]
    assert prune.RandomStructured(1, 0).prune(tg.ones(2, 3)).sum().item() == 3
    assert prune.RandomUnstructured(2).prune(tg.ones(2, 3)).sum().item() == 4
    assert prune.LnStructured(1, 2, -1).prune(tg.tensor([[1.0, 2]])).tolist() == [[0, 2]]


def test_across_layers():
    net = network()
    pairs = [(net[0], "weight"), (net[1], "weight")]
    both = np.concatenate([m.weight.detach().numpy().ravel() for m, _ in pairs])
    prune.global_unstructured(pairs, prune.L1Unstructured, amount=0.4)
    gone = np.concatenate([masked(m).ravel() for m, _ in pairs])
    assert set(np.flatnonzero(gone)) == set(np.argsort(np.abs(both))[:20])
    scores = {pairs[0]: tg.zeros(5, 6)}
    net = network()
    pairs = [(net[0], "weight"), (net[1], "weight")]
    prune.global_unstructured(
        pairs, prune.L1Unstructured, {pairs[0]: scores.popitem()[1]}, amount=7
    )
    assert masked(net[0]).sum() == 7


def test_remove():
    net = network()
    layer, original = net[0], net[0].weight
    prune.l1_unstructured(layer, "weight", 0.3)
    assert prune.is_pruned(net)
    pruned = layer.weight.detach().numpy().copy()
    prune.remove(layer, "weight")
    assert not prune.is_pruned(net)
    assert layer.weight is original
    np.testing.assert_array_equal(layer.weight.detach(), pruned)
    assert sorted(layer.state_dict()) == ["bias", "weight"]


def test_a_method_of_ones_own():
    class EveryOther(prune.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    layer = network()[0]
    EveryOther.apply(layer, "bias")
    assert layer.bias_mask.tolist() == [0, 1, 0, 1, 0]


def wrong_type(m):
    class Odd(prune.L1Unstructured):
        PRUNING_TYPE = "odd"

    Odd.apply(m, "weight", 1)
    Odd.apply(m, "weight", 1)


def other_tensor(m):
    container = prune.PruningContainer()
    container._tensor_name = "weight"
    method = prune.Identity()
    method._tensor_name = "bias"
    container.add_pruning_method(method)


def a_hook_less(m):
    method = prune.Identity()
    method._tensor_name = "weight"
    method.remove(m)


WRONG = {
    "amount type": (TypeError, "Invalid type for amount", lambda m: prune.L1Unstructured("1")),
    "amount": (ValueError, "amount=1.5 should either be a float in the range",
               lambda m: prune.l1_unstructured(m, "weight", 1.5)),
    "too many": (ValueError, "amount=31 should be smaller than the number of parameters",
                 lambda m: prune.l1_unstructured(m, "weight", 31)),
    "vector": (ValueError, "Structured pruning can only be applied to multidimensional",
               lambda m: prune.ln_structured(m, "bias", 1, 2, 0)),
    "dim": (IndexError, r"Invalid index 2 for tensor of size \(5, 6\)",
            lambda m: prune.random_structured(m, "weight", 1, 2)),
    "not pruned": (ValueError, "has to be pruned before pruning can be removed",
                   lambda m: prune.remove(m, "weight")),
    "not pruned, method": (AssertionError, "before pruning can be removed", a_hook_less),
    "no tensor": (AssertionError, "has to be pruned$", lambda m: prune.Identity().apply_mask(m)),
    "scores": (AssertionError, "importance_scores should have the same shape as parameter weight",
               lambda m: prune.l1_unstructured(m, "weight", 1, tg.ones(2))),
    "scores of a tensor": (AssertionError, "should have the same shape as tensor t",
                           lambda m: prune.Identity().prune(tg.ones(3), None, tg.ones(2))),
    "kind": (AttributeError, "Unrecognized PRUNING_TYPE odd", wrong_type),
    "container": (TypeError, "is not a BasePruningMethod subclass",
                  lambda m: prune.PruningContainer(1)),
    "another tensor": (ValueError, "Can only add pruning methods acting on the parameter named",
                       other_tensor),
    "pairs": (TypeError, "parameters is not an Iterable",
              lambda m: prune.global_unstructured(1, prune.L1Unstructured, amount=1)),
    "score table": (TypeError, "importance_scores must be of type dict",
                    lambda m: prune.global_unstructured([(m, "weight")], prune.Identity, [1])),
    "structured": (TypeError, 'Only "unstructured" PRUNING_TYPE supported',
                   lambda m: prune.global_unstructured([(m, "weight")], prune.LnStructured,
                                                       amount=1, n=1)),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_refusals(name):
    kind, text, call = WRONG[name]
    with pytest.raises(kind, match=text):
        call(network()[0])


STEPS = {
    "l1": lambda p, m: p.l1_unstructured(m[0], "weight", 0.3),
    "l1 twice": lambda p, m: [p.l1_unstructured(m[0], "weight", a) for a in (0.3, 5)],
    "l1, slices": lambda p, m: (p.l1_unstructured(m[0], "weight", 0.3),
                                p.ln_structured(m[0], "weight", 2, n=2, dim=0)),
    "slices twice": lambda p, m: [p.ln_structured(m[0], "weight", a, n=2, dim=1) for a in (0.4, 1)],
    "removed": lambda p, m: (p.l1_unstructured(m[0], "weight", 0.3), p.remove(m[0], "weight")),
    "global": lambda p, m: p.global_unstructured([(m[0], "weight"), (m[1], "weight")],
                                                 p.L1Unstructured, amount=0.4),
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.parametrize("name", STEPS)
def test_equals_pytorch(torch, name):
    ours, theirs = network(), network(torch)
    STEPS[name](prune, ours)
    STEPS[name](importlib.import_module("torch.nn.utils.prune"), theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], value.numpy(), rtol=1e-6, err_msg=key)


# Orthonormal matrices -----------------------------------------------------------------------------

MAPS = ["matrix_exp", "cayley", "householder", None]
SHAPES = [(5, 5), (6, 3), (3, 6)]


def is_orthonormal(weight):
    w = weight.detach().numpy()
    q = w.T @ w if len(w) >= len(w.T) else w @ w.T
    return np.allclose(q, np.eye(len(q)))


@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_orthogonal(kind, shape):
    tg.manual_seed(0)
    layer = nn.Linear(*shape[::-1], dtype=tg.float64)
    parametrizations.orthogonal(layer, "weight", kind)
    assert is_orthonormal(layer.weight)
    target = tg.tensor(np.linalg.qr(np.random.default_rng(0).standard_normal((6, 6)))[0])
    target = target[: shape[0], : shape[1]]
    optimizer = tg.optim.SGD(layer.parameters(), 0.1)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = ((layer.weight - target) ** 2).sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert is_orthonormal(layer.weight)
    full = np.linalg.qr(np.random.default_rng(1).standard_normal((max(shape),) * 2))[0]
    new = full[: shape[0], : shape[1]]
    layer.weight = tg.tensor(new.copy())
    np.testing.assert_allclose(layer.weight.detach(), new, atol=1e-12)
    free = nn.Linear(*shape[::-1], dtype=tg.float64)
    before = free.weight.detach().clone()
    parametrizations.orthogonal(free, orthogonal_map=kind, use_trivialization=False)
    if kind == "householder":
        assert is_orthonormal(free.weight)
        q = np.linalg.qr(before.numpy() if shape[0] >= shape[1] else before.numpy().T)[0]
        found = free.weight.detach().numpy()
        np.testing.assert_allclose(abs(found if shape[0] >= shape[1] else found.T), abs(q))


def test_orthogonal_refusals():
    layer = nn.Linear(4, 4)
    with pytest.raises(ValueError, match="has no parameter or buffer with name 'weigth'"):
        parametrizations.orthogonal(layer, "weigth")
    with pytest.raises(ValueError, match="Expected a matrix or batch of matrices"):
        parametrizations.orthogonal(layer, "bias")
    with pytest.raises(ValueError, match="orthogonal_map has to be one of"):
        parametrizations.orthogonal(layer, orthogonal_map="qr")
    parametrizations.orthogonal(layer, orthogonal_map="cayley", use_trivialization=False)
    with pytest.raises(NotImplementedError, match="not possible to assign to the matrix expon"):
        layer.weight = tg.eye(4)


@pytest.mark.peers
@pytest.mark.parametrize("kind", MAPS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_orthogonal_equals_pytorch(torch, kind, shape):
    ours = nn.Linear(*shape[::-1], dtype=tg.float64)
    theirs = torch.nn.Linear(*shape[::-1], dtype=torch.float64)
    parametrizations.orthogonal(ours, orthogonal_map=kind)
    torch.nn.utils.parametrizations.orthogonal(theirs, orthogonal_map=kind)
    state = theirs.state_dict()
    moved = np.random.default_rng(0).standard_normal(shape) * 0.3
    key = "parametrizations.weight.original"
    state[key] = torch.tensor(np.where(np.eye(*shape) == 1, state[key].numpy(), moved))
    theirs.load_state_dict(state)
    ours.load_state_dict({k: tg.tensor(v.numpy()) for k, v in state.items()})
    np.testing.assert_allclose(ours.weight.detach(), theirs.weight.detach().numpy(), atol=1e-12)
    weight = np.random.default_rng(1).standard_normal(shape)
    (ours.weight * tg.tensor(weight)).sum().backward()
    (theirs.weight * torch.tensor(weight)).sum().backward()
    a = ours.parametrizations.weight.original.grad
    b = theirs.parametrizations.weight.original.grad
    np.testing.assert_allclose(a, b.numpy(), atol=1e-11)
