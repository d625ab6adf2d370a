"""What is not a Tensor is refused where PyTorch refuses it, and nothing hands NumPy back."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import functions, linalg, nn, ops
from tinygrad_opt.nn import functional as F
from tinygrad_opt.tensors import sampling

X = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
V = tg.tensor([1.0, 2.0])
WRONG = {
    "number": 1.0, "list": [1.0], "tuple": (1.0,), "array": np.ones(2), "NumPy number":
    np.float32(1), "None": None, "text": "a", "object": object(),
}  # fmt: skip
NUMBERS = ("number", "NumPy number")


def tensor_functions():
    """(name, function, first argument, whether that may be a number) of all that take a Tensor."""
    likes = ["zeros_like", "ones_like", "empty_like", "full_like"]
    spaces = [(tg, functions.__all__), (tg, sampling.__all__), (tg, likes), (F, F.__all__),
              (linalg, linalg.__all__)]  # fmt: skip
    for space, names in spaces:
        for name in names:
            function = getattr(space, name)
            if not inspect.isfunction(function):
                continue
            first = next(iter(inspect.signature(function).parameters.values()))
            operation = hasattr(function, "pair")
            if first.kind is first.VAR_POSITIONAL:
                continue  # whose messages speak of elements
            if operation or str(first.annotation) in ("Tensor", "Tensor | float"):
                either = str(first.annotation) == "Tensor | float"
                yield f"{space.__name__}.{name}", name, function, first.name, either or operation


FUNCTIONS = {full: rest for full, *rest in tensor_functions()}


def filled(function):
    """Something for each argument behind the first one that has to be given."""
    places, words = [], {}
    for p in list(inspect.signature(function).parameters.values())[1:]:
        if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD:
            tensor = "Tensor" in str(p.annotation) or hasattr(function, "pair")
            places.append([V] if "Sequence" in str(p.annotation) else V if tensor else 1)
        elif p.default is p.empty and p.kind is p.KEYWORD_ONLY:
            words[p.name] = True
    return places, words


def test_the_sweep_holds_what_it_should():
    assert len(FUNCTIONS) > 350
    named = {name for name, *_ in FUNCTIONS.values()}
    assert {"exp", "sum", "mul", "div", "relu", "conv2d", "cross_entropy", "inv", "sort"} <= named


@pytest.mark.parametrize("kind", WRONG)
def test_every_function_refuses_what_is_no_tensor(kind):
    for full, (name, function, first, either) in FUNCTIONS.items():
        if either and kind in NUMBERS:
            continue  # see the tables of numbers
        places, words = filled(function)
        with pytest.raises(TypeError) as caught:
            function(WRONG[kind], *places, **words)
        text = str(caught.value)
        assert f"argument '{first}' (position 1) must be Tensor, not " in text, (full, text)
        assert text.startswith(f"{name}(): "), (full, text)


def test_messages_are_pytorchs_and_say_what_to_do():
    rows = [
        (lambda: tg.exp(1.0), r"exp\(\): argument 'input' \(position 1\) must be Tensor, not f"),
        (lambda: tg.sum([1, 2]), r"sum\(\): argument 'input' .* must be Tensor, not list; make"),
        (lambda: tg.cat([1, 2]), r"expected Tensor as element 0 in argument 0, but got int"),
        (lambda: tg.stack([V, 1]), r"expected Tensor as element 1 in argument 0, but got int"),
        (lambda: tg.cat(1), r"'tensors' \(position 1\) must be tuple of Tensors, not int"),
        (lambda: tg.stack(V), r"'tensors' \(position 1\) must be tuple of Tensors, not Tensor"),
        (lambda: tg.vstack([V, [1.0]]), r"expected Tensor as element 1"),
        (lambda: tg.block_diag(X, 1), r"expected Tensor as element 1"),
        (lambda: tg.broadcast_tensors(1), r"expected Tensor as element 0"),
        (lambda: tg.meshgrid(1), r"meshgrid\(\): argument 'tensors' must be Tensor, not int"),
        (lambda: tg.atleast_1d(1.0), r"atleast_1d\(\): argument 'tensors' must be Tensor"),
        (lambda: tg.atleast_2d([V, 1]), r"atleast_2d\(\): argument 'tensors' must be Tensor"),
        (lambda: tg.einsum("i", 1), r"einsum\(\): argument 'operands' must be Tensor, not int"),
        (lambda: tg.repeat_interleave(None), r"'repeats' must be Tensor, not NoneType"),
        (lambda: F.relu([1.0]), r"relu\(\): argument 'input' .* must be Tensor, not list"),
        (lambda: tg.exp(np.ones(2)), r"must be Tensor, not numpy.ndarray; .*from_numpy"),
        (lambda: V.maximum(2), r"maximum\(\): argument 'other' \(position 1\) must be Tensor"),
        (lambda: V.dot(2), r"dot\(\): argument 'tensor' \(position 1\) must be Tensor, not int"),
        (lambda: tg.linalg.norm([1.0]), r"norm\(\): argument 'input' \(position 1\)"),
    ]  # fmt: skip
    for call, text in rows:
        with pytest.raises(TypeError, match=text):
            call()


# Every argument -----------------------------------------------------------------------------------


REFUSED_SECOND = {
    "maximum, number": lambda m: m.maximum(v(m), 2.0),
    "minimum, array": lambda m: m.minimum(v(m), np.ones(2)),
    "mul, array": lambda m: m.mul(v(m), np.ones(2)),
    "mul, text": lambda m: m.mul(v(m), "a"),
    "add, array": lambda m: m.add(v(m), np.ones(2)),
    "add, list first": lambda m: m.add([1.0, 2.0], v(m)),
    "add, alpha": lambda m: m.add(v(m), [1.0, 2.0], alpha=2),
    "sub, None first": lambda m: m.sub(None, v(m)),
    "sub, list": lambda m: m.sub(v(m), [1.0, 2.0]),
    "div, array": lambda m: v(m).div(np.ones(2)),
    "pow, list": lambda m: m.pow(v(m), [1.0, 2.0]),
    "remainder, array": lambda m: m.remainder(v(m), np.ones(2)),
    "fmod, number first": lambda m: m.fmod(1.0, v(m)),
    "copysign, number first": lambda m: m.copysign(1, v(m)),
    "atan2, number": lambda m: m.atan2(v(m), 1.0),
    "hypot, number": lambda m: m.hypot(v(m), 1),
    "heaviside, number": lambda m: m.heaviside(v(m), 1.0),
    "logaddexp, number": lambda m: m.logaddexp(v(m), 1),
    "eq, number first": lambda m: m.eq(1, v(m)),
    "eq, text": lambda m: m.eq(v(m), "a"),
    "lt, array": lambda m: m.lt(v(m), np.ones(2)),
    "logical_and, number": lambda m: m.logical_and(v(m), 1),
    "gcd, number": lambda m: m.gcd(v(m).long(), 1),
    "isclose, number": lambda m: m.isclose(v(m), 1),
    "allclose, number": lambda m: m.allclose(v(m), 1.0),
    "equal, number": lambda m: m.equal(v(m), 2),
    "fmax, number": lambda m: m.fmax(v(m), 1),
    "where, condition": lambda m: m.where(True, v(m), v(m)),
    "where, array": lambda m: m.where(v(m) > 0, v(m), np.ones(2)),
    "clamp, text": lambda m: m.clamp(v(m), "a"),
    "lerp, number": lambda m: m.lerp(v(m), 1.0, 0.5),
    "lerp, text": lambda m: m.lerp(v(m), v(m), "a"),
    "masked_fill, mask": lambda m: v(m).masked_fill([True, False], 0),
    "gather, index": lambda m: v(m).gather(0, [0]),
    "index_select, index": lambda m: v(m).index_select(0, [0]),
    "matmul, number": lambda m: m.matmul(v(m), 1),
    "dot, array": lambda m: m.dot(v(m), np.ones(2)),
    "rsub, number": lambda m: m.rsub(1.0, v(m)),
    "result_type": lambda m: m.result_type([1], v(m)),
    "conv1d, weight": lambda m: m.conv1d(m.ones(1, 1, 3), np.ones((1, 1, 2), "f")),
    "linear, weight": lambda m: m.nn.functional.linear(v(m), np.ones((1, 2), "f")),
    "linear, bias": lambda m: m.nn.functional.linear(v(m), m.ones(1, 2), [1.0]),
    "layer_norm, weight": lambda m: m.nn.functional.layer_norm(v(m), (2,), np.ones(2, "f")),
    "embedding": lambda m: m.nn.functional.embedding([0], m.ones(2, 2)),
    "solve": lambda m: m.linalg.solve(m.eye(2), [1.0, 2.0]),
}


def v(m):
    return m.tensor([1.0, 2.0])


@pytest.mark.parametrize("name", REFUSED_SECOND)
def test_other_arguments_are_refused(name):
    with pytest.raises(TypeError, match=r"\(\): argument '\w+' \(position \d\) must be Tensor, n"):
        REFUSED_SECOND[name](tg)


@pytest.mark.peers
@pytest.mark.parametrize("name", REFUSED_SECOND)
def test_other_arguments_are_refused_by_pytorch(name):
    torch = pytest.importorskip("torch")
    with pytest.raises((TypeError, AttributeError)):
        REFUSED_SECOND[name](torch)


NUMBERS_TAKEN = {
    "mul": (lambda m: m.mul(v(m), 2), [2, 4]),
    "mul, first": (lambda m: m.mul(2, v(m)), [2, 4]),
    "mul, NumPy's": (lambda m: m.mul(v(m), np.float32(2)), [2, 4]),
    "mul, bool": (lambda m: m.mul(v(m), True), [1, 2]),
    "add": (lambda m: m.add(v(m), 1), [2, 3]),
    "add, first": (lambda m: m.add(1, v(m)), [2, 3]),
    "sub, first": (lambda m: m.sub(1, v(m)), [0, -1]),
    "div, first": (lambda m: m.div(1, v(m)), [1, 0.5]),
    "true_divide, first": (lambda m: m.true_divide(1, v(m)), [1, 0.5]),
    "floor_divide, first": (lambda m: m.floor_divide(5, v(m)), [5, 2]),
    "remainder, first": (lambda m: m.remainder(5, v(m)), [0, 1]),
    "pow, first": (lambda m: m.pow(2, v(m)), [2, 4]),
    "float_power, first": (lambda m: m.float_power(2, v(m)), [2, 4]),
    "xlogy, first": (lambda m: m.xlogy(2, m.ones(2)), [0, 0]),
    "fmod": (lambda m: m.fmod(v(m), 2), [1, 0]),
    "copysign": (lambda m: m.copysign(v(m), -1), [-1, -2]),
    "eq": (lambda m: m.eq(v(m), 1), [True, False]),
    "ge": (lambda m: v(m).ge(2), [False, True]),
    "where": (lambda m: m.where(v(m) > 1, 1.0, 0.0), [0, 1]),
    "clamp": (lambda m: m.clamp(v(m), 1.5, None), [1.5, 2]),
    "clamp, tensor": (lambda m: m.clamp(v(m), max=m.tensor([0.5, 3.0])), [0.5, 2]),
    "lerp": (lambda m: m.lerp(v(m), v(m) + 2, 0.5), [2, 3]),
    "masked_fill": (lambda m: m.masked_fill(v(m), v(m) > 1, 0), [1, 0]),
    "bitwise_and, first": (lambda m: m.bitwise_and(1, v(m).long()), [1, 0]),
    "isin": (lambda m: m.isin(v(m), 1), [True, False]),
}


@pytest.mark.parametrize("name", NUMBERS_TAKEN)
def test_numbers_are_taken_where_pytorch_takes_them(name):
    call, expected = NUMBERS_TAKEN[name]
    result = call(tg)
    assert type(result) is tg.Tensor
    np.testing.assert_allclose(result.array, expected)


@pytest.mark.peers
@pytest.mark.parametrize("name", NUMBERS_TAKEN)
def test_numbers_are_taken_by_pytorch(name):
    torch = pytest.importorskip("torch")
    call, expected = NUMBERS_TAKEN[name]
    np.testing.assert_allclose(call(torch).numpy(), expected)


@pytest.mark.parametrize("name", ["mul", "add", "sub", "div", "pow", "remainder", "floor_divide"])
def test_one_of_two_has_to_be_a_tensor(name):
    with pytest.raises(TypeError, match=rf"{name}\(\): argument 'input' .* must be Tensor, not "):
        getattr(tg, name)(2, 3)


def test_operators_take_arrays_on_either_side():
    array = np.array([3.0, 4.0], np.float32)
    for result in (
        V * array,
        array * V,
        V + array,
        V % array,
        V // array,
        V.lt(1) | (V * array > array),
        V**array,
    ):
        assert type(result) is tg.Tensor


LISTS = {
    "*": lambda x: x * [1, 2], "* first": lambda x: [1, 2] * x,
    "+": lambda x: x + (1, 2),  # noqa: RUF005  (it is not a tuple)
    "-": lambda x: x - [1, 2], "/": lambda x: x / [1, 2], "**": lambda x: x ** [1, 2],
    "%": lambda x: x % [1, 2], "//": lambda x: x // [1, 2], "@": lambda x: x @ [1, 2],
    "- first": lambda x: [1, 2] - x, "<": lambda x: x < [1, 2], ">=": lambda x: x >= (1, 2),
    "&": lambda x: x.long() & [1, 2],
}  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_operators_refuse_lists(name):
    for x in (V, V.double(), V.long()):
        with pytest.raises(TypeError, match=r"unsupported operand|not supported between"):
            LISTS[name](x)


@pytest.mark.peers
@pytest.mark.parametrize("name", LISTS)
def test_operators_of_pytorch_refuse_lists(name):
    torch = pytest.importorskip("torch")
    with pytest.raises(TypeError):
        LISTS[name](torch.ones(2))


def test_a_list_is_never_equal_to_a_tensor():
    assert (V == [1.0, 2.0]) is False
    assert (V != (1.0, 2.0)) is True


def test_operations_inside_still_take_arrays():
    assert type(ops.exp(np.zeros(1, "f"))) is np.ndarray
    assert ops.mul(2, 3) == 6


# Layers -------------------------------------------------------------------------------------------

LAYERS = {
    "Linear": (lambda: nn.Linear(2, 2), (2,)),
    "Conv1d": (lambda: nn.Conv1d(1, 1, 1), (1, 1, 2)),
    "Conv2d": (lambda: nn.Conv2d(1, 1, 1), (1, 1, 2, 2)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(1, 1, 1), (1, 1, 2, 2)),
    "LazyConv2d": (lambda: nn.LazyConv2d(1, 1), (1, 1, 2, 2)),
    "LazyLinear": (lambda: nn.LazyLinear(1), (1, 2)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(1), (2, 1, 2, 2)),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(1), (2, 1, 2, 2)),
    "LayerNorm": (lambda: nn.LayerNorm(2), (2, 2)),
    "GroupNorm": (lambda: nn.GroupNorm(1, 2), (2, 2)),
    "RMSNorm": (lambda: nn.RMSNorm(2), (2, 2)),
    "MaxPool2d": (lambda: nn.MaxPool2d(2), (1, 1, 2, 2)),
    "AvgPool1d": (lambda: nn.AvgPool1d(2), (1, 1, 2)),
    "AdaptiveAvgPool2d": (lambda: nn.AdaptiveAvgPool2d(1), (1, 1, 2, 2)),
    "Dropout": (lambda: nn.Dropout(), (2,)),
    "Dropout in eval": (lambda: nn.Dropout().eval(), (2,)),
    "RNN": (lambda: nn.RNN(2, 3), (1, 2)),
    "LSTM": (lambda: nn.LSTM(2, 3), (1, 2)),
    "GRU": (lambda: nn.GRU(2, 3), (1, 2)),
    "GRUCell": (lambda: nn.GRUCell(2, 3), (1, 2)),
    "Embedding": (lambda: nn.Embedding(3, 2), (2,)),
    "Flatten": (lambda: nn.Flatten(), (2, 2)),
    "Unflatten": (lambda: nn.Unflatten(1, (1, 2)), (1, 2)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (1, 1, 2)),
    "PixelShuffle": (lambda: nn.PixelShuffle(1), (1, 1, 2, 2)),
    "ZeroPad2d": (lambda: nn.ZeroPad2d(1), (1, 1, 2, 2)),
    "Unfold": (lambda: nn.Unfold(1), (1, 1, 2, 2)),
    "ReLU in Sequential": (lambda: nn.Sequential(nn.ReLU()), (2,)),
    **{
        name: (getattr(nn, name), (2,))
        for name in (
            "ReLU", "ReLU6", "LeakyReLU", "PReLU", "RReLU", "ELU", "CELU", "SELU", "GELU", "GLU",
            "SiLU", "Mish", "Sigmoid", "LogSigmoid", "Tanh", "Tanhshrink", "Softsign", "Softplus",
            "Softshrink", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "Softmax",
            "Softmin", "LogSoftmax",
        )
    },
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Lazy modules", "ignore:Implicit dimension choice")
@pytest.mark.parametrize("name", LAYERS)
def test_layers_refuse_what_is_no_tensor(name):
    make, shape = LAYERS[name]
    for wrong in (np.ones(shape, "f"), np.ones(shape).tolist(), None, 1.0, "a"):
        layer = make()
        with pytest.raises(TypeError, match="must be Tensor, not"):
            layer(wrong)


@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "HuberLoss", "SmoothL1Loss", "BCELoss",
                                  "CrossEntropyLoss", "NLLLoss", "SoftMarginLoss",
                                  "BCEWithLogitsLoss", "MultiLabelSoftMarginLoss"])  # fmt: skip
def test_losses_refuse_what_is_no_tensor(name):
    loss = getattr(nn, name)()
    for wrong in (np.ones(2, "f"), [1.0, 1.0], None, 1.0):
        for pair in ((wrong, V), (V, wrong)):
            with pytest.raises(TypeError, match=f"{name}: argument . must be Tensor, not"):
                loss(*pair)


def test_the_layer_is_named_not_those_around_it():
    with pytest.raises(TypeError, match=r"^Conv2d: argument 1 must be Tensor, not numpy.ndarray; "):
        nn.Sequential(nn.Conv2d(1, 1, 1))(np.ones((1, 1, 2, 2), "f"))


@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "HuberLoss", "KLDivLoss", "NLLLoss",
                                  "CrossEntropyLoss", "BCELoss", "SoftMarginLoss"])  # fmt: skip
def test_losses_are_made_before_they_are_called(name):
    with pytest.raises(RuntimeError, match=rf"{name}: expected settings.* loss_fn = nn.{name}\(\)"):
        getattr(nn, name)(X, tg.tensor([0, 1]))


# Tensors of another library -----------------------------------------------------------------------

Foreign = type("Tensor", (), {"__module__": "torch"})


def test_tensors_of_other_libraries_are_told_apart():
    with pytest.raises(
        TypeError, match=r"must be Tensor, not torch\.Tensor; convert it with from_"
    ):
        tg.exp(Foreign())
    with pytest.raises(RuntimeError, match=r"expected a Tensor .* received torch\.Tensor; convert"):
        nn.Linear(2, 2, bias=False).load_state_dict({"weight": Foreign()})
