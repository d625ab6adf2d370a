"""Which type a result has: PyTorch's rules, where they differ from NumPy's too."""

import itertools

import numpy as np
import pytest

import tinygrad_opt as tg

OPERATIONS = {
    "add": lambda m, a, b: a + b,
    "mul": lambda m, a, b: a * b,
    "div": lambda m, a, b: a / b,
    "pow": lambda m, a, b: a**b,
    "floor divide": lambda m, a, b: a // b,
    "remainder": lambda m, a, b: a % b,
    "greater": lambda m, a, b: a > b,
    "equal": lambda m, a, b: a == b,
    "where": lambda m, a, b: m.where(m.tensor([True, False]), a, b),
    "maximum": lambda m, a, b: m.maximum(a, b),
    "stack": lambda m, a, b: m.stack([a, b]),
}
TENSORS_ONLY = ("maximum", "stack")

FUNCTIONS = [
    "abs", "amax", "cos", "cumsum", "erf", "exp", "isnan", "log", "log1p", "logical_not", "neg",
    "reciprocal", "relu", "rsqrt", "sigmoid", "sin", "sqrt", "square", "sum", "tanh",
]  # fmt: skip

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]
SCALARS = [True, 2, 2.5]


def make(m, dtype, dims):
    """Ones of that dtype: two of them, or one in a 0-d tensor."""
    return m.tensor([1] * 2 if dims else 1).to(getattr(m, dtype))


def dtype_of(y):
    return str(y.dtype).removeprefix("torch.")


L, F, D, B = "int64", "float32", "float64", "bool"
GOLDEN = [
    ("add", (L, 1), (L, 1), L), ("div", (L, 1), (L, 1), F), ("pow", (L, 1), (L, 1), L),
    ("mul", (F, 1), (L, 1), F), ("mul", (F, 1), (L, 0), F), ("add", (L, 1), (F, 0), F),
    ("mul", (F, 1), (D, 0), F), ("mul", (F, 1), (D, 1), D), ("mul", (F, 0), (D, 0), D),
    ("mul", (L, 1), (D, 0), D), ("add", (B, 1), (B, 1), B), ("div", (B, 1), (B, 1), F),
    ("add", (B, 1), 2, L), ("mul", (B, 1), 0.5, F), ("add", (L, 1), 2, L), ("mul", (L, 1), 0.5, F),
    ("div", (L, 1), 2, F), ("pow", (L, 1), 0.5, F), ("pow", 2.5, (L, 1), F),
    ("mul", (D, 1), 0.5, D),
    ("mul", (F, 1), np.float64(0.5), F), ("mul", (F, 1), np.float32(0.5), F),
    ("mul", (L, 1), np.float64(0.5), F), ("mul", np.float64(0.5), (F, 1), F),
    ("mul", (F, 1), np.int64(2), F), ("greater", (F, 1), (D, 0), B), ("equal", (L, 1), 1.5, B),
    ("floor divide", (L, 1), 2, L), ("remainder", (L, 1), 2, L), ("remainder", (F, 1), 2, F),
    ("where", (F, 1), 0.0, F), ("where", (F, 1), (L, 1), F), ("where", 1.0, 0.0, F),
    ("where", 1, 0, L), ("where", (D, 0), 0.0, D), ("maximum", (F, 1), (D, 0), F),
    ("maximum", (L, 1), (F, 0), F), ("stack", (F, 1), (L, 1), F), ("stack", (F, 1), (D, 1), D),
]  # fmt: skip


@pytest.mark.parametrize(("name", "a", "b", "expected"), GOLDEN)
def test_result_types(name, a, b, expected):
    a, b = (make(tg, *x) if isinstance(x, tuple) else x for x in (a, b))
    assert OPERATIONS[name](tg, a, b).dtype == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_floating_functions_of_integers_give_the_default_type(dtype):
    expected = D if dtype == D else F
    for name in ("exp", "sqrt", "log", "tanh", "sigmoid", "reciprocal"):
        assert getattr(tg, name)(make(tg, dtype, 1)).dtype == expected, name


def test_sums_of_integers_are_int64():
    for dtype in (B, "uint8", "int32", L):
        x = make(tg, dtype, 1)
        assert (tg.sum(x).dtype, tg.sum(x).item()) == (L, 2)
        assert tg.cumsum(x, 0).dtype == L


def test_default_type_decides():
    tg.set_default_dtype(tg.float64)
    one = tg.tensor([1])
    assert (one / one).dtype == (one * 0.5).dtype == tg.exp(one).dtype == D
    assert (make(tg, F, 1) * 0.5).dtype == F


def test_values_survive_the_change_of_type():
    big = 2**24 + 1  # not a float32
    assert tg.tensor([big]).double().item() == big
    assert tg.tensor([big]).to(tg.float64).long().item() == big
    assert (tg.tensor([big]) // 1).item() == big
    assert (tg.tensor([1, 2]) / tg.tensor([4, 4])).tolist() == [0.25, 0.5]
    assert (tg.tensor([True, False]) * 0.5).tolist() == [0.5, 0]


def test_gradients_take_the_type_of_their_input():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    scale = tg.tensor(3.0, dtype=tg.float64, requires_grad=True)
    y = x * scale + tg.tensor([1, 2])
    assert y.dtype == F
    y.sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (F, [3, 3])
    assert (scale.grad.dtype, scale.grad.item()) == (D, 3)


def test_conversions_carry_gradients_among_floats_only():
    x = tg.tensor([1.5], requires_grad=True)
    x.double().mul(2).backward(tg.tensor([1.0]))
    assert (x.grad.dtype, x.grad.item()) == (F, 2)
    for y in (x.long(), x.int(), x.bool()):
        assert not y.requires_grad
    assert x.float() is x
    assert x.half().requires_grad


def arguments():
    tensors = [(dtype, dims) for dtype in DTYPES for dims in (0, 1)]
    for a, b in itertools.product(tensors + SCALARS, repeat=2):
        if not (a in SCALARS and b in SCALARS):
            yield a, b


@pytest.mark.peers
@pytest.mark.parametrize("name", OPERATIONS)
def test_result_types_as_pytorch(torch, name):
    wrong = []
    for a, b in arguments():
        if name in TENSORS_ONLY and (a in SCALARS or b in SCALARS):
            continue
        if name == "stack" and a[1] != b[1]:
            continue
        if name == "pow" and (a is True or (isinstance(a, tuple) and a[0] == B)):
            continue  # powers of bools are int8 in NumPy
        types = []
        for m in (torch, tg):
            x, y = (make(m, *z) if isinstance(z, tuple) else z for z in (a, b))
            try:
                types.append(dtype_of(OPERATIONS[name](m, x, y)))
            except (RuntimeError, NotImplementedError):
                types.append("refused")
        if types[0] not in (types[1], "refused"):
            wrong.append((a, b, *types))
    assert not wrong


@pytest.mark.peers
@pytest.mark.parametrize("name", FUNCTIONS)
def test_function_types_as_pytorch(torch, name):
    def types(m):
        x = [make(m, dtype, 1) for dtype in DTYPES[1:]]
        return [dtype_of(getattr(m, name)(*((x, 0) if name == "cumsum" else (x,)))) for x in x]

    assert types(tg) == types(torch)
