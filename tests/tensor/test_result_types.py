"""Result types and values of two operands: dimensioned tensors, 0-d tensors, Python numbers.

The first kind decides; the others change the type only if theirs is higher (bool, integer, float).
`test_promotion.py` holds the rules for floats.
"""

import itertools
import operator
import threading

import numpy as np
import pytest

import tinygrad_opt as tg

V, S = [1, 2, 100], -7  # a vector and a 0-d tensor


def make(m, spec):
    """("int8", [1, 2]) as a tensor, numbers as they are."""
    return m.tensor(spec[1], dtype=getattr(m, spec[0])) if isinstance(spec, tuple) else spec


def at(name):
    return lambda m, a, b: getattr(m, name)(a, b)


def op(name):
    return lambda m, a, b: getattr(operator, name)(a, b)


def inplace(name):
    def call(m, a, b):
        a = a.clone()
        getattr(a, name)(b)
        return a

    return call


# operation, operands, dtype and values of the result
def functional(name):
    return lambda m, a, b: getattr(m.nn.functional, name)(a, b)


GOLDEN = [
    # a 0-d integer tensor counts by its kind alone, and wraps round
    (op("add"), ("int8", V), ("int64", 100), "int8", [101, 102, -56]),
    (op("add"), ("uint8", V), ("int8", S), "uint8", [250, 251, 93]),
    (op("mul"), ("int16", V), ("int32", 1000), "int16", [1000, 2000, -31072]),
    (op("add"), ("int8", V), ("uint8", V), "int16", [2, 4, 200]),
    (op("floordiv"), ("uint8", V), ("int16", 2), "uint8", [0, 1, 50]),
    (op("mod"), ("int8", V), ("int64", 7), "int8", [1, 2, 2]),
    (op("pow"), ("int8", V), ("int64", 2), "int8", [1, 4, 16]),
    (op("and_"), ("uint8", V), ("int64", 6), "uint8", [0, 2, 4]),
    (op("lshift"), ("uint8", V), ("int64", 2), "uint8", [4, 8, 144]),
    (at("maximum"), ("uint8", V), ("int64", 2), "uint8", [2, 2, 100]),
    (at("fmin"), ("uint8", V), ("int64", 2), "uint8", [1, 2, 2]),
    (at("gcd"), ("int8", V), ("int64", 50), "int8", [1, 2, 50]),
    (lambda m, a, b: m.clamp(a, min=b), ("uint8", V), ("int64", 2), "uint8", [2, 2, 100]),
    (lambda m, a, b: m.where(a > 1, a, b), ("uint8", V), ("int64", 5), "uint8", [5, 2, 100]),
    (lambda m, a, b: m.stack([a, b]), ("int8", [1]), ("uint8", [2]), "int16", [[1], [2]]),
    # floats of higher kinds bring in their type
    (op("add"), ("int8", V), ("float32", 0.5), "float32", [1.5, 2.5, 100.5]),
    (op("add"), ("int8", V), ("float16", 0.5), "float16", [1.5, 2.5, 100.5]),
    (op("add"), ("float16", V), ("float32", 0.5), "float16", [1.5, 2.5, 100.5]),
    (op("mul"), ("float16", V), ("float64", 0.5), "float16", [0.5, 1, 50]),
    (op("add"), ("int16", V), ("float16", V), "float16", [2, 4, 200]),
    (op("truediv"), ("int16", V), ("float16", V), "float16", [1, 1, 1]),
    (lambda m, a, b: m.cat([a, b]), ("int16", [1]), ("float16", [2]), "float16", [1, 2]),
    (at("xlogy"), ("int8", [1, 0]), 1, "float32", [0, 0]),
    (functional("huber_loss"), ("float32", V), ("float64", V), "float32", 0),
    (functional("huber_loss"), ("float64", V), ("float32", V), "float64", 0),
    (functional("mse_loss"), ("float32", V), ("int64", V), "float32", 0),
    (lambda m, a, b: m.nn.functional.soft_margin_loss(a * 0, b) > 0, ("float32", V),
     ("bool", [0, 0, 0]), "bool", True),
    # Python numbers
    (op("add"), ("uint8", [1, 2]), -1, "uint8", [0, 1]),
    (op("sub"), ("uint8", [1, 2]), 300, "uint8", [213, 214]),
    (op("mul"), ("int8", [1, 2]), 300, "int8", [44, 88]),
    (op("xor"), ("uint8", [1, 2]), -1, "uint8", [254, 253]),
    (op("sub"), -1, ("uint8", [1, 2]), "uint8", [254, 253]),
    (op("mul"), ("int64", [1, 2]), 2.5, "float32", [2.5, 5]),
    (op("mul"), ("int8", [1, 2]), np.int64(2), "int8", [2, 4]),
    (op("lshift"), 1, ("int8", [1, 2]), "int8", [2, 4]),
    (op("rshift"), 8, ("uint8", [1, 2]), "uint8", [4, 2]),
    (op("lt"), ("uint8", [1, 2]), 300, "bool", [True, True]),
    (op("gt"), ("uint8", [1, 2]), -1, "bool", [True, True]),  # exact, where PyTorch compares 255
    (op("lt"), ("uint8", [1, 2]), ("int8", -1), "bool", [True, True]),  # 255, as PyTorch
    (op("eq"), ("int64", [2**24 + 1]), ("float32", [2.0**24]), "bool", [True]),  # in float32
    # powers of integers
    (op("pow"), ("int64", [-1, 1, 0, 2, -1]), ("int64", [-1, -2, 2, -1, -2]), "int64",
     [-1, 1, 0, 0, 1]),
    (op("pow"), ("bool", [True, False]), 2, "int64", [1, 0]),
    (op("pow"), ("bool", [True, False]), ("uint8", [2, 0]), "uint8", [1, 1]),
    (lambda m, a, b: m.square(a), ("bool", [True, False]), None, "int64", [1, 0]),
    # factors come after the promotion
    (lambda m, a, b: m.add(a, b, alpha=2), ("int8", V), ("uint8", V), "int16", [3, 6, 300]),
    (lambda m, a, b: m.add(a, b, alpha=2), ("bool", [True, False]), ("bool", [False, False]),
     "bool", [True, False]),
    (lambda m, a, b: m.addcmul(a, a, b), ("int8", V), ("uint8", V), "int16", [2, 6, 10100]),
    (lambda m, a, b: m.div(a, b, rounding_mode="trunc"), ("float64", [1.0, -0.4]),
     ("float64", [0.1, 1.0]), "float64", [10, 0]),
    # in place: the type stays, values wrap round
    (inplace("add_"), ("uint8", [1, 2]), -1, "uint8", [0, 1]),
    (inplace("mul_"), ("uint8", V), ("int16", [300, 2, 3]), "uint8", [44, 4, 44]),
    (inplace("sub_"), ("float16", V), ("float64", 0.5), "float16", [0.5, 1.5, 99.5]),
    (inplace("clamp_min_"), ("uint8", V), ("int16", [3, 3, 3]), "uint8", [3, 3, 100]),
    (inplace("fill_"), ("uint8", V), -1, "uint8", [255] * 3),
    (inplace("__ifloordiv__"), ("int64", V), 2, "int64", [0, 1, 50]),
    (inplace("__imod__"), ("int8", V), 7, "int8", [1, 2, 2]),
    (inplace("__ipow__"), ("float32", V), 2, "float32", [1, 4, 10000]),
    (inplace("__iand__"), ("uint8", V), 3, "uint8", [1, 2, 0]),
    (inplace("__ior__"), ("uint8", V), 3, "uint8", [3, 3, 103]),
    (inplace("__ixor__"), ("uint8", V), 3, "uint8", [2, 1, 103]),
    (inplace("__ilshift__"), ("uint8", V), 1, "uint8", [2, 4, 200]),
    (inplace("__irshift__"), ("uint8", V), 1, "uint8", [0, 1, 50]),
    # sums in the type that was asked for
    (lambda m, a, b: m.sum(a, dtype=m.int8), ("int64", [100, 100]), None, "int8", -56),
    (lambda m, a, b: m.sum(a, dtype=m.bool), ("int64", [100, 100]), None, "bool", True),
    (lambda m, a, b: m.cumsum(a, 0, dtype=m.int8), ("int64", [100, 100]), None, "int8", [100, -56]),
    (lambda m, a, b: m.prod(a, dtype=m.int16), ("int8", [100, 100]), None, "int16", 10000),
    (lambda m, a, b: m.trace(a), ("uint8", [[200, 0], [0, 100]]), None, "int64", 300),
    (lambda m, a, b: m.sign(a), ("bool", [True, False]), None, "bool", [True, False]),
    (lambda m, a, b: m.logit(a), ("uint8", [0, 1]), None, "float32", [-np.inf, np.inf]),
    # what is computed from float16 stays so
    (lambda m, a, b: m.erf(a), ("float16", [0.0]), None, "float16", [0]),
    (lambda m, a, b: m.digamma(a), ("float16", [np.inf]), None, "float16", [np.inf]),
    (lambda m, a, b: m.full_like(a, -1), ("uint8", [1, 2]), None, "uint8", [255, 255]),
    (lambda m, a, b: m.masked_fill(a, a > 1, 2.9), ("int64", [1, 2]), None, "int64", [1, 2]),
    # numbers are cut to the type, or taken for numbers, where PyTorch does
    (lambda m, a, b: m.nn.functional.threshold(a, 1.5, b), ("int32", [1, 2]), 7.5, "int32", [7, 2]),
    (lambda m, a, b: m.nn.functional.threshold(a, -1.5, b), ("int8", [-1, 2]), 7, "int8", [7, 2]),
    (lambda m, a, b: m.nn.functional.hardtanh(a, -1.5, b), ("int64", [-3, 9]), 2.5, "int64",
     [-1, 2]),
    (lambda m, a, b: m.addcmul(a, a, a, value=b), ("int32", [1, 2]), 1.5, "int32", [2, 6]),
    (lambda m, a, b: m.addcmul(a, a, a, value=b), ("int32", [1, 2]), False, "int32", [1, 2]),
    (lambda m, a, b: m.add(a, b, alpha=True), ("bool", [True, False]), ("bool", [False, False]),
     "bool", [True, False]),
    (lambda m, a, b: m.add(a, a, alpha=b), ("complex64", [1, 2j]), 1.5, "complex64", [2.5, 5j]),
    (lambda m, a, b: m.masked_fill(a, a == 1, b), ("complex64", [1, 2]), 1.5, "complex64",
     [1.5, 2]),
    (lambda m, a, b: m.addbmm(a, b, b), ("int32", [[1]]), ("int32", [[[2]], [[3]]]), "int32",
     [[14]]),
    (lambda m, a, b: m.addbmm(a, b, b), ("uint8", [[1]]), ("uint8", [[[2]], [[20]]]), "uint8",
     [[149]]),
    (lambda m, a, b: m.nn.functional.mse_loss(a, b, reduction="sum"), ("bool", [True, False]),
     ("float32", [0.5, 0.5]), "float32", 0.5),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(GOLDEN)))
