"""Samplers: the order of items."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.utils.data import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)  # fmt: skip


def test_samplers():
    assert list(SequentialSampler(range(3))) == [0, 1, 2]
    r = RandomSampler(range(100))
    a, b = list(r), list(r)
    assert sorted(a) == sorted(b) == list(range(100))
    assert a != b
    assert len(list(RandomSampler(range(3), num_samples=7))) == 7
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=50))
    assert set(drawn) == {0, 1, 2}
    assert len(RandomSampler(range(3), True, 50)) == 50
    s = SubsetRandomSampler([5, 7, 9], generator=T.Generator().manual_seed(1))
    assert sorted(s) == [5, 7, 9]
    assert len(s) == 3


def test_weighted_sampler():
    w = WeightedRandomSampler([1.0, 0.0, 3.0], 4000)
    counts = np.bincount(list(w), minlength=3)
    assert counts[1] == 0
    assert counts[2] == pytest.approx(3000, rel=0.05)
    assert len(w) == 4000
    assert sorted(WeightedRandomSampler(T.ones(3), 3, replacement=False)) == [0, 1, 2]


def test_batch_sampler():
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, False)) == 3
    assert len(BatchSampler(range(4), 2, False)) == 2
    assert len(BatchSampler(range(5), 2, True)) == 2


@pytest.mark.parametrize(
    ("act", "error", "text"),
    [
        (lambda: RandomSampler([]), ValueError, "num_samples should be a positive integer value"),
        (lambda: RandomSampler([1], "yes"), TypeError, "replacement should be a boolean value"),
        (lambda: BatchSampler([], 0, False), ValueError, "batch_size should be a positive integer"),
        (lambda: BatchSampler([], 1, "no"), ValueError, "drop_last should be a boolean value"),
        (lambda: WeightedRandomSampler([[1.0]], 1), ValueError, "weights should be a 1d sequence"),
        (
            lambda: WeightedRandomSampler([-1.0, 2], 1),
            RuntimeError,
            "invalid multinomial",
        ),
        (lambda: WeightedRandomSampler([1.0, 0], 2, False), RuntimeError, "cannot sample n_sample"),
        (lambda: WeightedRandomSampler([0.0], 1), RuntimeError, "one of them positive"),
        (lambda: WeightedRandomSampler([1.0], 0), ValueError, "num_samples should be a positive"),
        (lambda: WeightedRandomSampler([1.0], 1, 1), ValueError, "replacement should be a boolean"),
        (lambda: list(Sampler()), NotImplementedError, "must implement __iter__"),
    ],
)
def test_sampler_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


def test_all_is_drawn_when_an_iteration_begins():
    g = T.Generator().manual_seed(1)
    samplers = [
        RandomSampler(range(3), num_samples=7, generator=g),
        RandomSampler(range(3), replacement=True, generator=g),
        SubsetRandomSampler([1, 2, 3], generator=g),
        WeightedRandomSampler([1, 2], 5, generator=g),
    ]
    for sampler in samplers:
        before = g.get_state()
        indices = iter(sampler)
        after = g.get_state()
        assert not T.equal(before, after)
        list(indices)
        assert T.equal(g.get_state(), after)


def test_more_samples_than_items_are_whole_rounds():
    drawn = list(RandomSampler(range(4), num_samples=10))
    assert sorted(drawn[:4]) == sorted(drawn[4:8]) == [0, 1, 2, 3]
    assert len(set(drawn[8:])) == 2
