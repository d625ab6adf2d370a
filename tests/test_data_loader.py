"""DataLoader in one process: batches, order, errors."""

from __future__ import annotations

import pytest
from small_datasets import SizedStream, Squares, Stream, pairs

import tinygrad_opt as T
from tinygrad_opt.utils.data import (
    DataLoader,
    Subset,
    TensorDataset,
    default_collate,
)  # fmt: skip


def firsts(loader):
    return [x.tolist() for x, _ in loader]


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
        ({"num_workers": 1.5}, ValueError, "num_workers option should be non-negative"),
        ({"timeout": -1}, ValueError, "timeout option should be non-negative, got -1"),
        ({"prefetch_factor": 2}, ValueError, "only be specified in multiprocessing"),
        ({"num_workers": 1, "prefetch_factor": 0}, ValueError, "non-negative, and at least 1"),
        ({"persistent_workers": True}, ValueError, "needs num_workers > 0"),
        ({"multiprocessing_context": "fork"}, ValueError, "multi-process loading"),
        ({"num_workers": 1, "multiprocessing_context": "no"}, ValueError, "valid start method in"),
        ({"num_workers": 1, "multiprocessing_context": 3}, TypeError, "valid context object"),
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


def test_too_many_workers():
    with pytest.warns(UserWarning, match="will create 4096 worker processes in total"):
        DataLoader(pairs(3), num_workers=4096)


@pytest.mark.parametrize("name", ["batch_size", "sampler", "dataset", "drop_last"])
def test_what_is_fixed(name):
    with pytest.raises(ValueError, match=f"{name} attribute should not be set after DataLoader"):
        setattr(DataLoader(pairs(3)), name, 3)


def test_an_exception_costs_one_batch():
    class Holey(Squares):
        def __getitem__(self, i):
            if i == 2:
                raise KeyError("hole")
            return i

    batches = iter(DataLoader(Holey(6), 2))
    assert next(batches).tolist() == [0, 1]
    with pytest.raises(KeyError, match="hole"):
        next(batches)
    assert next(batches).tolist() == [4, 5]
    with pytest.raises(StopIteration):
        next(batches)


def test_rows_with_a_gradient_keep_it():
    w = T.ones(4, requires_grad=True)
    (batch,) = next(iter(DataLoader(TensorDataset(w), 2)))
    batch.sum().backward()
    assert w.grad.tolist() == [1, 1, 0, 0]
