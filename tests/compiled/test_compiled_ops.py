"""Every operation of the table, in a compiled step: its value and its gradients are the eager ones.

Their steps are interpreted (`interpreted.py`), and some of them compiled, together.
"""

import contextlib

import interpreted
import numpy as np
import pytest
from op_rows.complexes import COMPLEX
from ops_table import OPS, sampled_rows

import tinygrad_opt as tg
from tinygrad_opt.compiled import CompileError, compile, nests

# Rows that have no compiled form, and say so: the shape or the way of the result hangs on values.
# Those of complex numbers say so as well.
REFUSED = {
    "getitem: mask", "getitem: mask and list", "masked_select", "masked_scatter", "pinv: lstsq",
    "matrix_exp", "ldexp: op", "frexp", "gradient: places", "as_strided", "lu", "lu: wide",
    "lu: tall", "lu_unpack", "lu_unpack: U", "lu_solve", "lu_solve: adjoint",
    "lu_solve: from the right", "cat: negative axis", "cat: beside an empty list",
}  # fmt: skip


class Constants:
    """The package, for rows that make tensors of constants: made once, and given again."""

    def __init__(self):
        self.made, self.next = [], 0

    def __getattr__(self, name):
        return getattr(tg, name)

    def tensor(self, *args, **settings):
        if self.next == len(self.made):
            self.made.append(tg.tensor(*args, **settings))
        self.next += 1
        return self.made[self.next - 1]


CONSTANTS = {row.name: Constants() for row in OPS}


def inputs_of(row):
    return [tg.tensor(np.asarray(x, "float64"), requires_grad=True) for x in row.inputs()]


def pulled_back(row, tensors):
    """The value, and the gradients of a weighted sum of it."""
    for x in tensors:
        x.grad = None
    CONSTANTS[row.name].next = 0
    y = row.call(CONSTANTS[row.name], *tensors)
    weight = tg.linspace(-1.0, 2.0, max(y.numel(), 1), dtype=y.dtype)[: y.numel()].reshape(y.shape)
    (y * weight).sum().backward()
    return [y.detach(), *(x.grad for x in tensors if x.grad is not None)]


def same(row, expected, found):
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(b.numpy(), a, rtol=1e-11, atol=1e-12, err_msg=row.name)
        assert b.numpy().dtype == a.dtype, row.name


@sampled_rows
def test_every_operation_compiles_or_says_so(row, monkeypatch):
    compare(row, monkeypatch)


def compare(row, monkeypatch):
    interpreted.install(monkeypatch)
    tensors = inputs_of(row)
    step = compile(lambda *xs: pulled_back(row, xs), strict=True)
    expected = [part.numpy().copy() for part in step(*tensors)]
    if row.name in REFUSED or row in COMPLEX:
        with contextlib.suppress(CompileError):  # which is what "says so" means
            same(row, expected, step(*tensors))
            assert row in COMPLEX
        return
    same(row, expected, step(*tensors))
    same(row, expected, step(*tensors))


@pytest.mark.parametrize("row", OPS[::5], ids=lambda row: row.name)
def test_in_parts_for_several_threads(row, monkeypatch):
    """The same with every loop cut into parts that is not a sum, done in another order."""
    monkeypatch.setattr(nests, "WORTH_PARTS", 0)
    monkeypatch.setattr(nests, "PART", 1)
    compare(row, monkeypatch)


@pytest.mark.thorough
def test_threads_change_no_bit():
    def run(threads):
        tg.set_num_threads(threads)
        tg.manual_seed(0)
        model = tg.nn.Sequential(
            tg.nn.Linear(32, 512), tg.nn.GELU(), tg.nn.LayerNorm(512), tg.nn.Linear(512, 300)
        )
        optimizer = tg.optim.Adam(model.parameters())
        x, y = tg.randn(400, 32), tg.randint(0, 300, (400,))

        @compile(strict=True)
        def step():
            optimizer.zero_grad()
            loss = tg.nn.functional.cross_entropy(model(x).softmax(1), y)
            loss.backward()
            optimizer.step()
            return loss

        losses = [step().item() for _ in range(4)]
        assert "share(" in step.source()
        return losses, [p.detach().numpy().copy() for p in model.parameters()]

    before = tg.get_num_threads()
    try:
        (one, alone), (two, both) = run(1), run(2)
    finally:
        tg.set_num_threads(before)
    assert one == two
    assert all((a == b).all() for a, b in zip(alone, both, strict=True))


def test_some_of_them_compiled():
    """The same for many in one step, which Numba compiles."""
    rows = [row for row in OPS[::40] if row.name not in REFUSED and row not in COMPLEX]
    given = [inputs_of(row) for row in rows]

    @compile(strict=True)
    def step(given):
        return [pulled_back(row, xs) for row, xs in zip(rows, given, strict=True)]

    expected = [[part.numpy().copy() for part in found] for found in step(given)]
    for row, wanted, found in zip(rows, expected, step(given), strict=True):
        same(row, wanted, found)
