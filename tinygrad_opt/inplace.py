"""In-place forms: `add_`, `mul_`, `zero_`, `copy_`, `+=`, `x[i] = v`.

Writing in place is for tensors outside the graph: data, buffers, gradients, and parameters under
`no_grad()`. Where the write would have to be recorded, the method forms raise and say what to do;
the operators `+=`, `-=`, `*=`, `/=` fall back to making a new tensor, which is what
`total_loss += loss` means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ops, random
from .autograd.errors import explain
from .autograd.graph import Variable
from .autograd.modes import mode
from .backend import device_of, to_device, xp


def _refuse_recorded(tensor: Any, name: str, *others: Any) -> None:
    if not mode.enabled:
        return
    if tensor.requires_grad and tensor.node is None:
        raise RuntimeError(
            f"{name}: a leaf Variable that requires grad is being used in an in-place operation. "
            "Do it under no_grad(), or write to a new tensor"
        )
    if tensor.requires_grad or any(isinstance(x, Variable) and x.requires_grad for x in others):
        raise RuntimeError(
            f"{name}: this in-place operation would have to be recorded, which is not supported; "
            "use the form that returns a new tensor, or do it under no_grad() if no gradient "
            "should flow through it"
        )


def _write(tensor: Any, name: str, function: Any, *others: Any) -> Any:
    """Run `function(array, *raw others)`, which writes to the tensor's own array."""
    _refuse_recorded(tensor, name, *others)
    raw = [x.array if isinstance(x, Variable) else x for x in others]
    try:
        function(tensor.array, *raw)
    except (TypeError, ValueError) as error:
        if "same_kind" in str(error):
            raise RuntimeError(
                f"{name}: the result type can't be cast to the desired output type "
                f"{tensor.array.dtype}"
            ) from error
        raise explain(name, (tensor, *others), error) from error
    return tensor


def _iadd(a: Any, b: Any) -> None:
    a += b


def _isub(a: Any, b: Any) -> None:
    a -= b


def _imul(a: Any, b: Any) -> None:
    a *= b


def _idiv(a: Any, b: Any) -> None:
    a /= b


def _assign(a: Any, b: Any) -> None:
    a[...] = b


class InPlace:
    """The in-place methods of Tensor."""

    __slots__ = ()

    if TYPE_CHECKING:  # slots of Variable, which Tensor inherits from as well
        array: Any
        requires_grad: bool

    def add_(self, other: Any, *, alpha: float = 1) -> Any:
        """self += alpha * other."""
        return _write(self, "add_", _iadd, _scaled(other, alpha))

    def sub_(self, other: Any, *, alpha: float = 1) -> Any:
        """self -= alpha * other."""
        return _write(self, "sub_", _isub, _scaled(other, alpha))

    def mul_(self, other: Any) -> Any:
        """self *= other."""
        return _write(self, "mul_", _imul, other)

    def div_(self, other: Any) -> Any:
        """self /= other."""
        return _write(self, "div_", _idiv, other)

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        """self += value * tensor1 * tensor2."""
        return _write(self, "addcmul_", lambda a, x, y: _iadd(a, value * (x * y)), tensor1, tensor2)

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        """self += value * tensor1 / tensor2."""
        return _write(self, "addcdiv_", lambda a, x, y: _iadd(a, value * (x / y)), tensor1, tensor2)

    def lerp_(self, end: Any, weight: float) -> Any:
        """self += weight * (end - self)."""
        return _write(self, "lerp_", lambda a, b: _iadd(a, weight * (b - a)), end)

    def copy_(self, source: Any, non_blocking: bool = False) -> Any:
        """Takes over the values of `source`, cast to this type and moved to this device."""
        if isinstance(source, Variable):
            _refuse_recorded(self, "copy_", source)
            source = to_device(source.array, device_of(self.array))
        return _write(self, "copy_", _assign, source)

    def zero_(self) -> Any:
        """All elements 0."""
        return _write(self, "zero_", lambda a: a.fill(0))

    def fill_(self, value: Any) -> Any:
        """All elements `value`."""
        return _write(self, "fill_", _assign, value)

    def clamp_(self, min: Any = None, max: Any = None) -> Any:
        """Limited to [min, max]."""
        return _write(self, "clamp_", lambda a: a.clip(min, max, out=a))

    clip_ = clamp_

    def exp_(self) -> Any:
        """exp(self)."""
        return _write(self, "exp_", lambda a: _assign(a, ops.exp(a)))

    def sqrt_(self) -> Any:
        """sqrt(self)."""
        return _write(self, "sqrt_", lambda a: _assign(a, ops.sqrt(a)))

    def neg_(self) -> Any:
        """-self."""
        return _write(self, "neg_", lambda a: _assign(a, -a))

    def masked_fill_(self, mask: Any, value: Any) -> Any:
        """`value` where mask is True."""

        def put(a: Any, m: Any, v: Any) -> None:
            a[xp(m).broadcast_to(m, a.shape) if hasattr(m, "shape") else m] = v

        return _write(self, "masked_fill_", put, mask, value)

    def uniform_(self, a: float = 0.0, b: float = 1.0, *, generator: Any = None) -> Any:
        """Drawn from the uniform distribution on [a, b)."""
        return _write(self, "uniform_", lambda x: random.fill_uniform(x, a, b, generator))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
        """Drawn from the normal distribution."""
        return _write(self, "normal_", lambda x: random.fill_normal(x, mean, std, generator))

    def detach_(self) -> Any:
        """Forgets how this tensor was made."""
        forgotten: Any = self
        forgotten.node, forgotten.requires_grad = None, False
        return self

    def __setitem__(self, index: Any, value: Any) -> None:
        from ._tensor import _raw_index

        raw = _raw_index(index)

        def put(a: Any, v: Any) -> None:
            a[raw] = v

        _write(self, "setitem", put, value)

    def __iadd__(self, other: Any) -> Any:
        return _rebind_or_write(self, "add_", _iadd, ops.add, other)

    def __isub__(self, other: Any) -> Any:
        return _rebind_or_write(self, "sub_", _isub, ops.sub, other)

    def __imul__(self, other: Any) -> Any:
        return _rebind_or_write(self, "mul_", _imul, ops.mul, other)

    def __itruediv__(self, other: Any) -> Any:
        return _rebind_or_write(self, "div_", _idiv, ops.div, other)


def _scaled(other: Any, alpha: float) -> Any:
    return other if alpha == 1 else ops.mul(other, alpha)


def _rebind_or_write(tensor: Any, name: str, write: Any, operation: Any, other: Any) -> Any:
    """`x += y`: in place outside the graph; in the graph a new tensor for the same name."""
    leaf = tensor.requires_grad and tensor.node is None
    recorded = tensor.requires_grad or (isinstance(other, Variable) and other.requires_grad)
    if mode.enabled and recorded and not leaf:
        return operation(tensor, other)
    return _write(tensor, name, write, other)
