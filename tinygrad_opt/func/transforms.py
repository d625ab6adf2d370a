"""grad, vjp, jvp and Jacobians as functions of functions.

Each call makes fresh tensors of its arguments, runs the function on them, and differentiates with
`create_graph`, so that what comes out can be transformed once more. What depends on nothing but the
fresh tensors is handed out without history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import ops
from ..arrays.size import WHOLE
from ..autograd import functional
from ..autograd.grad import grad as engine_grad
from ..autograd.modes import enable_grad
from ..core.node import Node
from ..core.tensor import Tensor, wrap_plain
from .tree import flatten, leaves, map_leaves

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "vjp"]

Func = Callable[..., Any]
Argnums = int | tuple[int, ...]


def grad(func: Func, argnums: Argnums = 0, has_aux: bool = False) -> Func:
    """A function that returns the gradient of the scalar `func` by argument(s) `argnums`.

    The argument may be a nested structure of Tensors; the gradient has the same structure, and with
    several `argnums` is a tuple. `has_aux`: func returns (value, anything); the result is then
    (gradient, anything).

    >>> grad(lambda x: x**3)(tensor(2.0))
    tensor(12.)
    """
    both = grad_and_value(func, argnums, has_aux)

    def gradient(*args: Any, **kwargs: Any) -> Any:
        slope, value = both(*args, **kwargs)
        return (slope, value[1]) if has_aux else slope

    return gradient


def grad_and_value(func: Func, argnums: Argnums = 0, has_aux: bool = False) -> Func:
    """Like `grad`, of (gradient, value) together; with `has_aux` (gradient, (value, aux))."""

    def both(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            fresh, chosen = _fresh(args, argnums)
            result = func(*fresh, **kwargs)
            value, aux = _with_aux("grad", result, has_aux)
            if not isinstance(value, Tensor) or value.numel() != 1 or value.ndim > 0:
                raise RuntimeError(
                    "grad: Expected f(*args) to return a scalar tensor, got "
                    + (f"tensor with {value.ndim} dims" if isinstance(value, Tensor)
                       else type(value).__name__)
                )  # fmt: skip
            tensors, back = flatten(chosen)
            slope = back(_pull([value], tensors, [None], tensors))
        value = _plain(value, tensors)
        return slope, ((value, _plain(aux, tensors)) if has_aux else value)

    return both


def vjp(func: Func, *primals: Any, has_aux: bool = False) -> Any:
    """(func(*primals), function of cotangents): the second gives their product with the Jacobian.

    The function of cotangents takes what has the structure of func's output, and returns a tuple
    with an entry for each of `primals`. `has_aux`: func returns (output, anything), and the result
    has a third entry, anything.
    """
    with enable_grad():
        fresh = tuple(map_leaves(_alias, p) for p in primals)
        output, aux = _with_aux("vjp", func(*fresh), has_aux)
    inputs, back = flatten(fresh)
    outputs = leaves(output)

    def pull(*cotangents: Any, **_: Any) -> Any:
        with enable_grad():
            weights = leaves(cotangents[0] if len(cotangents) == 1 else cotangents)
            if len(weights) != len(outputs):
                raise RuntimeError(
                    f"vjp: Expected pytree structure of cotangents to be the same as that of the "
                    f"outputs: {len(outputs)} tensors, got {len(weights)}"
                )
            found = back(_pull(outputs, inputs, weights, inputs))
        return found

    result = _plain(output, inputs)
    return (result, pull, _plain(aux, inputs)) if has_aux else (result, pull)


def jvp(
    func: Func, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """(func(*primals), the derivative of func along `tangents`), both of the output's structure.

    `primals`, `tangents`: tuples of the same structure. Through two reverse passes: the pullback
    is linear in its cotangents, and differentiated by them.
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError("jvp: Expected primals and tangents to be tuples")
    directions = leaves(tangents)
    with enable_grad():
        fresh = tuple(map_leaves(_alias, p) for p in primals)
        output, aux = _with_aux("jvp", func(*fresh), has_aux)
        inputs = leaves(fresh)
        if [tuple(x.shape) for x in inputs] != [tuple(d.shape) for d in directions]:
            raise RuntimeError("jvp: primals and tangents must have the same structure and shapes")
        outputs, back = flatten(output)
        weights = [wrap_plain(functional._zeros(y)).requires_grad_() for y in outputs]
        pulled = _pull(outputs, inputs, weights, [])
        own = [*inputs, *weights]
        pushed = back(_pull(pulled, weights, directions, own))
    result = _plain(output, own)
    return (result, pushed, _plain(aux, own)) if has_aux else (result, pushed)


