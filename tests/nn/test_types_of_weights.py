"""Layers whose weight or bias is of another type than the input, or of an unusual shape."""

import pytest

import tinygrad_opt as tg
from tinygrad_opt import autograd
from tinygrad_opt.nn import functional as F


def ones(m, *shape, dtype="float32"):
    return m.ones(*shape, dtype=getattr(m, dtype))


def with_weight(m, layer, name, dtype="float64"):
    weight = getattr(layer, name)
    setattr(layer, name, m.nn.Parameter(ones(m, *weight.shape, dtype=dtype)))
    return layer


# What a bias or weight of another type is told, in both libraries.
SAME = "must have the same dtype, but got"
REFUSED = {
    "linear": (SAME, lambda m, x: F_of(m).linear(ones(m, 2, 3), ones(m, 4, 3), ones(m, 4, **x))),
    "linear of stacks": (
        SAME, lambda m, x: F_of(m).linear(ones(m, 5, 2, 3), ones(m, 4, 3), ones(m, 4, **x))
    ),
    "Linear": (SAME, lambda m, x: with_weight(m, m.nn.Linear(3, 4), "bias", **x)(ones(m, 2, 3))),
    "bilinear": (
        "All tensors must have the same dtype, got input1: float, input2: float, weight: float, ",
        lambda m, x: F_of(m).bilinear(
            ones(m, 2, 3), ones(m, 2, 3), ones(m, 4, 3, 3), ones(m, 4, **x)
        ),
    ),
    "conv1d": (
        "should be the same",
        lambda m, x: F_of(m).conv1d(ones(m, 1, 2, 5), ones(m, 4, 2, 3), ones(m, 4, **x)),
    ),
    "layer_norm": (
        "mixed dtype|expected scalar type Float but found",
        lambda m, x: F_of(m).layer_norm(ones(m, 2, 4), (4,), ones(m, 4), ones(m, 4, **x)),
    ),
    "group_norm, bias": (
        "mixed dtype|expected scalar type Float but found",
        lambda m, x: F_of(m).group_norm(ones(m, 2, 4, 3), 2, ones(m, 4), ones(m, 4, **x)),
    ),
    "group_norm, weight": (
        "mixed dtype",
        lambda m, x: F_of(m).group_norm(ones(m, 2, 4, 3), 2, ones(m, 4, **x)),
    ),
    "batch_norm": (
        "mixed dtype|expected scalar type Float but found",
        lambda m, x: F_of(m).batch_norm(
            ones(m, 2, 4), ones(m, 4), ones(m, 4), ones(m, 4), ones(m, 4, **x)
        ),
    ),
    "prelu": (
        "Type promoting not supported. Got Float and ",
        lambda m, x: F_of(m).prelu(ones(m, 2, 4), ones(m, 4, **x)),
    ),
    **{
        name: (
            f"{SAME}|get_mkldnn_dtype",
            lambda m, x, name=name: with_weight(m, getattr(m.nn, name)(3, 4), "bias_hh_l0", **x)(
                ones(m, 2, 1, 3)
            ),
        )
        for name in ("RNN", "LSTM", "GRU")
    },
    **{
        name: (
            SAME,
            lambda m, x, name=name: with_weight(m, getattr(m.nn, name)(3, 4), "bias_ih", **x)(
                ones(m, 2, 3)
            ),
        )
        for name in ("RNNCell", "LSTMCell", "GRUCell")
    },
}  # fmt: skip


def F_of(m):
    return m.nn.functional


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize(("text", "call"), REFUSED.values(), ids=REFUSED)
def test_other_types_are_refused(text, call, dtype):
    with pytest.raises(RuntimeError, match=text):
        call(tg, {"dtype": dtype})


@pytest.mark.peers
@pytest.mark.parametrize(("text", "call"), REFUSED.values(), ids=REFUSED)
def test_other_types_are_refused_by_pytorch(torch, text, call):
    with pytest.raises(RuntimeError, match=text):
        call(torch, {"dtype": "float64"})


# float16 inputs, with a weight and bias of these types: only the first two are taken.
HALVES = [("float16", "float16", True), ("float32", "float32", True),
          ("float32", "float16", False), ("float16", "float32", False)]  # fmt: skip


def of_halves(m, weight, bias):
    x, w, b = (ones(m, 2, 4, dtype="float16"), ones(m, 4, dtype=weight), ones(m, 4, dtype=bias))
    return F_of(m).layer_norm(x, (4,), w, b)


def takes_halves(m, weight, bias, taken):
    if taken:
        assert of_halves(m, weight, bias).dtype == m.float16
    else:
        with pytest.raises(RuntimeError, match=r"mixed dtype|expected scalar type"):
            of_halves(m, weight, bias)


@pytest.mark.parametrize(("weight", "bias", "taken"), HALVES)
def test_norms_of_halves(weight, bias, taken):
    takes_halves(tg, weight, bias, taken)


@pytest.mark.peers
@pytest.mark.parametrize(("weight", "bias", "taken"), HALVES)
def test_norms_of_halves_as_pytorch(torch, weight, bias, taken):
    takes_halves(torch, weight, bias, taken)


