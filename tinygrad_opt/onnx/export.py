"""`export`: a model as an ONNX file."""

from __future__ import annotations

import enum
import inspect
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from .. import __version__
from ..core.node import Variable
from ..core.tensor import wrap
from ..nn.module import Module
from ..optional import need
from . import indexing, layers, operations, recurrent
from .errors import OnnxExporterError, UnsupportedOperatorError
from .graph import Graph, Value
from .merging import Merged, check_alike, merged, shape_of
from .sizes import Size, fitted
from .trace import Fixed, Known, Trace
from .tracing import traced

__all__ = ["TrainingMode", "export", "is_in_onnx_export"]

_ROWS = (operations, indexing, layers, recurrent)  # these fill operations.ROWS
_OPSETS = range(17, 24)


class TrainingMode(enum.Enum):
    """In which mode `export` runs the model."""

    EVAL = 0
    PRESERVE = 1
    TRAINING = 2


def is_in_onnx_export() -> bool:
    """Whether `export` is running the model: False elsewhere."""
    return _Running.now


class _Running:
    now = False


def export(
    model: Callable[..., Any], args: Any = (), f: Any = None, *,
    kwargs: Mapping[str, Any] | None = None, export_params: bool = True, verbose: bool = False,
    training: TrainingMode = TrainingMode.EVAL, input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None, opset_version: int | None = None,
    do_constant_folding: bool = True,
    dynamic_axes: Mapping[str, Mapping[int, str] | Sequence[int]] | None = None,
    keep_initializers_as_inputs: bool | None = None, dynamo: bool | None = None,
) -> None:  # fmt: skip
    """Writes a model as an ONNX graph, by running it on `args` and noting what it does.

    model          a Module (run in eval mode, and left in its own) or a function of tensors
    args           the inputs: a Tensor, or a tuple of them; a dict at its end is `kwargs`
    f              a path, or a file open for writing bytes
    input_names, output_names   in their order; without them those of `forward`, and "output"
    dynamic_axes   axes that are free: {"x": {0: "batch"}} or {"x": [0]}. The model is run at
                   several sizes of each, so that lengths that it computes follow; axes of one name
                   are one
    opset_version  17 (the default) to 23

    The others are as in PyTorch, and change nothing: weights are always in the file, constants
    always folded. Control flow is that of this run. Raises UnsupportedOperatorError, with its name,
    for an operation that has no form in ONNX; OnnxExporterError for a model that reads elements,
    goes another way by sizes, or whose lengths are not products of the free axes; ValueError for
    arguments that do not fit, ImportError without `onnx`.

        pip install 'tinygrad_opt[onnx]'
    """
    onnx = need("onnx", "onnx", "onnx.export")
    opset = 17 if opset_version is None else opset_version
    if opset not in _OPSETS:
        raise ValueError(f"onnx.export: opset_version must be 17 to 23, got {opset}")
    if not export_params:
        raise ValueError("onnx.export: export_params=False has no form here: weights are written")
    given = args if isinstance(args, tuple) else (args,)
    named = dict(kwargs or {})
    if given and isinstance(given[-1], dict) and kwargs is None:
        given, named = given[:-1], dict(given[-1])
    inputs = _inputs(model, given, named, input_names)
    free = _free_axes(inputs, dynamic_axes or {}, output_names)
    states = _states(model)
    modes = [(m, m.training) for m in model.modules()] if isinstance(model, Module) else []
    before, _Running.now = _Running.now, True
    try:
        if isinstance(model, Module) and training is not TrainingMode.PRESERVE:
            model.train(training is TrainingMode.TRAINING)
        traces, runs = _runs(model, given, named, states, inputs, free)
    finally:
        _Running.now = before
        for module, mode in modes:
            module.training = mode
    check_alike(traces)
    made = _graph(onnx, opset, traces, runs, inputs, free, output_names, dynamic_axes or {})
    onnx.checker.check_model(made)
    if verbose:
        print(onnx.helper.printable_graph(made.graph))
    if f is None:
        raise ValueError("onnx.export: f must be a path or a file, got None")
    onnx.save_model(made, os.fspath(f) if isinstance(f, (str, os.PathLike)) else f)


# What goes in -------------------------------------------------------------------------------------


