"""Collation: one batch of many items."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

import tinygrad_opt as T
from tinygrad_opt.utils.data import (
    default_collate,
    default_convert,
)  # fmt: skip


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
    assert y == ("a", "b")
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


def test_collation_keeps_the_types_of_containers():
    assert type(default_collate([OrderedDict(a=1)] * 2)) is OrderedDict
    filled = default_collate([defaultdict(list, a=1)] * 2)
    assert filled.default_factory is list
    assert type(default_collate([deque([1, 2])] * 2)) is deque
    frozen = default_collate([MappingProxyType({"a": 1})] * 2)
    assert type(frozen) is MappingProxyType
    assert frozen["a"].tolist() == [1, 1]
    assert [t.tolist() for t in default_collate([range(2)] * 2)] == [[0, 0], [1, 1]]
    assert type(default_convert(deque([np.ones(1)]))) is deque

    class Named(dict):
        def __init__(self, name):
            super().__init__()

        def __copy__(self):
            return Named()

    assert type(default_collate([Named("x")])) is dict


def test_items_of_different_shapes():
    for make in (T.ones, np.ones):
        with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
            default_collate([make(2), make(3)])


def test_a_collated_batch_is_a_copy():
    array = np.zeros(2)
    default_collate([array]).array[...] = 1
    assert array.tolist() == [0, 0]
