"""What becomes of the functions that are watched as a whole: layers, comparisons, choices.

Their arguments are those of the function, `e.input` the first.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arrays.size import WHOLE
from .graph import Graph, Value
from .operations import axes_of, row

__all__: list[str] = []


def _each(value: Any, axes: int) -> list[int]:
    """An int or one for each axis, as a list."""
    values = [value] * axes if isinstance(value, WHOLE) else list(value)
    return values * axes if len(values) == 1 else values


def _batched(g: Graph, e: Any, axes: int) -> tuple[Any, bool]:
    """(the input with its batch axis, whether that is new)."""
    alone = e.input.ndim == axes + 1
    return (g("Unsqueeze", e.input, g.ints([0])) if alone else e.input), alone


def _unbatched(g: Graph, y: str, alone: bool) -> str:
    return g("Squeeze", y, g.ints([0])) if alone else y


# Convolution and pooling --------------------------------------------------------------------------


@row(*(f"conv{n}d" for n in (1, 2, 3)))
def _conv(g: Graph, e: Any) -> str:
    axes = int(e.name[-2])
    kernel, dilation = list(e.weight.shape[2:]), _each(e.dilation, axes)
    x, alone = _batched(g, e, axes)
    if e.padding == "same":
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pads = [r // 2 for r in reach] + [r - r // 2 for r in reach]
    else:
        pads = _each(0 if e.padding == "valid" else e.padding, axes) * 2
    y = g(
        "Conv", x, e.weight, e.bias, kernel_shape=kernel, strides=_each(e.stride, axes), pads=pads,
        dilations=dilation, group=e.groups,
    )  # fmt: skip
    return _unbatched(g, y, alone)


@row(*(f"conv_transpose{n}d" for n in (1, 2, 3)))
def _conv_transpose(g: Graph, e: Any) -> str:
    axes = int(e.name.rpartition("e")[2][0])
    x, alone = _batched(g, e, axes)
    y = g(
        "ConvTranspose", x, e.weight, e.bias, kernel_shape=list(e.weight.shape[2:]),
        strides=_each(e.stride, axes), pads=_each(e.padding, axes) * 2, group=e.groups,
        dilations=_each(e.dilation, axes), output_padding=_each(e.output_padding, axes),
    )  # fmt: skip
    return _unbatched(g, y, alone)


@row(*(f"{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)))
def _pool(g: Graph, e: Any) -> str:
    axes = int(e.name[-2])
    x, alone = _batched(g, e, axes)
    stride = e.kernel_size if e.stride in (None, ()) else e.stride
    settings: dict[str, Any] = {
        "kernel_shape": _each(e.kernel_size, axes), "strides": _each(stride, axes),
        "pads": _each(e.padding, axes) * 2, "ceil_mode": int(e.ceil_mode),
    }  # fmt: skip
    if e.name.startswith("max"):
        if e.return_indices:
            raise NotImplementedError(f"{e.name} with return_indices")
        return _unbatched(g, g("MaxPool", x, dilations=_each(e.dilation, axes), **settings), alone)
    if e.given("divisor_override") is not None:
        raise NotImplementedError(f"{e.name} with divisor_override")
    settings["count_include_pad"] = int(e.count_include_pad)
    return _unbatched(g, g("AveragePool", x, **settings), alone)


@row(*(f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3)))
def _adaptive(g: Graph, e: Any) -> str:
    axes, kind = int(e.name[-2]), e.name.split("_")[1]
    x, alone = _batched(g, e, axes)
    if e.given("return_indices"):
        raise NotImplementedError(f"{e.name} with return_indices")
    image, wanted = e.input.shape[-axes:], e.shape[-axes:]
    if tuple(wanted) == (1,) * axes:
        return _unbatched(
            g, g({"max": "GlobalMaxPool", "avg": "GlobalAveragePool"}[kind], x), alone
        )
    kernel = []
    for n, out in zip(image, wanted, strict=True):
        if not isinstance(n, int) or not isinstance(out, int) or n % out:
            raise NotImplementedError(
                f"{e.name} to {out} of {n} cells: a size that is not 1 has to divide the image, "
                "whose size has to be fixed"
            )
        kernel.append(n // out)
    op = {"max": "MaxPool", "avg": "AveragePool"}[kind]
    return _unbatched(g, g(op, x, kernel_shape=kernel, strides=kernel), alone)


@row("interpolate")
def _interpolate(g: Graph, e: Any) -> str:
    modes = {"nearest": "nearest", "linear": "linear", "bilinear": "linear", "trilinear": "linear",
             "bicubic": "cubic"}  # fmt: skip
    if e.mode not in modes or e.antialias:
        raise NotImplementedError(f"interpolate with mode {e.mode!r} and antialias={e.antialias}")
    axes = e.input.ndim - 2
    scales = sizes = None
    if e.scale_factor is not None and not e.recompute_scale_factor:
        factors = e.scale_factor if isinstance(e.scale_factor, tuple) else (e.scale_factor,) * axes
        scales = g.constant(np.array([1.0, 1.0, *factors], dtype=np.float32))
    else:
        sizes = g.ints(e.shape)
    where = "align_corners" if e.align_corners else "half_pixel"
    settings: dict[str, Any] = {"coordinate_transformation_mode": where, "mode": modes[e.mode]}
    if e.mode == "nearest":
        settings |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    if e.mode == "bicubic":
        settings["cubic_coeff_a"] = -0.75
    return g("Resize", e.input, None, scales, sizes, **settings)


@row("pad")
def _pad(g: Graph, e: Any) -> str:
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    mode = modes[e.mode]
    if mode == "wrap" and g.opset < 19:
        raise NotImplementedError("pad with mode 'circular' below opset_version 19")
    sides = list(e.pad)
    axes = range(e.input.ndim - 1, e.input.ndim - 1 - len(sides) // 2, -1)
    low, high = [0] * e.input.ndim, [0] * e.input.ndim
    for i, axis in enumerate(axes):
        low[axis], high[axis] = sides[2 * i], sides[2 * i + 1]
    value = g.scalar(e.value or 0, e.dtype) if mode == "constant" else None
    return g("Pad", e.input, g.ints([*low, *high]), value, mode=mode)


# Normalisation ------------------------------------------------------------------------------------


@row("batch_norm")
def _batch_norm(g: Graph, e: Any) -> str:
    if e.training:
        raise NotImplementedError("batch_norm of a batch's own mean and variance (in training)")
    channels = e.input.shape[1]
    weight = g.constant(np.ones(channels, e.dtype)) if e.weight is None else e.weight
    bias = g.constant(np.zeros(channels, e.dtype)) if e.bias is None else e.bias
    return g(
        "BatchNormalization", e.input, weight, bias, e.running_mean, e.running_var,
        epsilon=float(e.eps),
    )  # fmt: skip


@row("layer_norm")
def _layer_norm(g: Graph, e: Any) -> str:
    shape = [e.normalized_shape] if isinstance(e.normalized_shape, int) else e.normalized_shape
    weight = g.constant(np.ones(tuple(shape), e.dtype)) if e.weight is None else e.weight
    return g("LayerNormalization", e.input, weight, e.bias, axis=-len(shape), epsilon=float(e.eps))


@row("group_norm", "instance_norm")
def _group_norm(g: Graph, e: Any) -> str:
    if e.given("running_mean") is not None and not e.use_input_stats:
        raise NotImplementedError("instance_norm with running statistics")
    channels = e.input.shape[1]
    groups = e.num_groups if e.name == "group_norm" else channels
    apart = g("Reshape", e.input, g.constant(np.array([0, groups, -1])))
    ones, zeros = g.constant(np.ones(groups, e.dtype)), g.constant(np.zeros(groups, e.dtype))
    y = g("InstanceNormalization", apart, ones, zeros, epsilon=float(e.eps))
    y = g.reshaped(y, e.shape)
    along = [-1, *(1,) * (e.input.ndim - 2)]
    y = y if e.weight is None else g("Mul", y, g.reshaped(e.weight, along))
    return y if e.bias is None else g("Add", y, g.reshaped(e.bias, along))


# Comparisons and logic ----------------------------------------------------------------------------

_COMPARISONS = {"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater",
                "ge": "GreaterOrEqual"}  # fmt: skip
_LOGIC = {"and": "And", "or": "Or", "xor": "Xor"}
_BOOL = np.dtype(bool)


@row("ne", *_COMPARISONS)
def _comparison(g: Graph, e: Any) -> str:
    kind = e.common(e.input, e.other)
    if kind.kind == "b":  # which ONNX neither orders nor compares with a number
        kind = np.dtype(np.int32)
    x, y = g.operand(e.input, kind), g.operand(e.other, kind)
    return g("Not", g("Equal", x, y)) if e.name == "ne" else g(_COMPARISONS[e.name], x, y)


@row(*(f"{kind}_{name}" for kind in ("logical", "bitwise") for name in _LOGIC))
def _logic(g: Graph, e: Any) -> str:
    kind, _, name = e.name.partition("_")
    if kind == "logical" or e.dtype == bool:
        return g(_LOGIC[name], g.operand(e.input, _BOOL), g.operand(e.other, _BOOL))
    if g.opset < 18:
        raise NotImplementedError(f"{e.name} of integers below opset_version 18")
    x, y = g.operand(e.input, e.dtype), g.operand(e.other, e.dtype)
    return g(f"Bitwise{_LOGIC[name]}", x, y)


@row("logical_not", "bitwise_not")
def _not(g: Graph, e: Any) -> str:
    if e.name == "bitwise_not" and e.dtype != bool:
        return g("Sub", g("Neg", e.input), g.scalar(1, e.dtype))
    return g("Not", g.operand(e.input, _BOOL))


@row("isnan", "isinf", "isfinite")
def _kinds(g: Graph, e: Any) -> str:
    if e.name == "isfinite":
        return g("Not", g("Or", g("IsNaN", e.input), g("IsInf", e.input)))
    return g({"isnan": "IsNaN", "isinf": "IsInf"}[e.name], e.input)


@row("any", "all")
def _quantifier(g: Graph, e: Any) -> str:
    true = g("Cast", g.operand(e.input, _BOOL), to=g.type_of(np.int32))
    op = "ReduceMax" if e.name == "any" else "ReduceMin"
    return g("Cast", g.reduced(op, true, axes_of(e.dim), e.keepdim), to=g.type_of(bool))


# Choosing -----------------------------------------------------------------------------------------


@row("argmax", "argmin")
def _argument(g: Graph, e: Any) -> str:
    op, x, axis = {"argmax": "ArgMax", "argmin": "ArgMin"}[e.name], e.input, e.dim
    if axis is None:
        x, axis = g("Reshape", x, g.ints([-1])), 0
    return g(op, x, axis=axis, keepdims=int(e.keepdim))


@row("max", "min")
def _extremum(g: Graph, e: Any) -> Any:
    name = e.name.capitalize()
    other = e.given("other") if isinstance(e.given("other"), Value) else e.dim
    if isinstance(other, Value):
        return g(name, g.operand(e.input, e.dtype), g.operand(other, e.dtype))
    if other is None:
        return g.reduced(f"Reduce{name}", e.input, None, False)
    values = g.reduced(f"Reduce{name}", e.input, [other], e.keepdim)
    return values, g(f"Arg{name}", e.input, axis=other, keepdims=int(e.keepdim))


@row("topk", "sort", "argsort")
def _sorted(g: Graph, e: Any) -> Any:
    axis = -1 if e.dim is None else e.dim
    count = e.k if e.name == "topk" else e.input.shape[axis]
    largest = e.largest if e.name == "topk" else e.descending
    made = g("TopK", e.input, g.ints([count]), axis=axis, largest=int(largest), outputs=2)
    return made[1] if e.name == "argsort" else made


@row("tril", "triu")
def _triangle(g: Graph, e: Any) -> str:
    x = g.operand(e.input, np.dtype(np.int64)) if e.dtype == bool else e.input
    y = g("Trilu", x, g.ints([e.diagonal]), upper=int(e.name == "triu"))
    return g("Cast", y, to=g.type_of(bool)) if e.dtype == bool else y


@row("embedding")
def _embedding(g: Graph, e: Any) -> str:
    if e.max_norm is not None:
        raise NotImplementedError("embedding with max_norm, which changes the table")
    return g("Gather", e.weight, e.input, axis=0)


@row("one_hot")
def _one_hot(g: Graph, e: Any) -> str:
    values = g.constant(np.array([0, 1], dtype=np.int64))
    return g("OneHot", e.input, g.ints([e.shape[-1]]), values, axis=-1)


@row("gather", "index_select", "scatter")
def _gather(g: Graph, e: Any) -> str:
    if e.name == "gather":
        return g("GatherElements", e.input, e.index, axis=e.dim)
    if e.name == "index_select":
        return g("Gather", e.input, e.index, axis=e.dim)
    if e.given("reduce") is not None:
        raise NotImplementedError("scatter with reduce")
    source = e.given("src") if e.given("src") is not None else e.given("value")
    values = g.operand(source, e.dtype)
    if not isinstance(source, Value):
        values = g("Expand", values, g.ints(e.index.shape))
    return g("ScatterElements", e.input, e.index, values, axis=e.dim)
