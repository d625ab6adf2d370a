"""Every public name says what it is, in the house's one convention.

A docstring opens with a noun phrase or a formula for what comes out ("The mean of ..."), or tells
in the indicative what happens ("Adds a module at the end"). It ends its sentence.
"""

import importlib
import inspect
import re

import pytest

import tinygrad_opt
from tinygrad_opt import Tensor

SPACES = [
    "tinygrad_opt", "tinygrad_opt.nn", "tinygrad_opt.nn.functional", "tinygrad_opt.nn.init",
    "tinygrad_opt.nn.utils", "tinygrad_opt.nn.utils.parametrize",
    "tinygrad_opt.nn.utils.parametrizations", "tinygrad_opt.nn.utils.rnn", "tinygrad_opt.optim",
    "tinygrad_opt.optim.lr_scheduler", "tinygrad_opt.optim.schedules",
    "tinygrad_opt.optim.swa_utils", "tinygrad_opt.autograd", "tinygrad_opt.autograd.functional",
    "tinygrad_opt.linalg", "tinygrad_opt.func", "tinygrad_opt.utils.data", "tinygrad_opt.training",
    "tinygrad_opt.cuda", "tinygrad_opt.sklearn", "tinygrad_opt.distributions",
    "tinygrad_opt.distributions.constraints", "tinygrad_opt.special", "tinygrad_opt.fft",
    "tinygrad_opt.nn.utils.prune", "tinygrad_opt.autograd.graph",
    "tinygrad_opt.autograd.forward_ad", "tinygrad_opt.utils.tensorboard",
    "tinygrad_opt.accelerator", "tinygrad_opt.amp",
    "tinygrad_opt.backends.cuda", "tinygrad_opt.backends.cudnn", "tinygrad_opt.backends.mps",
    "tinygrad_opt.cuda.amp", "tinygrad_opt.distributed", "tinygrad_opt.jit", "tinygrad_opt.mps",
    "tinygrad_opt.multiprocessing", "tinygrad_opt.onnx", "tinygrad_opt.testing",
]  # fmt: skip


def is_ours(value):
    return (getattr(value, "__module__", None) or "").startswith("tinygrad_opt")


def members(cls):
    """(name, function or property) of what a class and its bases in this package define."""
    for name in dir(cls):
        owner = next((c for c in cls.__mro__ if name in vars(c)), None)
        if name.startswith("_") or owner is None or not is_ours(owner):
            continue
        value = vars(owner)[name]
        value = getattr(value, "__func__", value)
        if inspect.isfunction(value) or isinstance(value, property):
            yield name, value


def public_names():
    """{"space.name" or "space.Class.method": documented object}."""
    found = {}
    for path in SPACES:
        space = importlib.import_module(path)
        for name in getattr(space, "__all__", None) or dir(space):
            value = getattr(space, name)
            if name.startswith("_") or inspect.ismodule(value) or not is_ours(value):
                continue
            if inspect.isclass(value):
                found[f"{path}.{name}"] = value
                found |= {f"{path}.{name}.{member}": v for member, v in members(value)}
            elif callable(value):
                found[f"{path}.{name}"] = value
    return found


NAMES = public_names()


def text_of(value):
    """What `help` shows, a method's from its base class if need be; a class says its own."""
    return vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)


def opening(value):
    """The first sentence, or the first line if that has none."""
    return " ".join((text_of(value) or "").split("\n\n")[0].split())


def test_the_names_are_found():
    assert {"tinygrad_opt.exp", "tinygrad_opt.nn.Linear.forward", "tinygrad_opt.Tensor.shape",
            "tinygrad_opt.optim.Adam", "tinygrad_opt.linalg.inv"} <= NAMES.keys()  # fmt: skip


def test_every_public_name_has_a_docstring():
    assert [name for name, value in NAMES.items() if not (text_of(value) or "").strip()] == []


def test_a_missing_docstring_is_found(monkeypatch):
    monkeypatch.setattr(tinygrad_opt.nn.ReLU, "__doc__", None)
    assert text_of(tinygrad_opt.nn.ReLU) is None
    assert text_of(lambda x: x) is None


def test_operations_are_told_in_the_names_of_their_arguments():
    assert Tensor.mul.__doc__ == "input * other, broadcast."
    assert tinygrad_opt.pow.__doc__ == "input^exponent, broadcast."
    assert tinygrad_opt.exp.__doc__ == "e^input."


# An imperative speaks to the computer; these tell the reader.
IMPERATIVE = re.compile(
    r"(Add|Apply|Call|Check|Clip|Compute|Convert|Copy|Create|Define|Draw|Drop|Fill|Find|Get|Give|Go|Hold|"
    r"Keep|Let|Load|Make|Move|Multiply|Put|Raise|Read|Register|Remove|Reset|Return|Run|Save|Scale|Set|Show|Take|"
    r"Tell|Train|Turn|Update|Use|Wait|Write|Zero) "
)


@pytest.mark.parametrize("path", SPACES)
def test_openings_are_not_imperative(path):
    commands = {
        name: opening(value)
        for name, value in NAMES.items()
        if name.startswith(path + ".") and IMPERATIVE.match(opening(value))
    }
    assert commands == {}


@pytest.mark.parametrize("path", SPACES)
def test_openings_end(path):
    open_ended = {
        name: opening(value)
        for name, value in NAMES.items()
        if name.startswith(path + ".") and not re.search(r"[.:!?`)]$", opening(value))
    }
    assert open_ended == {}