def test_golden(row):
    call, a, b, dtype, values = GOLDEN[row]
    y = call(tg, make(tg, a), make(tg, b))
    assert (y.dtype, y.tolist()) == (getattr(tg, dtype), values)


def test_in_place_operators_write_to_the_memory():
    x = tg.tensor([5, 7])
    y = x
    y //= 2
    y %= 2
    assert x is y
    assert x.tolist() == [0, 1]


def test_gradients_pass_the_promotion():
    x = tg.tensor([1.0, 2.0], dtype=tg.float16, requires_grad=True)
    scale = tg.tensor(3.0, requires_grad=True)
    y = x * scale
    assert y.dtype == tg.float16
    y.sum().backward()
    assert (x.grad.dtype, x.grad.tolist()) == (tg.float16, [3, 3])
    assert (scale.grad.dtype, scale.grad.item()) == (tg.float32, 3)


B2, I2, U2, F2 = ("bool", [True, False]), ("int64", [1, 2]), ("uint8", [1, 2]), ("float32", [1, 2])
FIT = "value cannot be converted to type uint8_t without overflow"
ERRORS = [
    (RuntimeError, "Subtraction, the `-` operator, with a bool tensor", op("sub"), B2, F2),
    (RuntimeError, "Subtraction, the `-` operator, with a bool tensor", op("sub"), 1, B2),
    (RuntimeError, "Subtraction, the `-` operator", op("sub"), B2, B2),
    (NotImplementedError, "not implemented for 'Bool'", op("pow"), B2, B2),
    (NotImplementedError, "not implemented for 'Bool'", op("mod"), B2, ("bool", [True, True])),
    (NotImplementedError, "lshift_cpu|left_shift_cpu", op("lshift"), B2, B2),
    (NotImplementedError, "gcd_cpu\" not implemented for 'Float'", at("gcd"), F2, I2),
    (NotImplementedError, "bitwise_and_cpu\" not implemented for 'Float'", op("and_"), F2, I2),
    (RuntimeError, "Integers to negative integer powers are not allowed", op("pow"), U2, -1),
    (RuntimeError, "Integers to negative integer powers are not allowed", op("pow"), I2, -1),
    (RuntimeError, FIT, op("pow"), U2, 300),
    (RuntimeError, FIT, inplace("fill_"), U2, 300),
    (RuntimeError, FIT, lambda m, a, b: m.clamp(a, min=b), U2, 300),
    (RuntimeError, FIT, lambda m, a, b: m.where(a > 1, a, b), U2, 300),
    (RuntimeError, FIT, lambda m, a, b: m.masked_fill(a, a > 1, b), U2, 300),
    (RuntimeError, FIT, lambda m, a, b: m.full_like(a, b), U2, 300),
    (RuntimeError, "to type int64_t without overflow", inplace("fill_"), I2, float("inf")),
    (RuntimeError, "to type c10::Half without", inplace("fill_"), ("float16", [1, 2]),
     1e10),
    (OverflowError, "int too big to convert", op("add"), U2, 2**70),
    (RuntimeError, "fill_ only supports 0-dimension value tensor but got", inplace("fill_"), I2,
     I2),
    (RuntimeError, "argument alpha must not be a floating point number",
     lambda m, a, b: m.add(a, b, alpha=2.5), I2, I2),
    (RuntimeError, "Boolean alpha only supported for Boolean results",
     lambda m, a, b: m.add(a, b, alpha=False), I2, I2),
    *(
        (RuntimeError, "Boolean alpha only supported for Boolean results", call, F2, F2)
        for call in (
            lambda m, a, b: m.add(a, b, alpha=True),
            lambda m, a, b: m.sub(a, b, alpha=True),
            lambda m, a, b: m.rsub(a, b, alpha=False),
            lambda m, a, b: m.add(a, 2, alpha=True),
            lambda m, a, b: a.clone().add_(b, alpha=True),
            lambda m, a, b: m._foreach_add([a], [b], alpha=True),
            lambda m, a, b: m.addr(a, a, b, alpha=True),
        )
    ),
    (RuntimeError, "Boolean beta only supported for Boolean results",
     lambda m, a, b: m.addr(a, a, b, beta=False), F2, F2),
    (RuntimeError, "cannot do hardtanh on an unsigned type with negative limits",
     functional("hardtanh"), U2, -1),
    (RuntimeError, FIT, lambda m, a, b: m.nn.functional.threshold(a, 1, b), U2, 300),
    (RuntimeError, "Integer division with addcdiv", lambda m, a, b: m.addcdiv(a, a, b), I2, I2),
    (RuntimeError, "Index put requires the source and destination dtypes match, got Float for the "
     "destination and Long", lambda m, a, b: m.index_put(a, (m.tensor([0, 1]),), b), F2, I2),
    (RuntimeError, "zero-dimensional tensor .at position 0. cannot be concatenated",
     lambda m, a, b: m.cat([a, b]), ("int64", 1), ("int64", 1)),
    (RuntimeError, "outer: Expected 1-D argument vec2, but got 0-D", at("outer"), F2,
     ("float32", 1.0)),
    (RuntimeError, "result type Float can't be cast to the desired output type Long",
     inplace("add_"), I2, F2),
    (RuntimeError, "result type Float can't be cast to the desired output type Long",
     inplace("div_"), I2, 2),
    (RuntimeError, "result type Byte can't be cast to the desired output type Bool",
     inplace("__ior__"), B2, U2),
    (NotImplementedError, "mse_cpu\" not implemented for 'Bool'",
     lambda m, a, b: m.nn.functional.mse_loss(a, b, reduction="sum"), B2, B2),
    (NotImplementedError, "mse_cpu\" not implemented for 'Long'",
     lambda m, a, b: m.nn.functional.mse_loss(a, b), I2, I2),
    (NotImplementedError, "smooth_l1_cpu\" not implemented for 'Long'",
     lambda m, a, b: m.nn.functional.smooth_l1_loss(a, b), I2, I2),
    (NotImplementedError, "huber_cpu\" not implemented for 'Long'",
     lambda m, a, b: m.nn.functional.huber_loss(a, b), I2, I2),
    (RuntimeError, "result type Float can't be cast to the desired output type Long",
     lambda m, a, b: m.nn.functional.huber_loss(a, b), I2, F2),
    (RuntimeError, "same dtype", at("matmul"), F2, ("float64", [1.0, 2.0])),
    (RuntimeError, "same dtype", lambda m, a, b: m.tensordot(a, b, dims=1), F2,
     ("float64", [1.0, 2.0])),
]  # fmt: skip


