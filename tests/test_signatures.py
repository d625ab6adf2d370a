"""Every public name takes PyTorch's arguments: by their names, in their order, with their defaults.

`golden/signatures.json` holds what PyTorch takes (`golden/signatures.py` makes it).
"""

from __future__ import annotations

import ast
import inspect
import json
import pickle
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import Tensor, functions, linalg
from tinygrad_opt.nn import functional as F

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import signatures

GOLDEN = json.loads(signatures.TARGET.read_text())
P = inspect.Parameter

# Arguments that mean nothing here.
ABSENT = {"out_dtype", "implicit"}

# Names whose arguments differ, and why.
EXCEPTIONS = {
    **dict.fromkeys(
        ["arange", "normal", "randint", "randint_like", "repeat_interleave",
         "Tensor.repeat_interleave", "isin", "result_type"],
        "one Python signature stands for several overloads",
    ),
    **dict.fromkeys(
        ["Generator", "Size", "device", "Tensor.cuda", "Tensor.copy_", "Tensor.to"],
        "the schema is not what Python's side of PyTorch takes",
    ),
    **dict.fromkeys(
        ["adaptive_max_pool1d", "max_pool1d", "max_pool2d", "max_pool3d"],
        "the function of nn.functional, which has return_indices too",
    ),
    **dict.fromkeys(["Tensor.clone", "Tensor.contiguous"], "memory formats are numbers in schemas"),
    **dict.fromkeys(["nn.functional.elu_", "nn.functional.rrelu_"],
                    "the arguments of the function, where schemas have those of its kernel"),
    **dict.fromkeys(["Tensor.uniform_", "Tensor.random_"], "`from` is a word of Python"),
    **dict.fromkeys(["norm", "Tensor.norm", "tensordot"], "out and dtype are given by name"),
    **dict.fromkeys(["enable_grad", "no_grad", "autograd.enable_grad", "autograd.no_grad"],
                    "decorators with and without parentheses"),
    "Tensor.to_sparse": "by coordinates alone",
    "gradient": "PyTorch's spacing of None means 1",
    **dict.fromkeys(["load", "save"], "no pickle, hence none of its options"),
    **dict.fromkeys(["layout", "memory_format"], "not to be called"),
    "is_autocast_enabled": "of a device, as amp's; the schema has the one without",
    "rrelu_": "the function of nn.functional",
    "autograd.backward": "grad_variables is long deprecated",
    "autograd.gradcheck": "stricter tolerances, by name only",
    "func.jacrev": "_preallocate_and_copy is private",
}  # fmt: skip


def full_name(where, name):
    return f"{where}.{name}" if where else name


def value_of(source):
    """A default, where (2, 2), [2] and 2 are the same, and so are an empty list and None."""
    try:
        value = ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return source
    if isinstance(value, (list, tuple)):
        value = tuple(value)
        return None if not value else value[0] if len(set(value)) == 1 else value
    return value


def differences(where, function, overloads):
    """What a signature of ours lacks of PyTorch's, or has in another way."""
    parameters = list(inspect.signature(function).parameters.values())
    if where == "Tensor":
        parameters = parameters[1:]
    theirs = [[part for part in row if part[0] not in ABSENT] for row in overloads]
    every = [part for row in theirs for part in row]
    found = []
    named = {p.name for p in parameters if p.kind in (P.POSITIONAL_OR_KEYWORD, P.KEYWORD_ONLY)}
    if not any(p.kind is P.VAR_KEYWORD for p in parameters):
        lacking = {name for name, how, *_ in every if how in ("any", "name")} - named
        found += [f"lacks {name}" for name in sorted(lacking)]
    places = [p.name for p in parameters if p.kind is P.POSITIONAL_OR_KEYWORD]
    orders = [[name for name, how, *_ in row if how == "any"] for row in theirs]
    if not any(places[: len(order)] == order for order in orders):
        found.append(f"order {places}")
    starred = any(how in ("*", "**") for _, how, *_ in every)
    known = {name for name, *_ in every} | ABSENT
    found += [f"has {name}" for name in places if name not in known and not starred]
    for p in parameters:
        found += default_differs(p, theirs)
    return found


