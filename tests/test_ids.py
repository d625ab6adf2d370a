"""Tests have the same names in every process, as `pytest -n auto` needs."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_names_with_an_address_are_refused():
    spec = importlib.util.spec_from_file_location("root", Path(__file__).with_name("conftest.py"))
    root = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(root)
    item = SimpleNamespace(nodeid="test_it[<function f at 0x7f00>]", get_closest_marker=bool)
    with pytest.raises(pytest.UsageError, match=r"give ids to parameters .*<function f at 0x7f00>"):
        root.pytest_collection_modifyitems([item])


def test_names_do_not_repeat(request):
    names = [item.nodeid for item in request.session.items]
    assert len(set(names)) == len(names)