@pytest.mark.parametrize("row", range(len(ERRORS)))
def test_errors(row):
    kind, said, call, a, b = ERRORS[row]
    with pytest.raises(kind, match=said):
        call(tg, make(tg, a), make(tg, b))


@pytest.mark.peers
@pytest.mark.parametrize("row", [i for i, e in enumerate(ERRORS) if "dtype$" not in e[1]])
def test_errors_as_pytorch(torch, row):
    kind, said, call, a, b = ERRORS[row]
    with pytest.raises(kind, match=said):
        call(torch, make(torch, a), make(torch, b))


DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
SWEPT = {
    name: at(name)
    for name in (
        "add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "maximum",
        "minimum", "fmax", "fmin", "atan2", "hypot", "copysign", "logaddexp", "xlogy",
        "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift",
        "eq", "lt", "ge", "logical_and", "gcd", "lcm", "float_power", "clamp_min", "clamp_max",
    )
}  # fmt: skip
SWEPT |= {
    "where": lambda m, a, b: m.where(m.tensor([True, False]), a, b),
    "addcmul": lambda m, a, b: m.addcmul(a, b, b),
    "trunc": lambda m, a, b: m.div(a, b, rounding_mode="trunc"),
    "add_": inplace("add_"), "mul_": inplace("mul_"), "div_": inplace("div_"),
    "copy_": inplace("copy_"), "fill_": inplace("fill_"), "bitwise_or_": inplace("bitwise_or_"),
    "clamp_max_": inplace("clamp_max_"), "masked_fill": lambda m, a, b: m.masked_fill(a, a > 1, b),
}  # fmt: skip
OPERANDS = [(d, v) for d in DTYPES for v in ([1, 3], 2)] + [True, 2, -1, 300, 2.5]