def _inputs(
    model: Any, given: tuple[Any, ...], named: dict[str, Any], names: Sequence[str] | None
) -> dict[str, Any]:
    """The tensors among the arguments, by the names that they get in the graph."""
    function = model.forward if isinstance(model, Module) else model
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    usual = [p.name for p in parameters if p.kind is not p.VAR_POSITIONAL]
    usual += [f"input_{i}" for i in range(len(usual), len(given))]
    tensors = [(n, x) for n, x in zip(usual, given, strict=False) if isinstance(x, Variable)]
    tensors += [(n, x) for n, x in named.items() if isinstance(x, Variable)]
    if not tensors:
        raise ValueError(
            f"onnx.export: args must be the model's inputs, Tensors in a tuple; got {given}"
        )
    if names and len(names) > len(tensors):
        raise ValueError(
            f"onnx.export: {len(names)} input_names for {len(tensors)} tensors in args"
        )
    chosen = [*(names or ()), *(n for n, _ in tensors[len(names or ()) :])]
    return {name: x for name, (_, x) in zip(chosen, tensors, strict=True)}


def _states(model: Any) -> dict[str, Any]:
    if not isinstance(model, Module):
        return {}
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


Free = dict[str, list[tuple[str, int]]]  # name of an axis -> where it is: input and place


def _free_axes(
    inputs: dict[str, Any], dynamic: Mapping[str, Any], outputs: Sequence[str] | None
) -> Free:
    free: Free = {}
    for name, axes in dynamic.items():
        if name not in inputs:
            if name in (outputs or ("output",)):
                continue
            raise ValueError(f"onnx.export: dynamic_axes names {name!r}, but there are {[*inputs]}")
        shape = tuple(inputs[name].shape)
        pairs = axes.items() if isinstance(axes, Mapping) else [(a, f"{name}_{a}") for a in axes]
        for place, axis in pairs:
            if not -len(shape) <= place < len(shape):
                raise ValueError(f"onnx.export: {name!r} of shape {shape} has no axis {place}")
            free.setdefault(axis, []).append((name, place % len(shape)))
    for axis, where in free.items():
        sizes = {inputs[name].shape[place] for name, place in where}
        if len(sizes) > 1:
            raise ValueError(f"onnx.export: the axis {axis!r} has several sizes: {sorted(sizes)}")
    return free


# Running ------------------------------------------------------------------------------------------


def _runs(
    model: Any, given: tuple[Any, ...], named: dict[str, Any], states: dict[str, Any],
    inputs: dict[str, Any], free: Free,
) -> tuple[list[Trace], list[dict[str, int]]]:  # fmt: skip
    """Traces, and the sizes of the free axes in each: as given, with other values, other sizes."""
    names = {id(x): name for name, x in inputs.items()}

    def run(sizes: dict[str, int], shift: int) -> Trace:
        def other(x: Any) -> Any:
            if id(x) not in names:
                return x
            places = {
                place: sizes[axis]
                for axis, where in free.items() for name, place in where if name == names[id(x)]
            }  # fmt: skip
            return _variant(x, places, shift)

        return traced(model, [*map(other, given)], {k: other(x) for k, x in named.items()}, states)

    # Of size 1 an axis may be broadcast by chance.
    first = {axis: max(2, inputs[where[0][0]].shape[where[0][1]]) for axis, where in free.items()}
    traces, runs = [run(first, 0), run(first, 1)], [first, first]
    for axis in free:
        count, error = 0, None
        for size in _sizes(first[axis]):
            try:
                traces.append(run({**first, axis: size}, 1))
            except OnnxExporterError:
                raise
            except Exception as raised:
                error = raised
                continue
            runs.append({**first, axis: size})
            count += 1
            if count == 3:
                break
        if count < 2:
            raise OnnxExporterError(
                f"the axis {axis!r} is in dynamic_axes, but the model runs with size "
                f"{first[axis]} alone: {error}"
            ) from error
    others = {axis: next(s for r in runs if (s := r[axis]) != first[axis]) for axis in free}
    together: list[tuple[str, ...]] = [*itertools.combinations(free, 2)]
    together += [tuple(free)] if len(free) > 2 else []
    for axes in together:  # a length may be a product of these
        sizes = first | {axis: others[axis] for axis in axes}
        traces.append(run(sizes, 1))
        runs.append(sizes)
    return traces, runs


