"""Jacobians, Hessians and products with them, of functions of Tensors; like `autograd.functional`.

Everything is made of backward passes. A Jacobian takes one for each output element. A product with
a vector on the right (`jvp`) takes two: w -> J^T w is linear, and its own derivative along v is
J v.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..arrays.xp import array_namespace
from ..core.node import Variable
from ..core.tensor import wrap_plain
from .grad import grad
from .modes import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Func = Callable[..., Any]


def vjp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v J): the product of a vector with the Jacobian.

    `inputs`: a Tensor or a tuple of them. `v`: of the shape of the output(s); optional for a single
    element. `create_graph`: the results can be differentiated. `strict`: raise RuntimeError where
    an output does not depend on an input, in place of zeros.
    """
    with enable_grad():
        xs, single = _inputs("vjp", inputs, create_graph)
        ys, one = _outputs("vjp", func(*xs))
        weights = _vector("vjp", v, ys)
        _strict(strict, "vjp", ys)
        found = _grads("vjp", ys, xs, weights, create_graph, strict)
    return _back(ys, one, create_graph), _back(found, single, create_graph)


def jvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), J v): the product of the Jacobian with a vector; arguments as `vjp`.

    `v`: of the shape of the inputs; optional for a single input of one element. Uses second
    derivatives of the operations.
    """
    with enable_grad():
        xs, _ = _inputs("jvp", inputs, create_graph)
        direction = _vector("jvp", v, xs)
        ys, one = _outputs("jvp", func(*xs))
        _strict(strict, "jvp", ys)
        weights = [wrap_plain(_zeros(y)).requires_grad_() for y in ys]
        pulled = _grads("jvp", ys, xs, weights, True, strict)
        pushed = _grads("jvp", pulled, weights, direction, create_graph, False)
    return _back(ys, one, create_graph), _back(pushed, one, create_graph)


def jacobian(
    func: Func,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The derivatives of every output element by every input element.

    A Tensor of shape (*output, *input); with several inputs a tuple of those, with several outputs
    a tuple of that. `vectorize` and `strategy` are accepted: the passes run one after another.
    """
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(
            f"jacobian: Expected strategy to be either 'forward-mode' or 'reverse-mode', got "
            f"{strategy!r}"
        )
    with enable_grad():
        xs, single = _inputs("jacobian", inputs, create_graph)
        ys, one = _outputs("jacobian", func(*xs))
        _strict(strict, "jacobian", ys)
        rows = [_jacobian_of(y, xs, create_graph, strict) for y in ys]
    rows = [_back(row, single, create_graph) for row in rows]
    return rows[0] if one else tuple(rows)


def _jacobian_of(y: Any, xs: tuple[Any, ...], create_graph: bool, strict: bool) -> Any:
    flat = y.reshape(-1)
    rows = [
        _grads("jacobian", [flat[i]], xs, [None], create_graph, strict, keep=True)
        for i in range(y.numel())
    ]
    if not rows:
        return tuple(wrap_plain(_zeros(x, tuple(y.shape))) for x in xs)
    return tuple(
        ops.stack([row[k] for row in rows]).reshape((*y.shape, *x.shape)) for k, x in enumerate(xs)
    )


