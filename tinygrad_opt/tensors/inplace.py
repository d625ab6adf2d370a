"""In-place forms: `add_`, `mul_`, `zero_`, `copy_`, `+=`, `x[i] = v`.

What a write is, and when it is recorded, says `writing.py`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..arrays import drawing, dtypes
from ..arrays.device import device_of, to_device
from ..arrays.rowsparse import RowSparse
from ..autograd import recorded_writes
from ..autograd.modes import no_grad
from ..core.node import Variable
from ..functions.arithmetic import is_one, scaled
from ..functions.choice import check_filling
from ..kernels.fused import arithmetic
from . import indexing
from .writing import cast_like, change, drawn, must_record, put


def _form(method: str) -> Callable[..., Any]:
    def form(self: Any, *args: Any, **kwargs: Any) -> Any:
        def function(x: Any, *others: Any) -> Any:
            named = zip(kwargs, others[len(args) :], strict=True)
            return getattr(x, method)(*others[: len(args)], **dict(named))

        def write(array: Any, *_: Any) -> None:
            with no_grad():
                array[...] = cast_like(self, form.__name__, function(self, *others)).array

        others = (*args, *kwargs.values())
        return change(self, form.__name__, write, function, *others)

    return _described(form, method + "_", f"Like `{method}`, in place.")


def _random_form(name: str) -> Callable[..., Any]:
    fill = getattr(drawing, f"fill_{name}")

    def form(self: Any, *args: Any, **kwargs: Any) -> Any:
        return drawn(self, form.__name__, lambda x: fill(x, *args, **kwargs))

    return _described(form, name + "_", fill.__doc__, inspect.signature(fill))


def _shape_form(method: str) -> Callable[..., Any]:
    def form(self: Any, *args: Any, **kwargs: Any) -> Any:
        must_record(self, form.__name__)  # leaves refuse
        recorded_writes.reshape(self, form.__name__, lambda x: getattr(x, method)(*args, **kwargs))
        return self

    return _described(form, method + "_", f"Like `{method}`, of this tensor itself.")


def _described(form: Any, name: str, doc: str, signature: Any = None) -> Any:
    """`form` with its name and documentation, and the signature of what it is the form of."""
    form.__name__, form.__qualname__, form.__doc__ = name, f"Tensor.{name}", doc
    form.__annotations__ = dict.fromkeys(form.__annotations__, Any)  # of whatever module it is like
    if signature is None:
        form.like = name[:-1]  # `methods.py` gives it the signature, once that method is there
    else:
        form.__signature__ = signature
    return form


def _iadd(a: Any, b: Any) -> None:
    if type(b) is RowSparse:
        b.add_to(a)
    elif not _by_kernel("add", a, b):
        a += b


def _isub(a: Any, b: Any) -> None:
    if not _by_kernel("sub", a, b):
        a -= b


def _imul(a: Any, b: Any) -> None:
    if not _by_kernel("mul", a, b):
        a *= b


def _idiv(a: Any, b: Any) -> None:
    if not _by_kernel("div", a, b):
        a /= b


def _by_kernel(name: str, a: Any, b: Any) -> bool:
    """Whether a large array was written to on several threads."""
    return type(a) is np.ndarray and a.size >= arithmetic.LEAST and arithmetic.into(name, a, b)


class InPlace:
    """The in-place methods of Tensor."""

    __slots__ = ()

    if TYPE_CHECKING:  # slots of Variable, which Tensor inherits from as well
        array: Any
        node: Any
        _requires_grad: bool

        def __getattr__(self, name: str) -> Any: ...  # the forms below

    # Arithmetic, without a temporary array ------------------------------------------------------

    def add_(self, other: Any, *old: Any, alpha: float = 1) -> Any:
        """self += alpha * other; in PyTorch's old form `add_(alpha, other)`."""
        if old:
            other, alpha = _old_form("add_", other, *old)
        return change(self, "add_", _iadd, ops.add, _scaled(self, other, alpha))

    def sub_(self, other: Any, *old: Any, alpha: float = 1) -> Any:
        """self -= alpha * other; in PyTorch's old form `sub_(alpha, other)`."""
        if old:
            other, alpha = _old_form("sub_", other, *old)
        return change(self, "sub_", _isub, ops.sub, _scaled(self, other, alpha))

    def mul_(self, other: Any) -> Any:
        """self *= other."""
        return change(self, "mul_", _imul, ops.mul, other)

    def div_(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        """self /= other."""
        if rounding_mode is not None:
            return _divided(self, other, rounding_mode=rounding_mode)
        return change(self, "div_", _idiv, ops.div, other)

    def addcmul_(self, tensor1: Any, tensor2: Any, *old: Any, value: float = 1) -> Any:
        """self += value * tensor1 * tensor2; in PyTorch's old form `addcmul_(value, t1, t2)`."""
        if old:
            tensor2, value, tensor1 = *_old_form("addcmul_", tensor1, *old), tensor2
        return _addcmul(self, tensor1, tensor2, value=value)

    def addcdiv_(self, tensor1: Any, tensor2: Any, *old: Any, value: float = 1) -> Any:
        """self += value * tensor1 / tensor2; in PyTorch's old form `addcdiv_(value, t1, t2)`."""
        if old:
            tensor2, value, tensor1 = *_old_form("addcdiv_", tensor1, *old), tensor2
        return _addcdiv(self, tensor1, tensor2, value=value)

    subtract_, multiply_, divide_, true_divide_ = sub_, mul_, div_, div_

    def __iadd__(self, other: Any) -> Any:
        return self.add_(other)

    def __isub__(self, other: Any) -> Any:
        return self.sub_(other)

    def __imul__(self, other: Any) -> Any:
        return self.mul_(other)

    def __itruediv__(self, other: Any) -> Any:
        return self.div_(other)

    def __ifloordiv__(self, other: Any) -> Any:
        return self.floor_divide_(other)

    def __imod__(self, other: Any) -> Any:
        return self.remainder_(other)

    def __ipow__(self, other: Any) -> Any:
        return self.pow_(other)

    def __iand__(self, other: Any) -> Any:
        return self.bitwise_and_(other)

    def __ior__(self, other: Any) -> Any:
        return self.bitwise_or_(other)

    def __ixor__(self, other: Any) -> Any:
        return self.bitwise_xor_(other)

    def __ilshift__(self, other: Any) -> Any:
        return self.bitwise_left_shift_(other)

    def __irshift__(self, other: Any) -> Any:
        return self.bitwise_right_shift_(other)

    # Overwriting ----------------------------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        if value is None or isinstance(value, str):
            kind = dtypes.name_of(self.array.dtype)
            raise TypeError(f"can't assign a {type(value).__name__} to a tensor of type {kind}")
        basic, advanced = indexing.parts_of(index)
        if advanced is None and getattr(value, "shape", None):  # of one element: x[0, 0] = ones(1)
            items = basic if type(basic) is tuple else (basic,)
            basic = items if ... in items else (*items, ...)
        try:
            if basic is None or advanced is None:
                put(self, "setitem", basic if advanced is None else advanced, value)
            else:
                put(self, "setitem", advanced, value, within=basic)
        except IndexError as error:
            raise indexing.explained(error, tuple(self.array.shape)) from error

    def copy_(self, other: Any, non_blocking: bool = False) -> Any:
        """Takes over the values of `other`, cast to this type and moved to this device."""
        if isinstance(other, Variable):
            here = device_of(self.array)
            if device_of(other.array) != here:
                other = ops.to_device(other, device=here)
        else:
            other = to_device(other, device_of(self.array))
        return put(self, "copy_", ..., other)

    def zero_(self) -> Any:
        """Sets all elements to 0."""
        put(_each_once(self), "zero_", ..., 0)
        return self

    def fill_(self, value: Any) -> Any:
        """Sets all elements to `value`, a number or a 0-d tensor."""
        if isinstance(value, Variable) and value.array.ndim:
            raise RuntimeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value.array.ndim} dimensions."
            )
        put(_each_once(self), "fill_", ..., value)
        return self

    def fill_diagonal_(self, fill_value: float, wrap: bool = False) -> Any:
        """Sets the main diagonal to a number; `wrap`: of a tall matrix also those that follow.

        Raises RuntimeError for less than two axes, and for more of different lengths.
        """
        shape = self.array.shape
        if len(shape) < 2:
            raise RuntimeError("dimensions must larger than 1: fill_diagonal_ needs a matrix")
        if len(shape) > 2 and len(set(shape)) > 1:
            raise RuntimeError(
                f"all dimensions of input must be of equal length, got {tuple(shape)}"
            )
        if len(shape) > 2 or not wrap:
            places = tuple(np.arange(min(shape)) for _ in shape)
        else:
            places = np.unravel_index(np.arange(0, shape[0] * shape[1], shape[1] + 1), shape)
        return put(self, "fill_diagonal_", places, fill_value)

    def masked_fill_(self, mask: Any, value: Any) -> Any:
        """`value`, cast to this type, where mask is True."""
        check_filling("masked_fill_", mask, value)
        m = ops.broadcast_to(mask, shape=self.array.shape)
        return put(self, "masked_fill_", getattr(m, "array", m), value)

    # Random values --------------------------------------------------------------------------------

    def uniform_(self, low: float = 0.0, /, to: float = 1.0, *, generator: Any = None) -> Any:
        """Drawn from the uniform distribution on [low, to); PyTorch calls `low` `from`."""
        return drawn(self, "uniform_", lambda x: drawing.fill_uniform(x, low, to, generator))

    def normal_(self, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
        """Drawn from the normal distribution."""
        return drawn(self, "normal_", lambda x: drawing.fill_normal(x, mean, std, generator))

    # History --------------------------------------------------------------------------------------

    def detach_(self) -> Any:
        """Forgets how this tensor was made. Raises RuntimeError for a view."""
        tensor: Any = self
        if tensor._base is not None:
            raise RuntimeError("Can't detach views in-place. Use detach() instead.")
        if tensor.node is not None:
            recorded_writes.forget(tensor)
        tensor._requires_grad = False
        return tensor


def _each_once(tensor: Any) -> Any:
    """The part of a stretched tensor that holds each place of its memory once."""
    steps = tensor.array.strides
    if not any(step == 0 and n > 1 for step, n in zip(steps, tensor.array.shape, strict=True)):
        return tensor
    return tensor[tuple(slice(None) if step else slice(1) for step in steps)]


# The other forms: what the method returns goes to the tensor's memory, or to its shape.

FORMS = """
    abs absolute acos acosh addbmm addmm addmv addr arccos arccosh arcsin arcsinh arctan arctan2
    arctanh asin asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift bitwise_not
    bitwise_or bitwise_right_shift bitwise_xor ceil clamp clamp_max clamp_min clip copysign cos
    cosh cumprod cumsum deg2rad digamma eq erf erfc erfinv exp exp2 expm1 fix floor floor_divide
    fmod frac gcd ge greater greater_equal gt heaviside hypot i0 igamma igammac index_add
    index_copy index_fill index_put index_reduce lcm ldexp le lerp less less_equal lgamma log log10
    log1p log2 logical_and logical_not logical_or logical_xor logit lt masked_scatter mvlgamma
    nan_to_num ne neg negative nextafter not_equal polygamma pow put rad2deg reciprocal relu
    remainder renorm round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin sinc sinh
    sqrt square tan tanh tril triu trunc xlogy
""".split()  # noqa: SIM905
RANDOM_FORMS = ["bernoulli", "cauchy", "exponential", "geometric", "log_normal", "random"]
SHAPE_FORMS = ["squeeze", "swapaxes", "swapdims", "t", "transpose", "unsqueeze"]

for _name in FORMS:
    setattr(InPlace, f"{_name}_", _form(_name))
for _name in RANDOM_FORMS:
    setattr(InPlace, f"{_name}_", _random_form(_name))
for _name in SHAPE_FORMS:
    setattr(InPlace, f"{_name}_", _shape_form(_name))

_divided, _addcmul, _addcdiv = _form("div"), _form("addcmul"), _form("addcdiv")


def _old_form(name: str, number: Any, *tensors: Any) -> tuple[Any, float]:
    """(the last tensor, the number) of a call as PyTorch had it up to 1.5: the number first."""
    if len(tensors) != 1 or (isinstance(number, Variable) and number.array.ndim):
        raise TypeError(f"{name}() takes its number by name: alpha= or value=, and nothing more")
    return tensors[0], number


def _scaled(tensor: Any, other: Any, alpha: float) -> Any:
    return other if is_one(alpha) else scaled(tensor, other, alpha)
