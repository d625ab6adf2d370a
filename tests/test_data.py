"""Datasets, samplers, collation and the DataLoader."""

from __future__ import annotations

from collections import namedtuple

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.utils import data
from tinygrad_opt.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    random_split,
)  # fmt: skip


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return i, float(i * i)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


class SizedStream(Stream):
    def __len__(self):
        return 5


def pairs(n=10):
    return TensorDataset(T.arange(n), T.arange(n).float() * 2)


def firsts(loader):
    return [x.tolist() for x, _ in loader]


# Datasets -----------------------------------------------------------------------------------------


def test_tensor_dataset():
    d = pairs(3)
    assert len(d) == 3
    assert [x.item() for x in d[2]] == [2, 4.0]
    with pytest.raises(AssertionError, match=r"Size mismatch between tensors.*\[3, 4\]"):
        TensorDataset(T.zeros(3), T.zeros(4))
    for bad in ((), (T.tensor(1.0),)):
        with pytest.raises(AssertionError, match="Size mismatch"):
            TensorDataset(*bad)
    with pytest.raises(TypeError, match="expected Tensors, got ndarray"):
        TensorDataset(np.zeros(3))


def test_subset_and_concat():
    s = Subset(pairs(), [3, 1])
    assert [s[i][0].item() for i in range(len(s))] == [3, 1]
    assert s[[0, 1]][0].tolist() == [3, 1]
    both = Squares(2) + Squares(3)
    assert [both[i][0] for i in range(5)] == [0, 1, 0, 1, 2]
    assert both[-1] == (2, 4.0)
    for i in (5, -6):
        with pytest.raises(IndexError, match="out of range for 5 items"):
            both[i]
    with pytest.raises(AssertionError, match="should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Stream()])
    for d, method in ((Dataset(), lambda d: d[0]), (IterableDataset(), iter)):
        with pytest.raises(NotImplementedError, match="must implement"):
            method(d)


def test_random_split():
    parts = random_split(Squares(10), [7, 3], generator=T.Generator().manual_seed(0))
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(i for p in parts for i in p.indices) == list(range(10))
    again = random_split(Squares(10), [7, 3], generator=T.Generator().manual_seed(0))
    assert again[0].indices == parts[0].indices
    assert [len(p) for p in random_split(Squares(10), [0.35, 0.35, 0.3])] == [4, 3, 3]
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length of the"):
        random_split(Squares(10), [7, 4])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        random_split(Squares(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        random_split(Squares(1), [0.5, 0.5])


# Samplers -----------------------------------------------------------------------------------------


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
        (lambda: WeightedRandomSampler([-1.0, 2], 1), ValueError, "finite and non-negative"),
        (lambda: WeightedRandomSampler([1.0, 0], 2, False), ValueError, "without replacement"),
        (lambda: list(data.Sampler()), NotImplementedError, "must implement __iter__"),
    ],
)
def test_sampler_errors(act, error, text):
    with pytest.raises(error, match=text):
        act()


# Collation ----------------------------------------------------------------------------------------


def test_default_collate():
    Point = namedtuple("Point", "x y")
    assert default_collate([T.ones(2), T.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    assert default_collate([1, 2]).dtype == np.int64
    assert default_collate([1.0, 2.0]).dtype == np.float64
    assert default_collate([True, False]).dtype == np.bool_
    assert default_collate([np.float32(1), np.float32(2)]).dtype == np.float32
    assert default_collate([np.zeros(2), np.ones(2)]).shape == (2, 2)
    assert default_collate(["a", "b"]) == ["a", "b"]
    x, y = default_collate([(1, "a"), (2, "b")])
    assert x.tolist() == [1, 2]
    assert y == ["a", "b"]
    assert default_collate([{"k": 1}, {"k": 2}])["k"].tolist() == [1, 2]
    assert default_collate([Point(1, 2), Point(3, 4)]).y.tolist() == [2, 4]
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        default_collate([[1, 2], [3]])
    for bad in (object(), None, np.array(["a"])):
        with pytest.raises(TypeError, match="batch must contain tensors, numpy arrays, numbers"):
            default_collate([bad])


def test_default_convert():
    Point = namedtuple("Point", "x y")
    made = default_convert({"a": np.zeros(2), "b": [np.float32(1), "s"], "c": Point(1, np.ones(1))})
    assert isinstance(made["a"], T.Tensor)
    assert made["b"][0].item() == 1
    assert made["b"][1] == "s"
    assert isinstance(made["c"].y, T.Tensor)


# DataLoader ---------------------------------------------------------------------------------------


def test_batches():
    assert firsts(DataLoader(pairs(5), 2)) == [[0, 1], [2, 3], [4]]
    assert firsts(DataLoader(pairs(5), 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert firsts(DataLoader(Squares(3), 2)) == [[0, 1], [2]]
    assert [len(DataLoader(pairs(5), 2, drop_last=d)) for d in (False, True)] == [3, 2]
    assert firsts(DataLoader(pairs(4), sampler=[3, 0])) == [[3], [0]]
    assert firsts(DataLoader(pairs(4), batch_sampler=[[3, 0], [1]])) == [[3, 0], [1]]
    assert len(DataLoader(pairs(4), batch_sampler=[[3, 0], [1]])) == 2
    assert list(DataLoader([1, 2, 3], 2, collate_fn=sum)) == [3, 3]


def test_single_items():
    loader = DataLoader(Squares(2), batch_size=None)
    assert list(loader) == [[0, 0.0], [1, 1.0]]
    assert len(loader) == 2


def test_shuffling():
    def orders(seed):
        generator = T.Generator().manual_seed(seed)
        loader = DataLoader(pairs(50), 50, shuffle=True, generator=generator)
        return firsts(loader) + firsts(loader)

    first, second = orders(0)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert orders(0) == [first, second]
    assert orders(1) != [first, second]
    T.manual_seed(5)
    a = firsts(DataLoader(pairs(50), 50, shuffle=True))
    T.manual_seed(5)
    assert firsts(DataLoader(pairs(50), 50, shuffle=True)) == a


@pytest.mark.parametrize("dataset", [pairs(7), Subset(Subset(pairs(9), range(1, 9)), [5, 0, 3])])
def test_whole_batches_equal_stacked_items(dataset):
    whole = list(DataLoader(dataset, 2))
    stacked = list(DataLoader(dataset, 2, collate_fn=lambda items: default_collate(items)))
    assert len(whole) == len(stacked)
    for a, b in zip(whole, stacked, strict=True):
        assert type(a) is type(b) is list
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype
            assert x.tolist() == y.tolist()
            assert x.array.flags.c_contiguous


def test_a_batch_is_a_copy():
    d = pairs(4)
    for x, _ in DataLoader(d, 2):
        x.array[...] = -1
    assert d.tensors[0].tolist() == [0, 1, 2, 3]


def test_an_overridden_getitem_is_used():
    class Shifted(TensorDataset):
        def __getitem__(self, i):
            return tuple(t + 1 for t in super().__getitem__(i))

    assert firsts(DataLoader(Shifted(T.arange(2), T.arange(2)), 2)) == [[1, 2]]


def test_streams():
    assert [b.tolist() for b in DataLoader(Stream(), 2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Stream(), 2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Stream(), None)) == [0, 1, 2, 3, 4]
    assert [len(DataLoader(SizedStream(), 2, drop_last=d)) for d in (False, True)] == [3, 2]
    assert len(DataLoader(SizedStream(), None)) == 5
    with pytest.raises(TypeError, match="has no len"):
        len(DataLoader(Stream()))


@pytest.mark.parametrize(
    ("settings", "error", "text"),
    [
        ({"num_workers": 2}, NotImplementedError, "use num_workers=0"),
        ({"num_workers": -1}, ValueError, "num_workers option should be non-negative"),
        ({"sampler": [0], "shuffle": True}, ValueError, "sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, ValueError, "batch_sampler option is mutually"),
        ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None option disables"),
        ({"batch_size": 0}, ValueError, "batch_size should be a positive integer"),
        ({"batch_size": 2.0}, ValueError, "batch_size should be a positive integer"),
    ],
)
def test_loader_errors(settings, error, text):
    with pytest.raises(error, match=text):
        DataLoader(pairs(3), **settings)


@pytest.mark.parametrize("option", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_streams_have_no_order(option):
    with pytest.raises(ValueError, match=f"expected unspecified {next(iter(option))} option"):
        DataLoader(Stream(), **option)
