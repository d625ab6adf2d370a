"""Ways into the graph, as `torch.autograd.graph`: what is saved for backward, edges, hooks.

`saved_tensors_hooks` decides how the values that backward needs are kept. What a pullback needs is
what it holds in its closure; that is taken out, packed, and put back when backward comes.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from types import CellType, FunctionType
from typing import Any, NamedTuple

from ..core import record
from ..core.node import Node, Variable
from ..core.tensor import Tensor, wrap_plain
from .edges import AccumulateGrad, GradientEdge
from .hooks import RemovableHandle
from .saved_values import values_read
from .view_history import current

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge",
    "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class _Stack(threading.local):
    def __init__(self) -> None:
        self.hooks: list[tuple[Any, Any]] = []
        self.refused: str | None = None


_stack = _Stack()


class saved_tensors_hooks:
    """Within it, `pack_hook(tensor)` says how a value that backward needs is kept.

    `unpack_hook(packed)` is given what that returned, when backward needs the value, and returns a
    Tensor of the same shape and type. So saved values can go to disk, or be made smaller. Of
    nested ones the innermost counts. Functions of one's own (`autograd.Function`) and second
    derivatives (`create_graph`) keep what they need by themselves.
    Raises RuntimeError where `disable_saved_tensors_hooks` forbids it, and in backward for what is
    no such Tensor.

    >>> x = tensor([2.0], requires_grad=True)
    >>> with saved_tensors_hooks(lambda t: t.numpy(), lambda array: tensor(array)):
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor([4.])
    """

    def __init__(self, pack_hook: Callable[..., Any], unpack_hook: Callable[..., Any]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if _stack.refused is not None:
            raise RuntimeError(_stack.refused)
        _stack.hooks.append((self.pack_hook, self.unpack_hook))
        self._before = record.record
        record.record = _record_packed

    def __exit__(self, *error: object) -> None:
        record.record = self._before
        _stack.hooks.pop()


class save_on_cpu(saved_tensors_hooks):
    """Within it, what backward needs is kept on the CPU, and moved back when it is needed.

    `pin_memory` and `device_type` are accepted.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(
            lambda tensor: (tensor.device, tensor.cpu()), lambda packed: packed[1].to(packed[0])
        )


class disable_saved_tensors_hooks:
    """Within it, `saved_tensors_hooks` raises RuntimeError with this message."""

    def __init__(self, error_message: str) -> None:
        self._message = error_message

    def __enter__(self) -> None:
        self._before, _stack.refused = _stack.refused, self._message

    def __exit__(self, *error: object) -> None:
        _stack.refused = self._before


# Taking arrays out of closures --------------------------------------------------------------------


def _record_packed(
    value: Any, op: Any, inputs: Any, targets: Any, params: dict[str, Any], output: Any
) -> Any:
    made = record.record_plainly(value, op, inputs, targets, params, output)
    if _stack.hooks:
        store = _Store(*_stack.hooks[-1])
        pullbacks = [
            None if x is None or pullback is None else _Packed(store, store.emptied(pullback))
            for x, pullback in zip(targets, output[1:], strict=False)
        ]
        made.node.output = (None, *pullbacks)
    return made


class _Slot:
    """Stands in the place of an array."""

    def __init__(self, place: int) -> None:
        self.place = place


class _Store:
    """The packed values of one Node, each packed once."""

    def __init__(self, pack: Any, unpack: Any) -> None:
        self._pack, self._unpack = pack, unpack
        self._places: dict[int, int] = {}
        self._packed: list[tuple[Any, Any, Any]] = []

    def emptied(self, value: Any) -> Any:
        """The value with packed arrays in the place of arrays."""
        return _exchanged(value, self._to_slot, values_read)

    def _to_slot(self, value: Any) -> Any:
        array = value.array if isinstance(value, Variable) else value
        if not hasattr(array, "strides"):
            return value
        if id(array) not in self._places:
            self._places[id(array)] = len(self._packed)
            self._packed.append((self._pack(wrap_plain(array)), array.shape, array.dtype))
        return _Slot(self._places[id(array)])

    def filled(self, value: Any) -> Any:
        """The value with arrays again."""
        return _exchanged(value, self._from_slot, None)

    def _from_slot(self, value: Any) -> Any:
        if not isinstance(value, _Slot):
            return value
        packed, shape, dtype = self._packed[value.place]
        tensor = self._unpack(packed)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                "saved_tensors_hooks: unpack_hook must return a Tensor, got "
                f"{type(tensor).__name__}"
            )
        if tensor.array.shape != shape or tensor.array.dtype != dtype:
            raise RuntimeError(
                f"saved_tensors_hooks: unpack_hook returned a tensor of {tensor.array.dtype} "
                f"{tuple(tensor.array.shape)} for one of {dtype} {tuple(shape)}"
            )
        return tensor.array


def _exchanged(value: Any, change: Callable[[Any], Any], read: Any) -> Any:
    """A value with `change` done to what is in it; functions become new ones.

    `read(code)`: the names of the closure whose values count; without it all.
    """
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        kind = tuple if isinstance(value, tuple) else list  # of what is derived from it, too
        return kind(_exchanged(part, change, read) for part in value)
    if not isinstance(value, FunctionType) or not (value.__closure__ or value.__defaults__):
        return change(value)
    names = None if read is None else read(value.__code__)
    cells = []
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
        if names is None or name in names:
            cell = CellType(_exchanged(cell.cell_contents, change, read))
        cells.append(cell)
    defaults = _exchanged(value.__defaults__ or (), change, read)
    made = FunctionType(value.__code__, value.__globals__, value.__name__, defaults, tuple(cells))
    made.__kwdefaults__ = value.__kwdefaults__
    return made


class _Packed:
    """A pullback whose arrays are packed."""

    def __init__(self, store: _Store, emptied: Any) -> None:
        self._store, self._emptied = store, emptied

    def __call__(self, g: Any) -> Any:
        return self._store.filled(self._emptied)(g)


# Edges and hooks ----------------------------------------------------------------------------------


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of `tensor` goes: (node, output_nr), which `grad` takes for an input.

    For a leaf the node is an AccumulateGrad. Raises RuntimeError for a tensor without gradient.
    """
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not "
                           "require gradients")  # fmt: skip
    node = current(tensor).node
    node = AccumulateGrad(tensor) if node is None else node
    return GradientEdge(node, 0, tensor)


class _Handles(NamedTuple):
    handles: tuple[RemovableHandle, ...]

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: str = "all"
) -> Any:
    """Calls `fn(gradients)` once the gradients of all `tensors` are there; returns a handle.

    `mode="any"`: calls `fn(gradient)` with the first that comes, in each backward pass. Tensors
    that require no gradient count as None. (PyTorch also calls it where a pass reaches some of
    them only.) Raises ValueError for other modes.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    arrived: dict[int, Any] = {}
    wanted = [i for i, tensor in enumerate(tensors) if tensor.requires_grad]

    def hook(i: int, gradient: Any) -> None:
        if mode == "any" and (i in arrived or not arrived):  # the first of a pass
            arrived.clear()
            fn(gradient)
        arrived[i] = gradient
        if len(arrived) == len(wanted):
            gradients = [arrived.get(k) for k in range(len(tensors))]
            arrived.clear()
            if mode == "all":
                fn(gradients)

    return _Handles(tuple(tensors[i].register_hook(functools.partial(hook, i)) for i in wanted))
