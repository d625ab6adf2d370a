"""Methods of Tensor that speak of its gradient, and the checks of what is assigned to it."""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

from ..arrays import dtypes
from ..autograd.hooks import KEEP_GRAD, KeepGrad, RemovableHandle, hooks_of
from ..autograd.view_history import current
from ..core import backward as engine
from ..core import versions
from ..core.node import Node, Variable
from ..core.tensor import Tensor

__all__ = ["Gradients", "check_float", "check_grad", "set_requires_grad"]

ndarray = np.ndarray


def set_requires_grad(tensor: Any, value: bool) -> None:
    """Switch recording for a leaf. Raises RuntimeError for non-leaves and for integers."""
    if not isinstance(value, bool):
        raise RuntimeError(f"requires_grad must be a bool, got {type(value).__name__}")
    if tensor.node is not None:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. To use a computed value in "
            "a subgraph that doesn't require differentiation use tensor.detach()"
        )
    if value:
        check_float(tensor.array)
    tensor._requires_grad = value


def check_float(array: Any, only: str = "only") -> None:
    """Raise RuntimeError unless `array` may require a gradient (PyTorch says Only when making)."""
    if array.dtype.kind not in "fc":
        raise RuntimeError(
            f"{only} Tensors of floating point dtype can require gradients, got "
            f"{dtypes.name_of(array.dtype)}; convert it first, for instance with .float()"
        )


def check_grad(tensor: Any, value: Any) -> None:
    """Raise unless `value` is fit to be the gradient of `tensor`."""
    if not isinstance(value, Variable):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type "
                        f"{type(value).__name__}")  # fmt: skip
    given, array = value.array, tensor.array
    if given.shape != array.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(given.shape)}' to a tensor of "
            f"size '{list(array.shape)}'. Please ensure that the gradient and the tensor "
            "are the same size"
        )
    if given.dtype != array.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient of type {dtypes.name_of(given.dtype)} to a "
            f"tensor of type {dtypes.name_of(array.dtype)}; they must be the same"
        )
    if type(given) is type(array) is np.ndarray:
        return
    device: Any = value.device  # type: ignore[attr-defined]
    if device != tensor.device:
        raise RuntimeError(
            f"attempting to assign a gradient on {device} to a tensor on {tensor.device}; they "
            "must be on the same device"
        )


def _fits(tensor: Any, value: Any) -> bool:
    """Whether `value` is fit to be the gradient of `tensor`, and both are as they are as a rule."""
    return (
        type(value) is Tensor
        and (given := value.array).shape == (array := tensor.array).shape
        and given.dtype is array.dtype
        and type(given) is type(array) is ndarray
    )


class _Quick:
    """What answers for most gradients that are assigned, a thousand before each step maybe."""

    fits: Callable[[Any, Any], bool] = staticmethod(_fits)  # optimizers bring machine code


quick = _Quick()


class Gradients(Tensor):
    """Methods; `methods.py` binds them to Tensor."""

    __slots__ = ()

    requires_grad = property(
        attrgetter("_requires_grad"), set_requires_grad,
        doc="Whether operations on this tensor are recorded, for gradients.",
    )  # fmt: skip

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made this tensor; None for a leaf."""
        return current(self).node

    @property
    def grad(self) -> Tensor | None:
        """The gradient that `backward()` accumulated, or None."""
        if self._grad is None and self.node is not None and not self.retains_grad:
            warnings.warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
                ".grad attribute won't be populated during autograd.backward(). If you indeed want "
                "the .grad field to be populated for a non-leaf Tensor, use .retain_grad() on it",
                stacklevel=2,
            )
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not quick.fits(self, value):
            check_grad(self, value)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._grad = None

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds the derivative of this tensor to the `.grad` of the leaves it was made from.

        `gradient`: where to start from, of this tensor's shape; optional for a single element.
        The rest, and the errors, as `autograd.backward`.
        """
        engine.backward(
            [self], None if gradient is None else [gradient], retain_graph, create_graph, inputs
        )

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switches recording for this leaf. Raises RuntimeError for non-leaves and integers."""
        if self.node is None or not requires_grad:  # results of operations require one already
            set_requires_grad(self, requires_grad)
        return self

    def retain_grad(self) -> None:
        """Keeps the gradient of this non-leaf in `.grad` when backward passes through it."""
        if not self.requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        if self.node is not None and not self.retains_grad:
            hooks_of(self)[KEEP_GRAD] = KeepGrad(self)

    @property
    def retains_grad(self) -> builtins.bool:
        """Whether `retain_grad` was called on this non-leaf."""
        hooks = None if self.node is None else current(self).node.hooks
        return hooks is not None and KEEP_GRAD in hooks

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls `hook(grad)` when this tensor's gradient is known; what it returns replaces it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return hooks_of(self).add(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls `hook(self)` each time backward has added to `.grad`; for leaves only."""
        if self.node is not None or not self.requires_grad:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors, nor on "
                "tensors that don't require gradient"
            )
        return hooks_of(self).add_posthook(hook)

    @property
    def _version(self) -> builtins.int:
        """How often the memory was written to in place; views share it with what they view."""
        return 0 if self._unversioned else versions.version(self.array)
