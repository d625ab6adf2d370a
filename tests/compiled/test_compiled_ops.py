"""Every operation of the table, in a compiled step: its value and its gradients are the eager ones.

Each is traced by itself, which takes no compiler; then many are compiled together, as one step.
"""

import numpy as np
import pytest
from ops_table import OPS

import tinygrad_opt as tg
from tinygrad_opt.compiled import CompileError, compile

# Rows that have no compiled form, and say so: the shape or the way of the result hangs on values.
REFUSED = {
    "getitem: mask", "getitem: mask and list", "masked_select", "masked_scatter", "pinv: lstsq",
    "matrix_exp",
}  # fmt: skip

TOGETHER = 24
GROUPS = [OPS[i : i + TOGETHER] for i in range(0, len(OPS), TOGETHER)]


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


def traceable(row):
    """The row's inputs if it can be traced, or the error that says why not."""
    from tinygrad_opt.compiled.tracing import array_in, traced_run

    tensors = inputs_of(row)
    pulled_back(row, tensors)  # what is made once is made
    try:
        traced_run(lambda *xs: pulled_back(row, xs), tensors, {}, [array_in(x) for x in tensors])
    except CompileError as error:
        return error
    return tensors


@pytest.mark.parametrize("rows", GROUPS, ids=lambda rows: rows[0].name)
def test_every_operation_compiles_or_says_so(rows):
    kept = []
    for row in rows:
        found = traceable(row)
        if isinstance(found, CompileError):
            assert str(found).startswith("compile: "), row.name
            assert row.name in REFUSED, f"{row.name}: {found}"
        else:
            assert row.name not in REFUSED, row.name
            kept.append((row, found))

    @compile(strict=True)
    def step(given):
        return [pulled_back(row, xs) for (row, _), xs in zip(kept, given, strict=True)]

    given = [xs for _, xs in kept]
    eager = [pulled_back(row, xs) for row, xs in kept]
    eager = [[part.numpy().copy() for part in found] for found in eager]
    step(given)
    for (row, _), expected, found in zip(kept, eager, step(given), strict=True):
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_allclose(b.numpy(), a, rtol=1e-11, atol=1e-12, err_msg=row.name)
            assert b.dtype == a.dtype and b.shape == a.shape, row.name