def _sizes(size: int) -> list[int]:
    """Other sizes to try: larger ones, then smaller ones."""
    larger = [size + 1, size + 2, 2 * size + 3]
    return larger + [n for n in dict.fromkeys((size - 1, size // 2, size // 3)) if n > 1]


def _variant(x: Any, places: dict[int, int], shift: int) -> Any:
    """An input of other sizes along some axes, and with other values: its own ones, moved on."""
    array = x.array
    for place, size in places.items():
        array = np.take(array, np.arange(size) % array.shape[place], axis=place)
    array = np.roll(array, shift)
    if shift and array.dtype.kind == "f":
        array = array * array.dtype.type(0.9) + array.dtype.type(0.03)
    return wrap(array)


# The graph ----------------------------------------------------------------------------------------


def _graph(
    onnx: Any, opset: int, traces: list[Trace], runs: list[dict[str, int]], inputs: dict[str, Any],
    free: Free, output_names: Sequence[str] | None, dynamic: Mapping[str, Any],
) -> Any:  # fmt: skip
    g = Graph(onnx, opset, runs)
    g.axes = {axis: where[0] for axis, where in free.items()}
    values: list[Any] = [None] * len(traces[0].arrays)  # Values, once they are made
    places = {where: axis for axis, pairs in free.items() for where in pairs}
    infos = []
    for number, name in enumerate(inputs):
        shape = shape_of([trace.arrays[number] for trace in traces])
        dtype = traces[0].arrays[number].dtype
        values[number] = Value(g, name, shape, dtype)
        dims = [places.get((name, i), n) for i, n in enumerate(shape)]
        infos.append(onnx.helper.make_tensor_value_info(name, g.type_of(dtype), dims))
    events = [Merged(parts, g, values) for parts in zip(*(t.events for t in traces), strict=True)]
    returned = merged([trace.returned for trace in traces])
    leaves = _leaves(returned)
    needed = {leaf.number for leaf in leaves if isinstance(leaf, Known)}
    used = []
    for event in reversed(events):
        if needed & set(range(event.first, event.first + len(event.results))):
            needed |= set(event.needs)
            used.append(event)
    for event in reversed(used):
        _write(g, event, values)
    names = _output_names(len(leaves), output_names)
    made = []
    for name, leaf in zip(names, leaves, strict=True):
        value = values[leaf.number] if isinstance(leaf, Known) else \
            Value(g, leaf.name, leaf.array.shape, leaf.array.dtype, leaf.array)  # fmt: skip
        g.nodes.append(onnx.helper.make_node("Identity", [value.name], [name], name=name))
        given = dynamic.get(name, {})
        axes = given if isinstance(given, Mapping) else {a: f"{name}_{a}" for a in given}
        dims = [axes.get(i, axes.get(i - value.ndim, _dim(n, runs))) for i, n in
                enumerate(value.shape)]  # fmt: skip
        made.append(onnx.helper.make_tensor_value_info(name, g.type_of(value.dtype), dims))
    weights = [onnx.numpy_helper.from_array(a, name) for name, a in g.initializers.items()]
    graph = onnx.helper.make_graph(g.nodes, "model", infos, made, weights)
    ids = [onnx.helper.make_opsetid("", opset)]
    return onnx.helper.make_model(
        graph, opset_imports=ids, producer_name="tinygrad_opt", producer_version=__version__,
        ir_version=onnx.helper.find_min_ir_version_for(ids),
    )  # fmt: skip


def _write(g: Graph, event: Merged, values: list[Any]) -> None:
    """Enter an operation's results into `values`: constants, or what its row makes of it."""
    g.what = event.name
    if event.steady and all(values[n].array is not None for n in event.needs):
        for i, arrays in enumerate(event.results):
            array = arrays[0]
            values[event.first + i] = Value(g, "", array.shape, array.dtype, array)
        return
    if event.name == "made":
        values[event.first] = g.varying(event.results[0])
        return
    row = operations.ROWS.get(event.name)
    if row is None:
        _refuse(event.name)
    try:
        names = row(g, event)
    except NotImplementedError as error:
        _refuse(str(error))
    names = names if isinstance(names, tuple) else (names,)
    for i, (name, arrays) in enumerate(zip(names, event.results, strict=True)):
        values[event.first + i] = Value(g, name, shape_of(arrays), arrays[0].dtype)


def _refuse(what: str) -> NoReturn:
    raise UnsupportedOperatorError(
        f"{what} has no form in ONNX here; compute it outside of the model"
    )


def _leaves(tree: Any) -> list[Any]:
    if isinstance(tree, (Known, Fixed)):
        return [tree]
    if isinstance(tree, tuple):
        return [leaf for part in tree for leaf in _leaves(part)]
    return []


def _output_names(count: int, given: Sequence[str] | None) -> list[str]:
    if given and len(given) > count:
        raise ValueError(f"onnx.export: {len(given)} output_names for {count} tensors")
    usual = ["output"] if count == 1 else [f"output_{i}" for i in range(count)]
    return [*(given or ()), *usual[len(given or ()) :]]


def _dim(length: Any, runs: list[dict[str, int]]) -> Any:
    """A length as it stands in the graph's signature: a number, an axis, or anything."""
    if not isinstance(length, Size):
        return length
    try:
        form = fitted(length, runs, "a length")
    except OnnxExporterError:
        return None
    return next((axes[0] for axes in form if len(axes) == 1 and form == {axes: 1}), None)
