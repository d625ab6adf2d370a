"""Every public name says what it is, in the house's one convention.

A docstring opens with a noun phrase or a formula for what comes out ("The mean of ..."), or tells
in the indicative what happens ("Adds a module at the end"). It ends its sentence.
"""

import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

import tinygrad_opt
from tinygrad_opt import Tensor

sys.path.insert(0, str(Path(__file__).parents[1] / "docs" / "site"))
import rooms

SPACES = list(dict.fromkeys(space for room in rooms.ROOMS for space in room.spaces.split()))


def is_kernels(name):
    """Whether it is one of kernels/, whose docstrings speak in the imperative, as Python's do."""
    return f"{name}.".startswith("tinygrad_opt.kernels.")


OUTSIDE = [path for path in SPACES if not is_kernels(path)]


def public_names():
    """{"space.name" or "space.Class.method": documented object}, as the site's reference has it."""
    found = {}
    for path in SPACES:
        space = importlib.import_module(path)
        for name in rooms.exported(space):
            value = getattr(space, name)
            if inspect.ismodule(value) or not rooms.is_ours(value):
                continue
            if inspect.isclass(value) or callable(value):
                found[f"{path}.{name}"] = value
            if inspect.isclass(value):
                found |= {f"{path}.{name}.{n}": v for n, v in rooms.members_of(value)}
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


@pytest.mark.parametrize("path", OUTSIDE)
def test_openings_are_not_imperative(path):
    commands = {
        name: opening(value)
        for name, value in NAMES.items()
        if name.startswith(path + ".") and not is_kernels(name) and IMPERATIVE.match(opening(value))
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