def default_differs(p, theirs):
    rows = [[part for part in row if part[0] == p.name] for row in theirs]
    defaults = [row[0][3] for row in rows if row]
    if not defaults or p.kind not in (P.POSITIONAL_OR_KEYWORD, P.KEYWORD_ONLY):
        return []
    required = all(rows) and all(default is None for default in defaults)
    if (p.default is P.empty) != required:
        return [f"{p.name} is {'' if p.default is P.empty else 'not '}required"]
    given = [value_of(default) for default in defaults if default is not None]
    if required or not given or Ellipsis in given:
        return []
    mine = value_of(repr(p.default))
    int64 = mine is None and 4 in given  # the number of a type
    return [] if mine in given or int64 else [f"{p.name} is {mine}, not {given}"]


@pytest.mark.parametrize("where", GOLDEN)
def test_arguments_are_pytorchs(where):
    space = signatures.namespace("tinygrad_opt", where)
    found = {}
    for name, overloads in GOLDEN[where].items():
        wrong = differences(where, getattr(space, name), overloads)
        if wrong:
            found[full_name(where, name)] = wrong
    exceptions = {
        name for name in EXCEPTIONS
        if name.rpartition(".")[0] == where or (not where and "." not in name)
    }  # fmt: skip
    assert {k: v for k, v in found.items() if k not in EXCEPTIONS} == {}
    assert exceptions <= set(found), "no exception any more"


def test_the_comparison_sees_differences():
    golden = [[["input", "any", "Tensor", None], ["dim", "any", "int", "0"]]]

    def right(input, dim=0): ...
    def renamed(x, dim=0): ...
    def other_default(input, dim=1): ...
    def other_order(dim, input): ...
    def required(input, dim): ...
    def more(input, dim=0, keepdim=False): ...

    assert differences("", right, golden) == []
    assert differences("", renamed, golden) == ["lacks input", "order ['x', 'dim']", "has x"]
    assert differences("", other_default, golden) == ["dim is 1, not [0]"]
    assert "order ['dim', 'input']" in differences("", other_order, golden)
    assert differences("", required, golden) == ["dim is required"]
    assert differences("", more, golden) == ["has keepdim"]


@pytest.mark.peers
def test_the_table_is_what_pytorch_says():
    pytest.importorskip("torch")
    assert signatures.table() == GOLDEN


# Names --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", GOLDEN)
def test_functions_say_their_own_names(where):
    space = signatures.namespace("tinygrad_opt", where)
    for name in signatures.public(space):
        function = inspect.getattr_static(space, name)
        function = getattr(function, "__func__", function)
        if not inspect.isfunction(function):
            continue
        assert function.__name__ == name
        assert "<locals>" not in function.__qualname__, name
        assert function.__module__.startswith("tinygrad_opt"), name


def test_public_functions_are_pickled_by_name():
    for name in functions.__all__:
        assert pickle.loads(pickle.dumps(getattr(tg, name))) is getattr(tg, name)
    for space in (F, linalg):
        for name in space.__all__:
            assert pickle.loads(pickle.dumps(getattr(space, name))) is getattr(space, name)


X = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tg.exp(X, foo=1), r"^exp\(\) got an unexpected keyword argument 'foo'"),
        (lambda: tg.clamp(X, foo=1), r"^clamp\(\) got an unexpected keyword argument 'foo'"),
        (lambda: tg.multiply(X), r"^multiply\(\) missing 1 required positional argument: 'other'"),
        (lambda: tg.max(X, 0, out=X), r"^max\(\): argument 'out' must be tuple of 2 Tensors, not"),
        (lambda: X.max(out=X), r"^max\(\) got an unexpected keyword argument 'out'"),
        (lambda: X.reshape(), r"^Tensor.reshape\(\) missing 1 required .* 'shape'"),
        (lambda: X.split(foo=1), r"^Tensor.split\(\) got an unexpected keyword argument 'foo'"),
        (lambda: X.add_(foo=1), r"^Tensor.add_\(\) got an unexpected keyword argument 'foo'"),
        (lambda: tg.cumsum(X), r"^cumsum\(\) missing 1 required positional argument: 'dim'"),
        (lambda: tg.zeros(), r"^zeros\(\) missing 1 required positional argument: 'size'"),
        (lambda: X.view(), r"^view\(\) missing 1 required positional argument: 'size'"),
        (lambda: tg.eq(X, foo=1), r"^eq\(\) got an unexpected keyword argument 'foo'"),
        (lambda: F.relu(X, foo=1), r"^relu\(\) got an unexpected keyword argument 'foo'"),
        (lambda: tg.hsplit(X), r"^hsplit\(\) takes either sections, a number, or indices"),
        (lambda: tg.hsplit(X, 2, indices=[1]), r"^hsplit\(\) takes either sections"),
        (lambda: tg.sum(X, dim=0, axis=0), r"^sum\(\) got both axis and dim: give one of them"),
    ],
)
def test_errors_name_the_function_that_was_called(call, text):
    with pytest.raises(TypeError, match=text):
        call()


