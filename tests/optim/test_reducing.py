"""Optimizers that reduce before they step: golden values, PyTorch, flags, state, odd cases."""

from __future__ import annotations

import copy
import inspect
import json
from pathlib import Path

import numpy as np
import problem
import pytest
import reducing
from reducing import LABELS, REDUCING, SHAPES

import tinygrad_opt as tg
from tinygrad_opt.kernels import threads

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "reducing.json").read_text())
FIRST = [next(row for row in REDUCING if row.name == name) for name in dict.fromkeys(
    row.name for row in REDUCING)]  # fmt: skip
every_row = pytest.mark.parametrize("row", REDUCING, ids=LABELS)
every_class = pytest.mark.parametrize("row", FIRST, ids=lambda row: row.name)
with_twin = [row for row in REDUCING if row.twin]


def ours(row, dtype, steps=problem.STEPS, **settings):
    return reducing.run(tg, row, row.cls, dtype, steps)


def relative_error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


# Where they end -----------------------------------------------------------------------------------


def test_the_golden_values_are_those_of_the_table():
    assert sorted(GOLDEN) == sorted(LABELS)


@every_row
def test_float64_equals_the_golden_values(row):
    assert relative_error(ours(row, "float64"), np.array(GOLDEN[row.label])) < 1e-12


@every_row
def test_float32_is_as_good_as_float32_can_be(row):
    # Muon and SOAP: products of small matrices, whose errors the small singular values enlarge.
    limit = 1e-5 if row.name in SHAPES else 3e-6
    assert relative_error(ours(row, "float32"), np.array(GOLDEN[row.label])) < limit


@every_row
def test_every_setting_changes_the_result(row):
    full = ours(row, "float64", steps=25)
    for name in row.settings:
        fewer = row._replace(settings={k: v for k, v in row.settings.items() if k != name})
        assert relative_error(ours(fewer, "float64", steps=25), full) > 1e-6, f"{name} does nothing"


def test_every_argument_is_set_in_some_row():
    for first in FIRST:
        arguments = set(inspect.signature(first.cls).parameters) - {"params", "foreach"}
        rows = [row for row in REDUCING if row.name == first.name]
        assert arguments == set().union(*(row.settings for row in rows))


# PyTorch ------------------------------------------------------------------------------------------


@pytest.mark.peers
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("row", with_twin, ids=lambda row: row.label)
def test_it_follows_pytorch(row, dtype, torch, monkeypatch):
    reducing.in_full_precision(monkeypatch, torch)
    theirs = reducing.run(torch, row, getattr(torch.optim, row.name), dtype)
    limit = 1e-12 if dtype == "float64" else 1e-5 if row.name == "Muon" else 2e-6
    assert relative_error(ours(row, dtype), theirs) < limit


@pytest.mark.peers
@pytest.mark.parametrize("row", [r for r in with_twin if r.name == "Muon"], ids=lambda r: r.label)
def test_muon_is_as_near_to_pytorchs_as_bfloat16_allows(row, torch):
    ends = [
        reducing.run(library, row, library.optim.Muon, "float64", steps=1)
        for library in (tg, torch)
    ]
    begun = np.concatenate([v.ravel() for v in reducing.start(row)])
    step = np.abs(ends[0] - begun).max()
    assert 0 < np.abs(ends[0] - ends[1]).max() < 0.03 * step


@pytest.mark.peers
@pytest.mark.parametrize("row", with_twin, ids=lambda row: row.label)
def test_arguments_defaults_and_state_are_pytorchs(row, torch):
    twin = getattr(torch.optim, row.name)
    mine, theirs = (inspect.signature(cls).parameters for cls in (row.cls, twin))
    assert {n: p.default for n, p in mine.items()} == {n: p.default for n, p in theirs.items()}
    assert [p.kind for p in mine.values()] == [p.kind for p in theirs.values()]
    saved = []
    for library, cls in ((tg, row.cls), (torch, twin)):
        params = reducing.parameters(library, row, "float32")
        optimizer = cls(params, **row.settings)
        reducing.go_on(library, row, params, optimizer, range(11, 12))
        saved.append(optimizer.state_dict())
    a, b = saved
    assert list(a["param_groups"][0]) == list(b["param_groups"][0])
    assert a["param_groups"] == b["param_groups"]
    assert a["state"].keys() == b["state"].keys()
    for i, entry in a["state"].items():
        assert list(entry) == list(b["state"][i])
        for name, value in entry.items():
            other = b["state"][i][name]
            assert value.shape == tuple(other.shape)
            assert str(other.dtype) == str(value.dtype)
            np.testing.assert_allclose(value.numpy(), other.numpy(), rtol=1e-6)


