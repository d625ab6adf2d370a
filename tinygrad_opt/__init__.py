"""tinygrad_opt: reverse-mode autodiff with fused optimizer kernels, in PyTorch's shape.

    import tinygrad_opt as torch
    from tinygrad_opt import nn, optim

`Tensor` computes gradients (`autograd`, `ops`), `nn` builds networks, `optim` updates them with the
fused kernels in `kernels`, `utils.data` feeds them. Names, arguments and results are PyTorch's.
"""

from . import autograd, backend, cuda, kernels, nn, optim, utils
from ._tensor import Size, Tensor
from .autograd import (
    enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled,
)  # fmt: skip
from .creation import (
    arange, as_tensor, bernoulli, device, empty, empty_like, eye, from_numpy, full, full_like,
    linspace, ones, ones_like, rand, rand_like, randint, randn, randn_like, randperm, tensor, zeros,
    zeros_like,
)  # fmt: skip
from .dtypes import (
    bool, double, float, float16, float32, float64, get_default_dtype, half, int, int8, int16,
    int32, int64, long, set_default_dtype, short, uint8,
)  # fmt: skip
from .functions import (
    add, addcdiv, addcmul, all, allclose, amax, amin, any, argmax, argmin, cat, chunk, clip, cumsum,
    dot, eq, equal, expand, flatten, flip, gather, ge, gt, index_select, isclose, le, lerp,
    log_softmax, logical_and, logical_or, logsumexp, lt, masked_fill, max, mean, min, ne, norm,
    outer, permute, reciprocal, reshape, rsqrt, softmax, split, square, squeeze, stack, std, sub,
    sum, t, transpose, unsqueeze, var, where,
)  # fmt: skip
from .ops import (
    abs, ceil, clone, cos, div, erf, exp, expm1, floor, isfinite, isinf, isnan, log, log1p, log2,
    log10, logical_not, matmul, maximum, minimum, mul, neg, relu, round, sigmoid, sign, sin, sqrt,
    tanh,
)  # fmt: skip
from .ops import power as pow
from .random import (
    Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state,
)  # fmt: skip

clamp, concat, concatenate, mm, bmm, mv = clip, cat, cat, matmul, matmul, matmul
multiply, divide, subtract, absolute, negative = mul, div, sub, abs, neg
from math import inf, nan, pi  # noqa: E402

__version__ = "0.1.0"