def hessian(
    func: Func,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a scalar function: (*input, *input), or a tuple of tuples."""
    single = isinstance(inputs, Variable)

    def slope(*xs: Any) -> Any:
        ys, _ = _outputs("hessian", func(*xs))
        _scalar("hessian", ys)
        _strict(strict, "hessian", ys)
        found = _grads("hessian", ys, xs, [None], True, strict)
        return found[0] if single else found

    return jacobian(slope, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)


def vhp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), v H): the product of a vector with the Hessian of a scalar function.

    `v`: of the shape of the inputs; the other arguments as `vjp`.
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Func, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(func(*inputs), H v): as `vhp`, because second derivatives commute."""
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(
    name: str, func: Func, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    with enable_grad():
        xs, single = _inputs(name, inputs, create_graph)
        direction = _vector(name, v, xs)
        ys, one = _outputs(name, func(*xs))
        _scalar(name, ys)
        _strict(strict, name, ys)
        slope = _grads(name, ys, xs, [None], True, strict)
        found = _grads(name, slope, xs, direction, create_graph, strict)
    return _back(ys, one, create_graph), _back(found, single, create_graph)


# What goes in and comes out -----------------------------------------------------------------------


def _inputs(name: str, inputs: Any, create_graph: bool) -> tuple[tuple[Any, ...], bool]:
    """The inputs as new tensors that require a gradient, and whether it was a single one."""
    single = isinstance(inputs, Variable)
    given = (inputs,) if single else inputs
    if not isinstance(given, tuple) or not all(isinstance(x, Variable) for x in given):
        raise TypeError(
            f"The inputs given to {name} must be either a Tensor or a tuple of Tensors but the "
            f"given inputs has type {type(inputs).__name__}"
        )
    fresh = (
        ops.reshape(x, shape=x.array.shape) if create_graph and x.requires_grad
        else wrap_plain(x.array).requires_grad_()
        for x in given
    )  # fmt: skip
    return tuple(fresh), single


def _outputs(name: str, outputs: Any) -> tuple[tuple[Any, ...], bool]:
    one = isinstance(outputs, Variable)
    ys = (outputs,) if one else outputs
    if not isinstance(ys, tuple) or not all(isinstance(y, Variable) for y in ys):
        raise TypeError(
            f"The outputs of the user-provided function given to {name} must be either a Tensor or "
            f"a tuple of Tensors but the given outputs of the user-provided function has type "
            f"{type(outputs).__name__}"
        )
    return ys, one


def _scalar(name: str, ys: tuple[Any, ...]) -> None:
    if len(ys) != 1:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if ys[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )


def _vector(name: str, v: Any, like: tuple[Any, ...]) -> list[Any]:
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            what = "returns a single Tensor" if name == "vjp" else "has a single input"
            raise RuntimeError(
                f"{name}: The vector v can only be None if the user-provided function {what} with "
                "a single element."
            )
        return [wrap_plain(_zeros(like[0]) + 1)]
    vectors: list[Any] = [v] if isinstance(v, Variable) else list(v)
    if len(vectors) != len(like):
        raise RuntimeError(
            f"{name}: v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}."
        )
    for i, (a, b) in enumerate(zip(vectors, like, strict=True)):
        if tuple(a.shape) != tuple(b.shape):
            raise RuntimeError(
                f"{name}: v has invalid size: entry {i} should be {list(b.shape)} but got "
                f"{list(a.shape)}."
            )
    return vectors


def _strict(strict: bool, name: str, ys: tuple[Any, ...]) -> None:
    for i, y in enumerate(ys):
        if strict and not y.requires_grad:
            raise RuntimeError(
                f"{name}: Output {i} of the user-provided function does not require gradients. The "
                "outputs must be computed in a differentiable manner from the input when running "
                "in strict mode."
            )


def _grads(
    name: str,
    ys: Any,
    xs: Any,
    weights: Any,
    create_graph: bool,
    strict: bool,
    keep: bool = False,
) -> tuple[Any, ...]:
    """The gradients, zeros where an output does not depend on an input (an error if `strict`)."""
    pairs = [(y, w) for y, w in zip(ys, weights, strict=True) if y.requires_grad]
    found: Any = (None,) * len(xs)
    if pairs:
        outputs, seeds = zip(*pairs, strict=True)
        found = grad(
            outputs, xs, seeds, retain_graph=keep or create_graph, create_graph=create_graph,
            allow_unused=True,
        )  # fmt: skip
    for i, g in enumerate(found):
        if strict and g is None:
            raise RuntimeError(
                f"{name}: The output of the user-provided function is independent of input {i}. "
                "This is not allowed in strict mode."
            )
    return tuple(wrap_plain(_zeros(x)) if g is None else g for g, x in zip(found, xs, strict=True))


def _zeros(x: Any, leading: tuple[int, ...] = ()) -> Any:
    return array_namespace(x.array).zeros((*leading, *x.array.shape), x.array.dtype)


def _back(results: Any, single: bool, create_graph: bool) -> Any:
    """Results as the user gave or returned them: one Tensor or a tuple; detached by default."""
    if not create_graph:
        results = tuple(x.detach() for x in results)
    return results[0] if single else tuple(results)
