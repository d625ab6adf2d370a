"""Writing in place: outside the graph as PyTorch does; where it would need recording, refused."""

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
}
EXPECTED = {
    "add_": [3, 4, 6], "add_ alpha": [1.5, 3, 6], "sub_": [0.5, 1.5, 3.5], "sub_ alpha": [-1, 0, 2],
    "mul_": [1, 4, 16], "div_": [0.5, 1, 2], "addcmul_": [1.5, 4, 12],
    "addcdiv_": [1.25, 2.25, 4.25], "lerp_": [1.5, 3, 6], "copy_": [2, 4, 8], "zero_": [0, 0, 0],
    "fill_": [3, 3, 3], "clamp_": [1.5, 2, 3], "clip_": [2, 2, 4], "exp_": np.exp([1, 2, 4]),
    "sqrt_": np.sqrt([1, 2, 4]), "neg_": [-1, -2, -4], "masked_fill_": [1, 2, 9],
    "setitem": [7, 2, 4],
}  # fmt: skip

forms = pytest.mark.parametrize("name", FORMS)
RANDOM = {"uniform_": lambda x: x.uniform_(), "normal_": lambda x: x.normal_()}


def start(m=tg, **kwargs):
    return m.tensor([1.0, 2.0, 4.0], **kwargs)


def test_table_holds_every_form():
    from tinygrad_opt.inplace import InPlace

    public = {name for name in vars(InPlace) if name.endswith("_") and not name.startswith("_")}
    assert public - {"detach_"} == {name.split()[0] for name in FORMS | RANDOM} - {"setitem"}


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


def test_writes_that_would_have_to_be_recorded_are_refused():
    w = tg.ones(3, requires_grad=True)
    message = "would have to be recorded, which is not supported"
    for write in (
        lambda: start().add_(w),
        lambda: start().copy_(w),
        lambda: start().__setitem__(0, w[0]),
        lambda: start().masked_fill_(tg.ones(3) > 0, w[0]),
        lambda: (w * 2).mul_(3),
        lambda: (w * 2).zero_(),
    ):
        with pytest.raises(RuntimeError, match=message):
            write()


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


def test_operators_make_a_new_tensor_inside_the_graph():
    w = tg.tensor([2.0], requires_grad=True)
    total = tg.zeros(1)
    before = total
    for _ in range(3):
        total += w * w
    assert before.item() == 0
    total *= w
    total -= w
    total /= 2
    total.backward()
    assert w.grad.item() == (9 * 4 - 1) / 2


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
