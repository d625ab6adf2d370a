"""Writing in place outside the graph; inside it see `autograd/test_recorded_writes.py`."""

import numpy as np
import pytest

import tinygrad_opt as tg

FORMS = {
    "add_": lambda x: x.add_(2),
    "add_ alpha": lambda x: x.add_(x.clone(), alpha=0.5),
    "sub_": lambda x: x.sub_(0.5),
    "sub_ alpha": lambda x: x.sub_(1, alpha=2),
    "mul_": lambda x: x.mul_(x.clone()),
    "div_": lambda x: x.div_(2),
    "addcmul_": lambda x: x.addcmul_(x.clone(), x.clone(), value=0.5),
    "addcdiv_": lambda x: x.addcdiv_(x.clone(), x.clone() * 2, value=0.5),
    "lerp_": lambda x: x.lerp_(x * 3, 0.25),
    "copy_": lambda x: x.copy_(x * 2),
    "zero_": lambda x: x.zero_(),
    "fill_": lambda x: x.fill_(3),
    "clamp_": lambda x: x.clamp_(1.5, 3),
    "clip_": lambda x: x.clip_(min=2),
    "exp_": lambda x: x.exp_(),
    "sqrt_": lambda x: x.sqrt_(),
    "neg_": lambda x: x.neg_(),
    "masked_fill_": lambda x: x.masked_fill_(x > 2, 9),
    "setitem": lambda x: x.__setitem__(0, 7) or x,
    "fill_diagonal_": lambda x: x.view(1, 3).fill_diagonal_(7) is None or x,
}
EXPECTED = {
    "add_": [3, 4, 6], "add_ alpha": [1.5, 3, 6], "sub_": [0.5, 1.5, 3.5], "sub_ alpha": [-1, 0, 2],
    "mul_": [1, 4, 16], "div_": [0.5, 1, 2], "addcmul_": [1.5, 4, 12],
    "addcdiv_": [1.25, 2.25, 4.25], "lerp_": [1.5, 3, 6], "copy_": [2, 4, 8], "zero_": [0, 0, 0],
    "fill_": [3, 3, 3], "clamp_": [1.5, 2, 3], "clip_": [2, 2, 4], "exp_": np.exp([1, 2, 4]),
    "sqrt_": np.sqrt([1, 2, 4]), "neg_": [-1, -2, -4], "masked_fill_": [1, 2, 9],
    "setitem": [7, 2, 4], "fill_diagonal_": [7, 2, 4],
}  # fmt: skip

forms = pytest.mark.parametrize("name", FORMS)
RANDOM = {"uniform_": lambda x: x.uniform_(), "normal_": lambda x: x.normal_()}


def start(m=tg, **kwargs):
    return m.tensor([1.0, 2.0, 4.0], **kwargs)


def test_table_holds_every_form():
    from tinygrad_opt.tensors.inplace import FORMS as SAME_AS_METHODS
    from tinygrad_opt.tensors.inplace import RANDOM_FORMS, SHAPE_FORMS, InPlace

    public = {name for name in vars(InPlace) if name.endswith("_") and not name.startswith("_")}
    public -= {f"{name}_" for name in (*SAME_AS_METHODS, *RANDOM_FORMS, *SHAPE_FORMS)}
    same = {"subtract_", "multiply_", "divide_", "true_divide_"}
    tested = {name.split()[0] for name in FORMS | RANDOM}
    assert public - {"detach_"} - same <= tested
    for name in SAME_AS_METHODS:
        assert callable(getattr(tg.Tensor, name))


ARGUMENTS = {  # what the methods take, where it is not nothing or a number
    "addbmm": lambda m, x: (m.ones(2, 3, 1), m.ones(2, 1, 3)),
    "addmm": lambda m, x: (m.ones(3, 1), m.ones(1, 3)), "addr": lambda m, x: (x[:, 0], x[0]),
    "addmv": lambda m, x: (m.ones(3, 2), m.ones(2)),
    "baddbmm": lambda m, x: (m.ones(1, 3, 1), m.ones(1, 1, 3)),
    "addcdiv": lambda m, x: (x, x), "addcmul": lambda m, x: (x, x), "clamp": lambda m, x: (1.5, 3),
    "clip": lambda m, x: (1.5, 3), "cumprod": lambda m, x: (0,), "cumsum": lambda m, x: (0,),
    "index_add": lambda m, x: (0, m.tensor([0, 2]), x[:2]),
    "index_copy": lambda m, x: (0, m.tensor([0, 2]), x[:2]),
    "index_fill": lambda m, x: (0, m.tensor([0, 2]), 7.0),
    "index_put": lambda m, x: ((m.tensor([0, 2]),), x[:2]),
    "masked_scatter": lambda m, x: (x > 1.5, x * 2), "lerp": lambda m, x: (x * 3, 0.25),
    "scatter": lambda m, x: (0, m.tensor([0, 2]), x[1:]),
    "scatter_add": lambda m, x: (0, m.tensor([0, 2]), x[1:]),
    "scatter_reduce": lambda m, x: (0, m.tensor([0, 2]), x[1:], "sum"),
    "swapaxes": lambda m, x: (0, 0), "swapdims": lambda m, x: (0, 0),
    "unsqueeze": lambda m, x: (0,), "transpose": lambda m, x: (0, 0),
    "mvlgamma": lambda m, x: (1,), "polygamma": lambda m, x: (1,),
    "nan_to_num": lambda m, x: (), "round": lambda m, x: (), "squeeze": lambda m, x: (),
    "logit": lambda m, x: (0.1,), "put": lambda m, x: (m.tensor([2, 0]), x[:2]),
    "index_reduce": lambda m, x: (0, m.tensor([0, 2]), x[1:], "prod"),
    "renorm": lambda m, x: (2, 0, 1.5),
}  # fmt: skip
NEED_ANOTHER = {
    "arctan2", "atan2", "copysign", "floor_divide", "fmod", "heaviside", "hypot", "remainder",
    "xlogy", "eq", "ge", "greater", "greater_equal", "gt", "le", "less", "less_equal", "lt", "ne",
    "not_equal", "logical_and", "logical_or", "logical_xor", "clamp_max", "clamp_min", "pow",
    "igamma", "igammac", "ldexp", "nextafter",
}  # fmt: skip
INTEGERS = {
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "gcd", "lcm",
}  # fmt: skip


