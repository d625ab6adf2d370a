"""`out=`: functions that write their result into a tensor that is given.

`OUT` says which functions do, by the place they stand in; they are PyTorch's, and the methods of
Tensor are not among them, there neither. `core/public.py` gives them the argument.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..arrays import dtypes
from ..arrays.device import device_of
from ..arrays.xp import xp
from ..core.node import Variable
from ..core.record import mode
from ..core.refusals import type_name
from ..core.tensor import wrap

__all__ = ["OUT"]

_NAMES = {
    "": """
        abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr all amax amin aminmax
        angle any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort asin
        asinh atan atan2 atanh baddbmm bitwise_and bitwise_left_shift bitwise_not bitwise_or
        bitwise_right_shift bitwise_xor bmm bucketize cat ceil chain_matmul cholesky
        cholesky_inverse cholesky_solve clamp clamp_max clamp_min clip column_stack complex concat
        concatenate conj_physical copysign cos cosh cross cummax cummin cumprod cumsum deg2rad diag
        diff digamma div divide dot dstack eq erf erfc erfinv exp exp2 expm1 fix float_power floor
        floor_divide fmax fmin fmod frac frexp gather gcd ge ger greater greater_equal gt heaviside
        histc hstack hypot i0 igamma igammac index_add index_copy index_reduce index_select inner
        inverse isin isneginf isposinf kron kthvalue lcm ldexp le lerp less less_equal lgamma log
        log10 log1p log2 log_softmax logaddexp logaddexp2 logcumsumexp logical_and logical_not
        logical_or logical_xor logit logsumexp lt lu_solve lu_unpack masked_select matmul
        matrix_power max maximum mean median min minimum mm mode msort mul multiply mv mvlgamma
        nan_to_num nanmean nanmedian nanquantile nansum ne neg negative nextafter nonzero norm
        not_equal outer polar polygamma pow prod qr quantile rad2deg reciprocal remainder renorm
        round row_stack rsqrt scatter scatter_add scatter_reduce searchsorted sgn sigmoid sign
        signbit sin sinc sinh slice_scatter slogdet softmax sort sqrt square stack std sub subtract
        sum svd take take_along_dim tan tanh tensordot threshold topk tril triu true_divide trunc
        var vdot vstack where xlogy
    """,
    "creation": "arange empty eye full linspace logspace ones zeros",
    "sampling": "bernoulli multinomial normal rand randint randn randperm",
    "nn.functional": "avg_pool2d avg_pool3d gelu hardshrink linear softplus softshrink",
    "linalg": """
        cholesky cholesky_ex cond cross det eig eigh eigvals eigvalsh inv inv_ex lstsq lu lu_factor
        lu_factor_ex lu_solve matmul matrix_norm matrix_power matrix_rank multi_dot norm pinv qr
        slogdet solve solve_triangular svd svdvals tensorinv tensorsolve vecdot vector_norm
    """,
    "special": """
        digamma entr erf erfc erfcx erfinv exp2 expit expm1 gammainc gammaincc gammaln i0 i0e i1
        i1e log1p log_ndtr logit logsumexp multigammaln ndtr ndtri polygamma psi round sinc
        spherical_bessel_j0 xlog1py xlogy zeta
    """,
    "fft": """
        fft fft2 fftfreq fftn hfft ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft rfft2 rfftfreq
        rfftn
    """,
}


def _written(
    function: Callable[..., Any], name: str, args: Sequence[Any], named: dict[str, Any], out: Any
) -> Any:
    """The result of the function, written into `out`, which is returned.

    What has another shape is resized, as in PyTorch: with a warning, unless it is empty; it is then
    another piece of memory. Everything is computed before anything is written, so `out` may be one
    of the inputs. Raises TypeError for what is not a Tensor, RuntimeError while gradients are
    taken, for a type that the result cannot be cast to, for another device, and for an expanded
    tensor.
    """
    takes_dtype = "dtype" in named and "mean" not in name
    if takes_dtype and named["dtype"] is None and isinstance(out, Variable):
        named = named | {"dtype": out.array.dtype}  # it is computed in that type, not cast at last
    targets = out if isinstance(out, (tuple, list)) else (out,)
    for target in targets:
        if not isinstance(target, Variable):
            raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type_name(target)}")
    if mode.enabled and any(map(_needs_gradient, (*targets, *args, *named.values()))):
        raise RuntimeError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad. Write under no_grad(), or leave out= away"
        )
    before, mode.enabled = mode.enabled, False
    try:
        result = function(*args, **named)
        several = isinstance(result, tuple)
        if several != isinstance(out, (tuple, list)) or (several and len(result) != len(targets)):
            wanted = f"tuple of {len(result)} Tensors" if several else "Tensor"
            came = f"{len(targets)} of them" if several and len(targets) > 1 else type_name(out)
            raise TypeError(f"{name}(): argument 'out' must be {wanted}, not {came}")
        parts = result if several else (result,)
        for target, part in zip(targets, parts, strict=True):
            _check(name, target, part)
        for target, part in zip(targets, parts, strict=True):
            _write(target, part)
    finally:
        mode.enabled = before
    return type(result)(*targets) if hasattr(result, "_fields") else out


def _needs_gradient(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return any(map(_needs_gradient, value))
    return isinstance(value, Variable) and value._requires_grad


def _check(name: str, out: Any, result: Any) -> None:
    """Raise RuntimeError where `result` cannot be written to `out`."""
    a, b = out.array, result.array
    if not dtypes.can_cast(b.dtype, a.dtype):
        raise RuntimeError(
            f"{name}(): result type {dtypes.name_of(b.dtype)} can't be cast to the desired output "
            f"type {dtypes.name_of(a.dtype)}"
        )
    if device_of(a) != device_of(b):
        raise RuntimeError(
            f"{name}(): Expected out tensor to have device {device_of(b)}, but got {device_of(a)} "
            "instead"
        )
    if any(
        n > 1 and step == 0 for n, step in zip(a.shape, getattr(a, "strides", ()), strict=False)
    ):
        raise RuntimeError(
            f"{name}(): unsupported operation: more than one element of the written-to tensor "
            "refers to a single memory location. Please clone() the tensor before"
        )


def _write(out: Any, result: Any) -> None:
    shape = result.array.shape
    if out.array.shape != shape:
        if out.array.size:
            warnings.warn(
                "An output with one or more elements was resized since it had shape "
                f"{list(out.array.shape)}, which does not match the required output shape "
                f"{list(shape)}: give an empty tensor, or one of that shape",
                UserWarning, stacklevel=4,
            )  # fmt: skip
        out.data = wrap(xp(out.array).empty(shape, out.array.dtype))
    out.copy_(ops.cast(result, dtype=out.array.dtype))


# By the place where the functions stand, and by their names.
OUT = {where: dict.fromkeys(names.split(), _written) for where, names in _NAMES.items()}