@pytest.mark.peers
@pytest.mark.parametrize("row", with_twin, ids=lambda row: row.label)
def test_state_dicts_cross_to_pytorch_and_back(row, torch, monkeypatch):
    """Ten steps here, ten there, ten here, against thirty there."""
    reducing.in_full_precision(monkeypatch, torch)
    twin = getattr(torch.optim, row.name)
    expected = reducing.run(torch, row, twin, "float64", steps=30)

    mine, theirs = (reducing.parameters(lib, row, "float64") for lib in (tg, torch))
    a, b = row.cls(mine, **row.settings), twin(theirs)
    reducing.go_on(tg, row, mine, a, range(10))
    b.load_state_dict(_with_tensors(a.state_dict(), lambda x: torch.tensor(x.numpy())))
    with torch.no_grad():
        for p, q in zip(theirs, mine, strict=True):
            p.copy_(torch.tensor(q.detach().numpy()))
    reducing.go_on(torch, row, theirs, b, range(10, 20))

    last = [tg.tensor(p.detach().numpy()).requires_grad_() for p in theirs]
    c = row.cls(last)
    c.load_state_dict(_with_tensors(b.state_dict(), lambda x: tg.tensor(x.numpy())))
    reducing.go_on(tg, row, last, c, range(20, 30))
    assert relative_error(reducing.values(last), expected) < 1e-12


def _with_tensors(saved, convert):
    state = {i: {k: convert(v) for k, v in entry.items()} for i, entry in saved["state"].items()}
    return {**saved, "state": state}


@pytest.mark.peers
def test_adafactor_of_more_dimensions(torch):
    ends = []
    for library in (tg, torch):
        values = np.sin(np.arange(24.0)).reshape(2, 3, 4)
        params = [library.tensor(v).requires_grad_() for v in (values, values[0, 0, 0])]
        optimizer = library.optim.Adafactor(params, lr=0.1)
        for step in range(5):
            for p in params:
                p.grad = library.tensor(np.cos(p.detach().numpy() * 3 + step))
            optimizer.step()
        ends.append(reducing.values(params))
    assert relative_error(*ends) < 1e-13


# State --------------------------------------------------------------------------------------------


@every_row
def test_resuming_in_mid_training_gives_the_same_bits(row):
    params = reducing.parameters(tg, row, "float32")
    optimizer = row.cls(params, **row.settings)
    reducing.go_on(tg, row, params, optimizer, range(12))
    saved = copy.deepcopy(optimizer.state_dict())
    again = [p.detach().clone().requires_grad_() for p in params]
    resumed = row.cls(again)
    resumed.load_state_dict(saved)
    for ps, o in ((params, optimizer), (again, resumed)):
        reducing.go_on(tg, row, ps, o, range(12, 24))
    np.testing.assert_array_equal(reducing.values(again), reducing.values(params))


@every_class
def test_copies_go_on_as_the_original(row):
    params = reducing.parameters(tg, row, "float64")
    optimizer = row.cls(params, **row.settings)
    reducing.go_on(tg, row, params, optimizer, range(12))
    others, copied = copy.deepcopy((params, optimizer))
    for ps, o in ((params, optimizer), (others, copied)):
        reducing.go_on(tg, row, ps, o, range(12, 15))
    np.testing.assert_array_equal(reducing.values(others), reducing.values(params))


@every_class
def test_memory_that_others_hold_makes_no_difference(row):
    expected = ours(row, "float64", steps=15)
    params = [tg.from_numpy(v).requires_grad_() for v in reducing.start(row)]
    views = [p.detach() for p in params]  # so they are stepped where they lie
    reducing.go_on(tg, row, params, row.cls(params, **row.settings), range(15))
    assert relative_error(reducing.values(params), expected) < 1e-13
    assert all(v.tolist() == p.tolist() for v, p in zip(views, params, strict=True))


@every_class
def test_scattered_memory_makes_no_difference(row):
    expected = ours(row, "float64", steps=15)
    bases = [np.zeros((*v.shape, 2)) for v in reducing.start(row)]
    for base, value in zip(bases, reducing.start(row), strict=True):
        base[..., 1] = value
    params = [tg.from_numpy(base[..., 1]).requires_grad_() for base in bases]
    reducing.go_on(tg, row, params, row.cls(params, **row.settings), range(15))
    assert relative_error(reducing.values(params), expected) < 1e-13


@every_class
def test_a_model_that_changes_its_type_goes_on_with_its_state(row):
    expected = ours(row, "float32", steps=20)
    params = reducing.parameters(tg, row, "float32")
    optimizer = row.cls(params, **row.settings)
    reducing.go_on(tg, row, params, optimizer, range(15))
    for p in params:
        p.data = p.data.double()
    reducing.go_on(tg, row, params, optimizer, range(15, 20))
    assert {p.dtype for p in params} == {tg.float64}
    assert relative_error(reducing.values(params), expected) < 1e-4


@pytest.mark.parametrize("name", ["LAMB", "LARS", "Prodigy", "Adafactor"])
def test_the_same_bits_for_any_number_of_threads(name, monkeypatch):
    monkeypatch.setattr(threads, "threshold", 1)
    row = next(row for row in FIRST if row.name == name)
    size, ends = 70_001, []
    available = threads.get_num_threads()
    for count in (1, available):
        threads.set_num_threads(count)
        p = tg.tensor(np.sin(np.arange(size)).astype(np.float32)).requires_grad_()
        optimizer = row.cls([p], **row.settings)
        for step in range(3):
            p.grad = tg.tensor(np.cos(np.arange(size) + step).astype(np.float32))
            optimizer.step()
        ends.append(p.detach().numpy())
    threads.set_num_threads(available)
    np.testing.assert_array_equal(ends[0], ends[-1])