def test_linear_names_both_types():
    with pytest.raises(RuntimeError, match=r"but got Half and Double \(bias and weight\)"):
        F.linear(tg.ones(2, 3).double(), tg.ones(4, 3).double(), tg.ones(4).half())


def whole_numbers(m, call):
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        call(F_of(m), m.ones(2, 4, dtype=m.int64), m.ones(4, dtype=m.int64))


INTEGERS = {
    "layer_norm": lambda f, x, w: f.layer_norm(x, (4,), w, w),
    "group_norm": lambda f, x, w: f.group_norm(x, 2, w, w),
    "batch_norm": lambda f, x, w: f.batch_norm(x, w, w, w, w),
    "rms_norm": lambda f, x, w: f.rms_norm(x, (4,), w),
    "prelu": lambda f, x, w: f.prelu(x, w),
}


@pytest.mark.parametrize("call", INTEGERS.values(), ids=INTEGERS)
def test_norms_of_integers(call):
    whole_numbers(tg, call)


@pytest.mark.peers
@pytest.mark.parametrize("call", INTEGERS.values(), ids=INTEGERS)
def test_norms_of_integers_in_pytorch(torch, call):
    whole_numbers(torch, call)


# What is computed in the wider type --------------------------------------------------------------


def test_rms_norm_has_the_type_of_its_input():
    x, w = tg.tensor([[3.0, 4.0]], dtype=tg.float64), tg.tensor([1.0, 2.0], requires_grad=True)
    y = F.rms_norm(x, (2,), w, 0.0)
    assert y.dtype == tg.float64
    assert y[0].tolist() == pytest.approx([3 / 12.5**0.5, 8 / 12.5**0.5])
    y.sum().backward()
    assert w.grad.dtype == tg.float32
    assert w.grad.tolist() == pytest.approx([3 / 12.5**0.5, 4 / 12.5**0.5])
    narrow = F.rms_norm(x.float(), (2,), w.double(), 0.0)
    assert narrow.dtype == tg.float32


@pytest.mark.parametrize(
    ("types", "result"),
    [(("float64", "float32", "float32"), "float64"), (("float32", "int64", "float64"), "float64"),
     (("int64", "float16", "int64"), "float16"), (("int64", "int64", "int64"), "int64")],
)  # fmt: skip
def test_addr_takes_what_is_of_several_types(types, result):
    a, b, c = (ones(tg, 2, dtype=dtype) for dtype in types)
    y = tg.addr(a, b, c)
    assert y.dtype == getattr(tg, result)
    assert y.tolist() == [[2, 2], [2, 2]]


# The bias of `linear` may be whatever broadcasts -------------------------------------------------

BIASES = [
    ((2, 3), [(), (1,), (4,), (1, 4), (2, 1), (2, 4), (1, 1)]),
    ((3,), [(), (4,), (1, 4)]),
    ((5, 2, 3), [(4,), (1, 4), (2, 4), (5, 2, 4), (5, 1, 4), (1, 1)]),
]


@pytest.mark.parametrize(
    ("shape", "bias"), [(shape, bias) for shape, biases in BIASES for bias in biases]
)
def test_bias_that_broadcasts(shape, bias):
    x, w, b = (tg.randn(s, dtype=tg.float64, requires_grad=True) for s in (shape, (4, 3), bias))
    assert autograd.gradcheck(F.linear, (x, w, b))
    assert autograd.gradgradcheck(F.linear, (x, w, b))
    expected = x @ w.T + (b.reshape(-1) if len(shape) == 1 else b)
    assert tg.allclose(F.linear(x, w, b), expected)


@pytest.mark.peers
@pytest.mark.parametrize(
    ("shape", "bias"), [(shape, bias) for shape, biases in BIASES for bias in biases]
)
def test_bias_that_broadcasts_as_pytorch(torch, shape, bias):
    def gradients(m):
        arrays = [m.arange(m.ones(s).numel()).reshape(s).double() for s in (shape, (4, 3), bias)]
        leaves = [a.requires_grad_() for a in arrays]
        y = F_of(m).linear(*leaves)
        (y * y).sum().backward()
        return [y.tolist(), *(leaf.grad.tolist() for leaf in leaves)]

    assert gradients(tg) == gradients(torch)


@pytest.mark.parametrize(
    ("shape", "bias"), [((2, 3), (5,)), ((2, 3), (5, 4)), ((1, 3), (2, 4)), ((5, 2, 3), (3, 4))]
)
def test_bias_that_does_not_broadcast(shape, bias):
    with pytest.raises(RuntimeError):
        F.linear(tg.ones(*shape), tg.ones(4, 3), tg.ones(*bias))


def test_bias_that_broadcasts_in_a_compiled_step():
    w, b = tg.ones(4, 3, requires_grad=True), tg.ones(2, 4, requires_grad=True)

    def step(x):
        b.grad = None
        (F.linear(x, w, b) ** 2).sum().backward()
        return b.grad

    compiled = tg.compile(step)
    x = tg.arange(6.0).reshape(2, 3)
    for _ in range(4):
        assert compiled(x).tolist() == step(x).tolist() == [[8.0] * 4, [26.0] * 4]
