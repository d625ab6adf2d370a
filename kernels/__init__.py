"""Fused update kernels: arrays and scalars in, arrays changed in place; no Tensor is known here.

`update_rule` turns one scalar function into all kernels. The rules of an optimizer are in the
file of its name, `textbook` holds the forms of the textbooks. `functions` has exp, tanh and the
like for `@njit` code. In `fused`: norms in `reduce`, softmax and the cross-entropy in `softmax`,
activations in `elementwise`, the steps of recurrent layers in `recurrent`, convolutions in
`convolution`, maxima of windows in `pooling`.

The letters, in all rules:

    p            parameter
    g            gradient; `g = sign * g + wd * p` prepares it
    m, a         moving average of g (a where it centers RMSprop; in ASGD average of p)
    v, s         moving average of g^2 (textbook momentum: v is its velocity; Adagrad: s is the sum,
                 AdaBelief: the variance; Rprop: s is the step's size)
    w, u         largest v so far; largest |g| so far, fading (cautious: the last p)
    b            momentum buffer, or the last gradient (Adan, Rprop)
    d            moving average of squared steps (Adadelta), of changes of g (Adan)
    z            schedule-free: the sequence that takes the steps
    sign         +1, or -1 to maximize
    wd           weight decay that is added to the gradient; 0 is none, exactly
    decay        what the parameter is multiplied with: 1 - lr * weight_decay, or 1
    b, b1, b2... decay rates of averages, where these are no states
    al, rho      the same, as RMSprop and Adadelta call it
    lr           learning rate
    mu, damp     momentum (ASGD: weight of p in its average), and 1 - dampening
    oma, omb...  one minus alpha, one minus beta
    eps          keeps the division finite
    c1, c2, c3   bias corrections, which depend on the step count t
    cg, cm, cd   weights of g, m and d in a step, with the learning rate in them
    new...       weight of a new gradient in a sum or average whose old part is weighted apart
    ck, ly       schedule-free: weight of z in the average, and the rate of p
    shrink, grow Rprop: factors of the step's size, which stays between low and high
    clip         ADOPT: the largest |g| after scaling
    floor        the least that a variance counts as
    z, u         last, and annotated `draws.Normal` or `draws.Uniform`: random, drawn by the kernel

Coefficients such as one minus beta are derived by the caller in double and cast once: formed in
float32 inside the kernel, they made v 80 times less accurate.

Averages of squares are `b * v + omb * g * g`, in this order, as PyTorch's: a gradient whose square
is beyond the type's largest number may still leave v finite, and an infinite v stays infinite and
its steps zero, where `v + omb * (g * g - v)` would be infinity minus infinity, NaN for ever.
"""

from . import bfloat16, draws, textbook, threads
from .adam import *
from .adaptive import *
from .compiler.syntax import RuleError
from .directions import *
from .fused.reduce import all_finite, dot, norm, sum_of_powers, sum_of_squares
from .rule import UpdateRule, update_rule
from .sgd import *

__all__ = [
    "RuleError", "UpdateRule", "all_finite", "bfloat16", "dot", "draws", "norm", "sum_of_powers",
    "sum_of_squares", "textbook", "threads", "update_rule",
]  # fmt: skip
__all__ += [name for name, value in list(globals().items()) if isinstance(value, UpdateRule)]