def jacrev(
    func: Func, argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Func:
    """A function that returns the Jacobian of `func` by argument(s) `argnums`.

    For a Tensor argument and a Tensor output: (*output, *argument); for structures of them, the
    output's structure of the argument's structure. `chunk_size` is accepted: one reverse pass for
    each output element.
    """

    def jacobian(*args: Any, **kwargs: Any) -> Any:
        with enable_grad():
            fresh, chosen = _fresh(args, argnums)
            output, aux = _with_aux("jacrev", func(*fresh, **kwargs), has_aux)
            inputs, back = flatten(chosen)
            found = map_leaves(lambda y: back(_rows(y, inputs)), output)
        return (found, _plain(aux, inputs)) if has_aux else found

    return jacobian


def _rows(y: Any, inputs: list[Any]) -> list[Any]:
    flat = y.reshape(-1)
    rows = [_pull([flat[i]], inputs, [None], inputs) for i in range(y.numel())]
    if not rows:
        return [wrap_plain(functional._zeros(x, tuple(y.shape))) for x in inputs]
    return [
        ops.stack([row[k] for row in rows]).reshape((*y.shape, *x.shape))
        for k, x in enumerate(inputs)
    ]


def jacfwd(
    func: Func, argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None,
    randomness: str = "error",
) -> Func:  # fmt: skip
    """Like `jacrev`: there is no forward mode here, so it costs one pass per output element."""
    return jacrev(func, argnums, has_aux=has_aux)


def hessian(func: Func, argnums: Argnums = 0) -> Func:
    """A function that returns the second derivatives of `func`: the Jacobian of its Jacobian."""
    return jacrev(jacrev(func, argnums), argnums)


# Arguments and results ----------------------------------------------------------------------------


def _alias(x: Any) -> Any:
    """A tensor of its own to differentiate by; connected to `x` if that has a gradient itself."""
    if not isinstance(x, Tensor):
        raise RuntimeError(f"func: Expected a Tensor to differentiate by, got {type(x).__name__}")
    if x.requires_grad:
        return ops.reshape(x, shape=x.array.shape)
    return wrap_plain(x.array).requires_grad_()


def _fresh(args: tuple[Any, ...], argnums: Argnums) -> tuple[list[Any], Any]:
    """The arguments, those to differentiate by replaced; and the replaced one(s)."""
    fresh = list(args)
    wanted = (argnums,) if isinstance(argnums, WHOLE) else tuple(argnums)
    for i in wanted:
        if not -len(args) <= i < len(args):
            raise RuntimeError(f"Got argnum={i}, but only {len(args)} positional inputs")
        fresh[i] = map_leaves(_alias, args[i])
    return fresh, fresh[argnums] if isinstance(argnums, WHOLE) else tuple(fresh[i] for i in wanted)


def _with_aux(name: str, result: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(
            f"{name}(f): output of function f should be a tuple: (output, aux) if has_aux is True"
        )
    return result


def _pull(outputs: list[Any], inputs: list[Any], weights: list[Any], own: list[Any]) -> list[Any]:
    """Gradients (zeros where there is none), without the history that ends in `own`."""
    pairs = [(y, w) for y, w in zip(outputs, weights, strict=True) if y.requires_grad]
    found: Any = [None] * len(inputs)
    if pairs:
        ys, ws = zip(*pairs, strict=True)
        found = engine_grad(ys, inputs, ws, create_graph=True, allow_unused=True)
    return [
        wrap_plain(functional._zeros(x)) if g is None else _plain(g, own)
        for x, g in zip(inputs, found, strict=True)
    ]


def _plain(tree: Any, own: list[Any]) -> Any:
    """Tensors that depend on nothing but the leaves among `own` lose their history."""
    ends = {id(x) for x in own if x.node is None}

    def plain(y: Any) -> Any:
        if not isinstance(y, Tensor) or not y.requires_grad or not own:
            return y
        return y.detach() if _ends_in(y, ends) else y

    return map_leaves(plain, tree)


def _ends_in(y: Any, ends: set[int]) -> bool:
    if y.node is None:
        return id(y) in ends
    seen: set[Node] = set()
    stack = [y.node]
    while stack:
        node = stack.pop()
        if node in seen:
            continue
        seen.add(node)
        for x in node.targets:
            if x is None:
                continue
            if x.node is not None:
                stack.append(x.node)
            elif id(x) not in ends:
                return False
    return True