def _form_names():
    from tinygrad_opt.tensors.inplace import FORMS as SAME_AS_METHODS
    from tinygrad_opt.tensors.inplace import SHAPE_FORMS

    return [*SAME_AS_METHODS, *SHAPE_FORMS]


def call(m, name, method):
    integers = name in INTEGERS
    x = m.tensor([1, 2, 4]) if integers else start(m)
    if name in ("acos", "arccos", "arcsin", "arctanh", "asin", "atanh", "erfinv", "logit"):
        x = x / 8
    if name in ("tril", "triu", "t", "renorm"):
        x = x.reshape(1, 3)
    if name in ("addbmm", "addmm", "addr", "baddbmm"):
        x = x.expand(3, 3).clone() if name != "baddbmm" else x.expand(1, 3, 3).clone()
    if name in ARGUMENTS:
        arguments = ARGUMENTS[name](m, x.clone())
    elif name in NEED_ANOTHER or (integers and name != "bitwise_not"):
        arguments = (m.tensor([2, 2, 3]) if integers else m.tensor([2.0, 2.0, 3.0]),)
    else:
        arguments = ()
    return x, getattr(x, method)(*arguments)


@pytest.mark.parametrize("name", _form_names())
def test_forms_are_the_methods_in_place(name):
    _, expected = call(tg, name, name)
    x, result = call(tg, name, f"{name}_")
    assert result is x
    assert x.shape == expected.shape
    np.testing.assert_array_equal(x.array, expected.array.astype(x.array.dtype))


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", _form_names())
def test_forms_as_pytorch(torch, name):
    ours, theirs = (call(m, name, f"{name}_")[1] for m in (tg, torch))
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.array, theirs.numpy(), rtol=1e-5, atol=1e-6)


@forms
def test_writes_to_the_same_memory(name):
    x = start()
    array = x.array
    assert FORMS[name](x) is x
    assert x.array is array
    np.testing.assert_allclose(array, EXPECTED[name], rtol=1e-6)


@pytest.mark.peers
@forms
def test_as_pytorch(torch, name):
    np.testing.assert_allclose(
        FORMS[name](start()).array, FORMS[name](start(torch)).numpy(), rtol=1e-6
    )


@pytest.mark.parametrize("name", FORMS | RANDOM)
def test_leaves_are_refused_unless_under_no_grad(name):
    form = (FORMS | RANDOM)[name]
    x = start(requires_grad=True)
    message = "a leaf Variable that requires grad is being used in an in-place operation"
    with pytest.raises(RuntimeError, match=message):
        form(x)
    assert x.tolist() == [1, 2, 4]
    with tg.no_grad():
        form(x)
    assert x.tolist() != [1, 2, 4]
    assert x.requires_grad
    assert x.is_leaf


def test_operators_write_outside_the_graph():
    x = start()
    same, array = x, x.array
    x += 1
    x -= tg.ones(3)
    x *= 6
    x /= 3
    assert x is same
    assert x.array is array
    assert x.tolist() == [2, 4, 8]


def test_operators_on_leaves_are_refused():
    w = tg.tensor([2.0], requires_grad=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        w += 1
    with tg.no_grad():
        w -= 0.5
    assert (w.item(), w.requires_grad) == (1.5, True)


def test_setitem():
    x = tg.zeros(3, 2)
    x[0] = 1
    x[1, 1] = tg.tensor(5)
    x[x == 0] = -1
    x[tg.tensor([2]), 0] = 7
    x[[2], [1]] = np.float64(8)
    x[..., None] *= 2
    assert x.tolist() == [[2, 2], [-2, 10], [14, 16]]


def test_types_and_shapes():
    x = tg.ones(2, dtype=tg.int64)
    x.add_(2)
    x.fill_(2.9)
    assert x.tolist() == [2, 2]
    y = tg.ones(2)
    y.add_(tg.ones(2, dtype=tg.float64)).mul_(tg.tensor([2]))
    assert (y.dtype, y.tolist()) == (tg.float32, [4, 4])
    assert tg.zeros(2, 3).copy_(tg.arange(3)).tolist() == [[0, 1, 2]] * 2


def test_detach_():
    w = tg.ones(2, requires_grad=True)
    y = w * 2
    assert y.detach_() is y
    assert not y.requires_grad
    assert y.is_leaf
    z = w * 2
    with pytest.raises(RuntimeError, match="Can't detach views in-place"):
        z[:1].detach_()
    assert z.requires_grad


def test_data_and_views_of_single_elements():
    w = tg.ones(2, 2, requires_grad=True)
    w.data.add_(1)
    w.data[0] = 5
    with tg.no_grad():
        w[1, 1].fill_(7)
        w[0][1].add_(1)
    assert w.tolist() == [[5, 6], [2, 7]]
