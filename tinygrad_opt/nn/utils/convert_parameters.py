"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from ... import functions
from ...core.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters as one vector, in order; gradients flow back through it.

    Raises TypeError for parameters on several devices.
    """
    return functions.cat([functions.flatten(p) for p in _on_one_device(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes the vector's elements into the parameters, in order.

    The values are copied, so the parameters keep their memory. Raises RuntimeError for a vector
    that is too short or too long, and TypeError for parameters on several devices; then nothing has
    changed.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    tensors = _on_one_device(parameters)
    needed = sum(p.numel() for p in tensors)
    if vec.array.shape != (needed,):
        raise RuntimeError(
            f"vector_to_parameters: the parameters hold {needed} elements, but the vector has "
            f"shape {vec.shape}"
        )
    start = 0
    for p in tensors:
        stop = start + p.numel()
        p.array[...] = vec.array[start:stop].reshape(p.array.shape)
        start = stop


def _on_one_device(parameters: Iterable[Tensor]) -> list[Tensor]:
    tensors = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    devices = {str(p.device) for p in tensors}
    if len(devices) > 1:
        raise TypeError(
            "Found two parameters on different devices, this is currently not supported: "
            + ", ".join(sorted(devices))
        )
    return tensors
