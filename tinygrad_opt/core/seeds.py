"""What a backward pass starts from: the outputs, and the gradient at each."""

from __future__ import annotations

from typing import Any

from ..arrays.device import device_of
from ..arrays.xp import array_namespace, same_library
from .node import Variable
from .tensor import wrap_plain

__all__ = ["as_list", "seeds_of"]


def as_list(tensors: Any) -> list[Any]:
    items = [tensors] if isinstance(tensors, Variable) else list(tensors)
    for x in items:
        if not isinstance(x, Variable):
            raise TypeError(f"backward: expected Tensors to differentiate, got {type(x).__name__}")
    return items


def seeds_of(outputs: list[Any], given: Any, create_graph: bool) -> list[Any]:
    """The gradient to start from at each output: what was given, or 1 for a scalar."""
    if given is None:
        given = [None] * len(outputs)
    seeds = list(given) if isinstance(given, (list, tuple)) else [given]
    if len(seeds) != len(outputs):
        raise RuntimeError(
            f"backward: got {len(outputs)} tensors and {len(seeds)} gradients; give one for each"
        )
    return [_seed(i, x, seeds[i], create_graph) for i, x in enumerate(outputs)]


def _seed(i: int, x: Any, seed: Any, create_graph: bool) -> Any:
    if not x.requires_grad:
        raise RuntimeError(
            f"element {i} of tensors does not require grad and does not have a grad_fn: nothing "
            "it was made from requires a gradient, or it was made under no_grad()"
        )
    array = x.array
    if seed is None:
        if array.size != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs, but this tensor has "
                f"shape {tuple(array.shape)}; reduce it first (loss.mean() or loss.sum()), or pass "
                "backward(gradient) with a gradient of its shape"
            )
        seed = array_namespace(array).array(1, array.dtype).reshape(array.shape)
    elif not hasattr(seed, "shape"):
        raise TypeError(
            f"backward: gradients can be either Tensors or None, but got {type(seed).__name__}"
        )
    elif tuple(seed.shape) != tuple(array.shape):
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{i}] has a shape of {tuple(seed.shape)} and output"
            f"[{i}] has a shape of {tuple(array.shape)}"
        )
    elif not same_library(getattr(seed, "array", seed), array):
        raise RuntimeError(
            f"backward: Expected all tensors to be on the same device, but grad_output[{i}] is on "
            f"{device_of(getattr(seed, 'array', seed))} and output[{i}] on {device_of(array)}"
        )
    if create_graph:
        return seed if isinstance(seed, Variable) else wrap_plain(seed)
    seed = seed.array if isinstance(seed, Variable) else seed
    return seed if seed.dtype == array.dtype else seed.astype(array.dtype)
