"""Tensor: an array that remembers how it was made.

The class is sugar: fields and conversions stand here, the mathematics in `ops/`, the functions by
PyTorch's names in `functions/` (bound in `operators.py`), the graph in `autograd/`.
"""

from __future__ import annotations

import builtins
import copy
import warnings
from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any

import numpy as np

from .. import ops
from ..arrays import dtypes
from ..arrays.device import CPU, Device, device_of
from ..arrays.quiet import quiet_cast
from ..arrays.size import Size, size_of
from ..autograd import saved_values
from ..autograd.hooks import KEEP_GRAD, KeepGrad, RemovableHandle, hooks_of
from ..tensors import gradients, indexing, printing
from ..tensors.inplace import InPlace
from ..tensors.memory import Description, own_attributes
from ..tensors.methods import Operators
from . import backward as engine
from .node import Node, Variable
from .public import name_methods
from .record import use_tensor_class, wrap_as, wrap_plain

__all__ = ["Size", "Tensor"]


class Tensor(Operators, InPlace, Description, Variable):
    """An n-dimensional array with reverse-mode automatic differentiation.

    `Tensor([1, 2])` makes a tensor of the default float type, whatever the type of the data, and
    `Tensor(2, 3)` one of that size with whatever its memory holds. `Tensor(array)` shares the
    memory of an array of that type, `Tensor(tensor)` that of any tensor. Most code says
    `tinygrad_opt.tensor(data)` instead, which always copies and infers the type.

    array          the raw array; writing to it is seen by the tensor, and not by autograd
    grad           the gradient accumulated by `backward()`: a Tensor, or None
    requires_grad  whether operations on it are recorded
    grad_fn        the Node of the operation that made it; None for a leaf

    >>> x = Tensor([1.0, 2.0]).requires_grad_()
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    __slots__ = ()
    __array_priority__ = 1000  # NumPy arrays leave `array * tensor` to the tensor
    _namespace = ops

    def __new__(cls, *args: Any, **named: Any) -> Any:
        from ..tensors.typed import contents

        return contents("Tensor", dtypes.get_default_dtype(), *args, **named).as_subclass(cls)

    requires_grad = property(attrgetter("_requires_grad"), gradients.set_requires_grad)

    # What it is -----------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The length of each axis."""
        return size_of(Size, self.array.shape)

    @property
    def dtype(self) -> dtypes.DType:
        """The element type, a `numpy.dtype`."""
        return self.array.dtype

    @property
    def device(self) -> Device:
        """Where the memory lies: cpu or cuda:N."""
        return CPU if type(self.array) is np.ndarray else device_of(self.array)

    @property
    def is_cuda(self) -> bool:
        """Whether the memory lies on a CUDA device."""
        return self.device.type == "cuda"

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made this tensor."""
        return self.node is None

    @property
    def grad_fn(self) -> Node | None:
        """The operation that made this tensor; None for a leaf."""
        return self.node

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the length of axis `dim`."""
        return self.shape if dim is None else self.array.shape[dim]

    def numel(self) -> int:
        """The number of elements."""
        return int(self.array.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes per element."""
        return int(self.array.itemsize)

    def is_floating_point(self) -> bool:
        """Whether the elements are floats."""
        return bool(self.array.dtype.kind == "f")

    def is_contiguous(self) -> bool:
        """Whether the elements lie in memory in row-major order."""
        return bool(self.array.flags.c_contiguous)

    # Gradients ------------------------------------------------------------------------------------

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
        if value is not None:
            gradients.check_grad(self, value)
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
            gradients.set_requires_grad(self, requires_grad)
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
        hooks = None if self.node is None else self.node.hooks
        return hooks is not None and KEEP_GRAD in hooks

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Calls `hook(grad)` when this tensor's gradient is known; what it returns replaces it."""
        if not self.requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        return hooks_of(self).add(hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Calls `hook(self)` each time backward has added to `.grad`; for leaves."""
        if self.node is not None or not self.requires_grad:
            raise RuntimeError(
                "post accumulate grad hooks cannot be registered on non-leaf tensors, nor on "
                "tensors that don't require gradient"
            )
        return hooks_of(self).add_posthook(hook)

    @property
    def _version(self) -> builtins.int:
        """How often the memory was written to in place; views share it with what they view."""
        return 0 if self._unversioned else saved_values.version(self.array)

    def detach(self) -> Tensor:
        """The same memory without history: nothing flows back through it."""
        return wrap_plain(self.array)

    @property
    def data(self) -> Tensor:
        """As `detach()`, but backward does not notice writes to it.

        Assigning gives this tensor another array, past autograd.
        """
        tensor = wrap_plain(self.array)
        tensor._unversioned = True
        return tensor

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Variable):
            raise TypeError(f"Variable data has to be a tensor, but got {type(value).__name__}")
        self.array = value.array
        if self._edits is not None:
            self._edits.made = True

    # Conversions ----------------------------------------------------------------------------------

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: builtins.bool = False,
        copy: builtins.bool = False,
    ) -> Tensor:
        """On another device, in another type, or both: `to("cuda")`, `to(float64)`, `to(other)`.

        Returns the tensor itself if nothing changes, unless `copy`. Gradients flow back through
        the conversion. `non_blocking` is accepted; copies between devices wait.
        """
        for arg in args:
            if isinstance(arg, Variable):
                dtype, device = arg.array.dtype, device_of(arg.array)
            elif isinstance(arg, (str, Device)):
                device = arg
            elif arg is not None and not isinstance(arg, bool):
                dtype = np.dtype(arg)
        result = self
        if dtype is not None and np.dtype(dtype) != self.array.dtype:
            dtype = np.dtype(dtype)
            if dtype.kind == "f":
                result = ops.cast(result, dtype=dtype)
            else:  # integers and bools have no gradient
                result = wrap_plain(quiet_cast(self.array, dtype))
        if device is not None and Device(device) != self.device:
            result = ops.to_device(result, device=Device(device))
        return result.clone() if copy and result is self else result

    def cpu(self) -> Tensor:
        """In main memory."""
        return self.to(CPU)

    def cuda(self, device: int | None = None) -> Tensor:
        """On a CUDA device."""
        return self.to(Device("cuda", device))

    def type(self, dtype: Any = None) -> Any:
        """PyTorch's name of the type, or the tensor converted to `dtype` or such a name."""
        if dtype is None:
            device = "cuda." if self.is_cuda else ""
            return f"torch.{device}{dtypes.name_of(self.dtype)}Tensor"
        return self.to(*dtypes.named(dtype)) if isinstance(dtype, str) else self.to(dtype)

    def float(self) -> Tensor:
        """As float32."""
        return self.to(dtypes.float32)

    def double(self) -> Tensor:
        """As float64."""
        return self.to(dtypes.float64)

    def half(self) -> Tensor:
        """As float16."""
        return self.to(dtypes.float16)

    def long(self) -> Tensor:
        """As int64."""
        return self.to(dtypes.int64)

    def int(self) -> Tensor:
        """As int32."""
        return self.to(dtypes.int32)

    def bool(self) -> Tensor:
        """As bool."""
        return self.to(dtypes.bool)

    def type_as(self, other: Tensor) -> Tensor:
        """In the type of `other`."""
        return self.to(other.dtype)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The NumPy array, sharing memory. Raises where a gradient or a device stands between."""
        if self.requires_grad:
            raise RuntimeError(
                "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() "
                "instead."
            )
        if type(self.array) is not np.ndarray:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to "
                "copy the tensor to host memory first."
            )
        return self.array

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        return np.array(array, dtype=dtype, copy=copy) if dtype is not None or copy else array

    def item(self) -> Any:
        """The single element as a Python number."""
        if self.array.size != 1:
            raise RuntimeError(
                f"a Tensor with {self.array.size} elements cannot be converted to Scalar"
            )
        return self.array.item()

    def tolist(self) -> Any:
        """Nested Python lists of the elements; a number for a 0-d tensor."""
        return self.array.tolist()

    def clone(self) -> Tensor:
        """A copy that gradients flow back through."""
        return ops.clone(self)

    def contiguous(self) -> Tensor:
        """In row-major memory: itself if it lies so already, else a copy."""
        return self if self.is_contiguous() else ops.clone(self)

    def __float__(self) -> Any:
        return builtins.float(self._single())

    def __int__(self) -> Any:
        return builtins.int(self._single())

    def __complex__(self) -> Any:
        return complex(self._single())

    def __index__(self) -> Any:
        if self.array.dtype.kind not in "iub" or self.array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return builtins.int(self.array.item())

    def _single(self) -> Any:
        if self.array.size != 1:  # ValueError: matplotlib and others go on from there
            raise ValueError(
                "only one element tensors can be converted to Python scalars, got one of shape "
                f"{tuple(self.array.shape)}"
            )
        return self.array.item()

    def __bool__(self) -> Any:
        if self.array.size != 1:
            raise RuntimeError(
                "Boolean value of Tensor with more than one value is ambiguous"
                if self.array.size
                else "Boolean value of Tensor with no values is ambiguous"
            )
        return builtins.bool(self.array.item())

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if self.array.ndim == 0 else object.__format__(self, spec)

    def __repr__(self) -> str:
        return printing.to_text(self)

    def __deepcopy__(self, memo: dict[Any, Any]) -> Any:
        if self.node is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
                "protocol; take tensor.detach().clone()"
            )
        copied = wrap_as(type(self), self.array.copy(), self.requires_grad)
        memo[id(self)] = copied
        if self._grad is not None:
            copied._grad = wrap_plain(self._grad.array.copy())
        copied.__dict__.update(copy.deepcopy(own_attributes(self), memo))
        return copied

    def __reduce__(self) -> Any:
        attributes = own_attributes(self)
        parts = (type(self), self.array, self.requires_grad)
        return (wrap_as, parts, attributes) if attributes else (wrap_as, parts)

    # Container ------------------------------------------------------------------------------------

    def __len__(self) -> Any:
        if self.array.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return len(self.array)

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self.array)))

    def __contains__(self, value: Any) -> Any:
        return builtins.bool((self.array == getattr(value, "array", value)).any())

    def __getitem__(self, index: Any) -> Tensor:
        basic, advanced = indexing.parts_of(index)
        try:
            picked = self if basic is None else ops.getitem(self, index=basic)
            return picked if advanced is None else ops.getitem(picked, index=advanced)
        except IndexError as error:
            raise indexing.explained(error, tuple(self.array.shape)) from error

    __hash__ = object.__hash__  # by identity: tensors are keys of optimizer state


name_methods(Tensor)
use_tensor_class(Tensor)
