"""Every public name of every public space is used by some test; a comment is not a use."""

import ast
import importlib
import inspect

import pytest
from exercised import exercised, words_of

import tinygrad_opt

# Those of nn are in nn/test_public_names.py, which counts its folder alone.
SPACES = [
    "autograd", "autograd.forward_ad", "autograd.graph", "distributions",
    "distributions.constraints", "fft", "func", "linalg", "nn.modules.module",
    "nn.utils.parametrizations", "nn.utils.parametrize", "nn.utils.prune", "nn.utils.rnn", "onnx",
    "optim", "optim.lr_scheduler", "optim.schedules", "optim.swa_utils", "optim.textbook",
    "special", "training", "utils.checkpoint", "utils.data",
]  # fmt: skip


@pytest.mark.parametrize("space", SPACES)
def test_public_names_are_exercised(space):
    module = importlib.import_module(f"tinygrad_opt.{space}")
    assert sorted(set(module.__all__) - exercised()) == []


def test_names_of_the_package_are_exercised():
    names = {
        name for name in dir(tinygrad_opt)
        if not name.startswith("_") and not inspect.ismodule(getattr(tinygrad_opt, name))
    }  # fmt: skip
    assert len(names) > 300
    assert sorted(names - exercised()) == []


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("nn.ReLU()", {"ReLU"}),
        ("from tinygrad_opt.nn import Tanh\nTanh()", {"Tanh"}),
        ("TABLE = {'conv2d: same': 1, 'GELU exact': 2}", {"conv2d", "GELU"}),
        ("names('textbook.Momentum', 'said of nn.ReLU')", {"Momentum"}),
        ("# nn.ReLU", set()),
        ("'''nn.ReLU'''", set()),
        ("def test_it():\n    '''Of ReLU.'''", set()),
        ("from tinygrad_opt.nn import Tanh", set()),
        ("import numpy as np\nnp.tanh(1)", set()),
        ("torch.nn.ReLU()", set()),
        ("f(mode='relu')", set()),
    ],
)
def test_what_counts_as_exercised(source, found):
    assert words_of(ast.parse(source)) == found
