"""Every public layer and loss is exercised by the tables of this folder."""

from __future__ import annotations

import inspect

import pytest
from exercised import exercised
from nn_rows import LAYERS

import tinygrad_opt
from tinygrad_opt import nn


@pytest.mark.parametrize("module", [nn, nn.functional, nn.init, nn.utils], ids=lambda m: m.__name__)
def test_public_names_exist_and_are_tested(module):
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    of_tables = {type(make(nn)).__name__ for make, *_ in LAYERS.values()}  # from their functions
    assert sorted(set(module.__all__) - exercised("nn") - of_tables) == []


def test_imports_of_every_spelling():
    import tinygrad_opt.nn.functional as F
    from tinygrad_opt.nn import Module, functional
    from tinygrad_opt.utils.data import DataLoader

    assert F is functional is tinygrad_opt.nn.functional
    assert Module is nn.Module
    assert DataLoader is tinygrad_opt.utils.data.DataLoader


@pytest.mark.parametrize(
    "thing",
    [v for n in nn.__all__ if inspect.isclass(v := getattr(nn, n))],
    ids=lambda c: c.__name__,
)
def test_classes_are_documented(thing):
    assert thing.__doc__
    assert thing.__doc__.strip()