def outcome(m, call, a, b):
    try:
        y = call(m, make(m, a), make(m, b))
    except (RuntimeError, NotImplementedError, TypeError):
        return "refused", None
    return str(y.dtype).removeprefix("torch."), np.array(y.tolist(), float)


@pytest.mark.peers
@pytest.mark.parametrize("name", SWEPT)
def test_every_pair_of_types_as_pytorch(torch, name):
    wrong = []
    for a, b in itertools.product(OPERANDS, repeat=2):
        numbers = [x for x in (a, b) if not isinstance(x, tuple)]
        method = name.endswith("_") or name in ("masked_fill", "addcmul", "clamp_min", "clamp_max")
        if len(numbers) == 2 or (method and numbers and numbers[0] is a):
            continue
        if name in ("lt", "ge") and numbers in ([-1], [300]):
            continue  # compared exactly here
        if name in ("pow", "copy_") and numbers in ([True], [300]):
            continue  # refused here, as out of range
        theirs, ours = (outcome(m, SWEPT[name], a, b) for m in (torch, tg))
        if theirs[0] == "refused":
            continue  # some that PyTorch has no kernel for are computed here
        if ours[0] != theirs[0] or not np.allclose(ours[1], theirs[1], 2e-3, equal_nan=True):
            wrong.append((a, b, theirs, ours))
    assert not wrong


def test_integers_beyond_the_type_wrap_in_threads_too():
    """Operations of several threads get in each other's way, and are then called in another way."""
    found, failed = [], []

    def work():
        try:
            for _ in range(500):
                found.append((tg.tensor([1, 2], dtype=tg.uint8) + (-1)).tolist())
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert found == [[0, 1]] * 2000
