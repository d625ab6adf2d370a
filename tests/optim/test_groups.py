"""The groups "no decay on biases and norms", and gradient accumulation over unequal parts."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim


class Scaled(nn.Module):
    """Everything that the rule looks at."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.inner = nn.Linear(4, 4)
        self.norm = nn.LayerNorm((3, 4))  # its weight and bias have two dimensions
        self.bias_table = nn.Parameter(tg.zeros(3, 4))
        self.scale = nn.Parameter(tg.tensor(1.0))
        self.out = nn.Linear(4, 5, bias=False)
        self.out.weight = self.embedding.weight  # shared


class MyNorm(nn.LayerNorm):
    pass


class NormalMixture(nn.Module):  # not a norm, whatever it begins with
    def __init__(self):
        super().__init__()
        self.table = nn.Parameter(tg.zeros(2, 2))


def names(groups):
    return {group["weight_decay"]: [name for name, _ in group["params"]] for group in groups}


def test_biases_and_norms_do_not_decay():
    groups = optim.param_groups_weight_decay(Scaled(), 0.1)
    assert names(groups) == {
        0.1: ["embedding.weight", "inner.weight"],
        0.0: ["bias_table", "scale", "inner.bias", "norm.weight", "norm.bias"],
    }


def test_classes_that_derive_from_norms_are_norms():
    model = nn.Sequential(MyNorm((2, 2)), NormalMixture(), nn.BatchNorm1d(2))
    assert names(optim.param_groups_weight_decay(model, 0.1)) == {
        0.1: ["1.table"],
        0.0: ["0.weight", "0.bias", "2.weight", "2.bias"],
    }


def test_every_parameter_is_in_one_group_under_its_name():
    model = Scaled()
    model.inner.weight.requires_grad_(False)
    groups = optim.param_groups_weight_decay(model, 0.1, no_decay=["out.*"], decay="scale")
    assert dict(p for g in groups for p in g["params"]) == dict(model.named_parameters())
    assert sum(len(g["params"]) for g in groups) == len(list(model.parameters()))
    assert "embedding.weight" in names(groups)[0.0]  # by its other name
    assert "scale" in names(groups)[0.1]
    optimizer = optim.AdamW(groups, lr=0.1)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.0]
    assert optimizer.param_groups[0]["param_names"] == ["scale", "inner.weight"]


def test_the_decay_acts_on_the_first_group_alone():
    model = nn.Linear(2, 2)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = optim.AdamW(optim.param_groups_weight_decay(model, 0.5), lr=0.1)
    for p in model.parameters():
        p.grad = tg.zeros(*p.shape)
    optimizer.step()
    np.testing.assert_allclose(model.weight.detach().numpy(), 0.95 * before[0].numpy(), rtol=1e-6)
    assert model.bias.tolist() == before[1].tolist()


def test_no_group_is_empty():
    assert len(optim.param_groups_weight_decay(nn.Linear(2, 2, bias=False), 0.1)) == 1
    assert names(optim.param_groups_weight_decay(nn.LayerNorm(2), 0.1)) == {0.0: ["weight", "bias"]}


def test_names_that_are_no_parameters_and_names_in_both_lists():
    model = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"no_decay names 'wieght', .*there are weight, bias"):
        optim.param_groups_weight_decay(model, 0.1, no_decay=["wieght"])
    with pytest.raises(ValueError, match=r"decay names 'x\*', but no parameter is called so"):
        optim.param_groups_weight_decay(model, 0.1, decay=["x*"])
    with pytest.raises(ValueError, match="both no_decay and decay name weight"):
        optim.param_groups_weight_decay(model, 0.1, no_decay=["w*"], decay=["*t"])


# Gradient accumulation ----------------------------------------------------------------------------

PARTS = [5, 1, 8, 2]  # sizes of the micro-batches


def classifier():
    tg.manual_seed(3)
    return nn.Sequential(nn.Linear(3, 6), nn.Tanh(), nn.Linear(6, 4)).double()


RNG = np.random.default_rng(4)
X, Y = tg.tensor(RNG.standard_normal((sum(PARTS), 3))), tg.tensor(RNG.integers(0, 4, sum(PARTS)))
ENDS = np.cumsum(PARTS)
MICRO_BATCHES = [(X[end - n : end], Y[end - n : end]) for n, end in zip(PARTS, ENDS, strict=True)]


@pytest.mark.parametrize("cls", [optim.SGD, optim.Adam, optim.LAMB])
def test_micro_batches_weighted_by_their_share_equal_the_whole_batch(cls):
    whole, parts = classifier(), classifier()
    for model, batches in ((whole, [(X, Y)]), (parts, MICRO_BATCHES)):
        optimizer = cls(model.parameters(), lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            total = sum(len(x) for x, _ in batches)
            for x, y in batches:
                loss = nn.functional.cross_entropy(model(x), y)
                (loss * (len(x) / total)).backward()
            optimizer.step()
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-12, atol=1e-14)


def test_sums_divided_by_the_total_count_equal_the_whole_batch():
    """For losses that do not count every element: here some targets are ignored."""
    y = tg.tensor(np.where(np.arange(len(X)) % 3 == 1, -100, Y.numpy()))
    whole, parts = classifier(), classifier()
    nn.functional.cross_entropy(whole(X), y).backward()
    counted = int((y != -100).sum().item())
    start = 0
    for n in PARTS:
        part = slice(start, start + n)
        loss = nn.functional.cross_entropy(parts(X[part]), y[part], reduction="sum")
        (loss / counted).backward()
        start += n
    for p, q in zip(whole.parameters(), parts.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-12, atol=1e-14)


def test_dividing_by_the_number_of_parts_would_be_wrong():
    whole, parts = classifier(), classifier()
    nn.functional.cross_entropy(whole(X), Y).backward()
    for x, y in MICRO_BATCHES:
        (nn.functional.cross_entropy(parts(x), y) / len(PARTS)).backward()
    assert np.abs(whole[0].weight.grad.numpy() - parts[0].weight.grad.numpy()).max() > 1e-3