# Calls by name ------------------------------------------------------------------------------------

V = tg.tensor([1.0, 2.0, 3.0])
CALLS = {
    "flip": (lambda: tg.flip(V, dims=[0]), [3, 2, 1]),
    "flip, method": (lambda: V.flip(dims=(0,)), [3, 2, 1]),
    "exp": (lambda: tg.exp(input=tg.zeros(1)), [1]),
    "permute": (lambda: X.permute(dims=(1, 0)), [[1, 4], [2, 5], [3, 6]]),
    "reshape": (lambda: X.reshape(shape=(3, 2)), [[1, 2], [3, 4], [5, 6]]),
    "reshape, function": (lambda: tg.reshape(input=X, shape=(6,)), [1, 2, 3, 4, 5, 6]),
    "view": (lambda: X.view(size=(6,)), [1, 2, 3, 4, 5, 6]),
    "view, type": (lambda: tg.ones(1).view(dtype=tg.int32), [1065353216]),
    "expand": (lambda: tg.ones(1).expand(size=(2, 2)), [[1, 1], [1, 1]]),
    "repeat": (lambda: V.repeat(repeats=(2,)), [1, 2, 3, 1, 2, 3]),
    "tile": (lambda: tg.tile(V, dims=(2,)), [1, 2, 3, 1, 2, 3]),
    "new_zeros": (lambda: V.new_zeros(size=(2,)), [0, 0]),
    "sum_to_size": (lambda: X.sum_to_size(size=(1, 3)), [[5, 7, 9]]),
    "zeros": (lambda: tg.zeros(size=(2,)), [0, 0]),
    "maximum": (lambda: tg.maximum(input=V, other=2 * tg.ones(3)), [2, 2, 3]),
    "pow": (lambda: tg.pow(V, exponent=2), [1, 4, 9]),
    "pow, method": (lambda: V.pow(exponent=2), [1, 4, 9]),
    "atan2": (lambda: tg.atan2(tg.zeros(1), other=tg.ones(1)), [0]),
    "mul": (lambda: tg.mul(input=V, other=2), [2, 4, 6]),
    "multiply": (lambda: tg.multiply(2, V), [2, 4, 6]),
    "dot": (lambda: tg.dot(V, tensor=V), 14),
    "matmul": (lambda: tg.matmul(input=V, other=V), 14),
    "clone": (lambda: tg.clone(input=V), [1, 2, 3]),
    "split": (lambda: tg.split(tensor=V, split_size_or_sections=2)[0], [1, 2]),
    "split, method": (lambda: V.split(split_size=2)[0], [1, 2]),
    "swapaxes": (lambda: X.swapaxes(axis0=0, axis1=1), [[1, 4], [2, 5], [3, 6]]),
    "hsplit": (lambda: tg.hsplit(V, sections=3)[2], [3]),
    "hsplit, indices": (lambda: tg.hsplit(V, indices=[1])[1], [2, 3]),
    "hsplit, by place": (lambda: tg.hsplit(V, [1])[1], [2, 3]),
    "tensor_split": (lambda: tg.tensor_split(V, indices=[1])[1], [2, 3]),
    "result_type": (lambda: tg.result_type(tensor=V, other=1) == tg.float32, True),
    "repeat_interleave": (lambda: tg.repeat_interleave(repeats=tg.tensor([1, 2])), [0, 1, 1]),
    "cholesky": (lambda: linalg.cholesky(input=tg.eye(2)), [[1, 0], [0, 1]]),
    "inv": (lambda: linalg.inv(A=tg.eye(2)), [[1, 0], [0, 1]]),
    "lstsq": (lambda: linalg.lstsq(input=tg.eye(2), b=tg.ones(2, 1))[0], [[1], [1]]),
    "vector_norm": (lambda: linalg.vector_norm(input=tg.tensor([3.0, 4.0])), 5),
    "one_hot": (lambda: F.one_hot(input=tg.tensor([1]), num_classes=2), [[0, 1]]),
    "sigmoid": (lambda: F.sigmoid(input=tg.zeros(1)), [0.5]),
    "isnan": (lambda: tg.isnan(input=V), [False, False, False]),
    "copy_": (lambda: tg.zeros(3).copy_(other=V), [1, 2, 3]),
    "atan2_": (lambda: tg.zeros(1).atan2_(other=tg.ones(1)), [0]),
    "cumsum, axis": (lambda: tg.cumsum(V, axis=0), [1, 3, 6]),
    "gather, axis": (lambda: tg.gather(V, axis=0, index=tg.tensor([2])), [3]),
    "sum, keepdims": (lambda: X.sum(axis=1, keepdims=True), [[6], [15]]),
    "unsqueeze, axis": (lambda: tg.unsqueeze(input=V, axis=0), [[1, 2, 3]]),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls_by_name(name):
    call, expected = CALLS[name]
    result = call()
    np.testing.assert_allclose(getattr(result, "array", result), expected, rtol=1e-6)


def test_uniform_by_name():
    drawn = tg.empty(100).uniform_(-1, to=1)
    assert -1 <= drawn.min().item() < 0 < drawn.max().item() < 1
    assert tg.rand_like(V, generator=tg.Generator().manual_seed(1)).shape == (3,)
    assert tg.randint_like(V, 5, generator=tg.Generator().manual_seed(1)).max().item() < 5


def test_signatures_are_shown():
    assert list(inspect.signature(tg.exp).parameters) == ["input", "out"]
    assert list(inspect.signature(tg.atan2).parameters) == ["input", "other", "out"]
    assert list(inspect.signature(tg.pow).parameters) == ["input", "exponent", "out"]
    assert list(inspect.signature(tg.sum).parameters) == ["input", "dim", "keepdim", "dtype", "out"]
    assert list(inspect.signature(linalg.lstsq).parameters) == [
        "input", "b", "rcond", "driver", "out",
    ]  # fmt: skip
    assert list(inspect.signature(Tensor.index_add_).parameters)[1:4] == ["dim", "index", "source"]


@pytest.mark.parametrize("function", [tg.where, tg.add, tg.exp, tg.sum, F.relu, F.cross_entropy])
def test_the_source_that_is_shown_is_what_somebody_wrote(function):
    code = next(node for node in ast.parse(inspect.getsource(function)).body)
    assert isinstance(code, ast.FunctionDef)
    assert code.name == function.__name__


def functions_in(space):
    """The functions and methods that the public names of a module or class stand for."""
    for name, value in vars(space).items():
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        if isinstance(value, (classmethod, staticmethod, property)):
            value = value.fget if isinstance(value, property) else value.__func__
        if inspect.isfunction(value):
            yield f"{space.__name__}.{name}", value
        elif inspect.isclass(value) and inspect.ismodule(space):
            yield from functions_in(value)


def test_hints_of_types_are_known():
    functions: dict[Any, str] = {}
    for name in [n for n in sys.modules if n.partition(".")[0] == "tinygrad_opt"]:
        for where, function in functions_in(sys.modules[name]):
            if function.__module__.startswith("tinygrad_opt"):
                functions.setdefault(function, where)
    assert len(functions) > 3000
    unknown = []
    for function, where in functions.items():
        try:
            typing.get_type_hints(function)
        except NameError as error:
            unknown.append(f"{where}: {error}")
    assert unknown == []
    for function in (tg.where, tg.add, tg.clamp, F.relu, Tensor.sum, tg.zeros, tg.exp_):
        assert typing.get_type_hints(function)["return"] in (Tensor, typing.Any)
    assert typing.get_type_hints(tg.exp)["out"] == Tensor | tuple[Tensor, ...] | None
    assert typing.get_type_hints(tg.randn)["generator"] == tg.Generator | None


def test_operations_are_recorded_by_their_own_names():
    x = tg.ones(1, requires_grad=True)
    assert tg.multiply(x, 2).grad_fn.name() == "MulBackward0"
    assert tg.absolute(x).grad_fn.name() == "AbsBackward0"
