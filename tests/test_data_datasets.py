"""Datasets: items by index, and in streams."""

from __future__ import annotations

import numpy as np
import pytest
from small_datasets import SizedStream, Squares, Stream, pairs

import tinygrad_opt as T
from tinygrad_opt.utils.data import (
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Sampler,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)  # fmt: skip


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
    with pytest.raises(IndexError, match="out of range for 5 items"):
        both[5]
    with pytest.raises(ValueError, match="absolute value of index should not exceed dataset"):
        both[-6]
    with pytest.raises(AssertionError, match="should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        ConcatDataset([Stream()])
    with pytest.raises(NotImplementedError, match="should implement __getitem__; Dataset does"):
        Dataset()[0]
    with pytest.raises(TypeError, match="abstract"):
        IterableDataset()


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


def test_stack_dataset():
    pair = StackDataset(Squares(3), ["a", "b", "c"])
    assert len(pair) == 3
    assert pair[2] == ((2, 4.0), "c")
    named = StackDataset(x=[1, 2], y=["a", "b"])
    assert named[0] == {"x": 1, "y": "a"}
    assert named.__getitems__([1, 0]) == [{"x": 2, "y": "b"}, {"x": 1, "y": "a"}]
    with pytest.raises(ValueError, match=r"Size mismatch between datasets: lengths \[3, 1\]"):
        StackDataset(Squares(3), [1])
    with pytest.raises(ValueError, match="At least one dataset should be passed"):
        StackDataset()
    with pytest.raises(ValueError, match="both types are given"):
        StackDataset([1], x=[1])


class Together(Squares):
    """Loads many items at once, and remembers having been asked to."""

    def __init__(self, n):
        super().__init__(n)
        self.asked = []

    def __getitems__(self, indices):
        self.asked.append(list(indices))
        return [self[i] for i in indices]


def test_many_items_at_once():
    d = Together(6)
    batches = list(DataLoader(Subset(StackDataset(d, d), [5, 4, 3]), 2))
    assert d.asked == [[5, 4], [5, 4], [3], [3]]
    assert len(batches) == 2
    assert Subset(Squares(3), [2, 1]).__getitems__([0]) == [(2, 4.0)]

    class Short(Together):
        def __getitems__(self, indices):
            return []

    with pytest.raises(ValueError, match=r"output size mismatch\. Expected 2, got 0"):
        StackDataset(Short(3)).__getitems__([0, 1])


def test_chains_of_streams():
    both = SizedStream() + SizedStream()
    assert isinstance(both, ChainDataset)
    assert list(both) == [0, 1, 2, 3, 4] * 2
    assert len(both) == 10
    with pytest.raises(AssertionError, match="only supports IterableDataset, got list"):
        list(ChainDataset([Stream(), [1]]))


def test_classes_take_type_parameters():
    class Mine(Dataset[int]):
        pass

    for kind in (IterableDataset, Sampler, DataLoader, Subset):
        assert kind[int]
    assert issubclass(Mine, Dataset)
