"""Fused update kernels: arrays and scalars in, arrays changed in place; no Tensor is known here.

`update_rule` turns one scalar function into all kernels. The rules of SGD, RMSprop and Adam are in
`sgd`, `rmsprop` and `adam`; `textbook` holds the forms of the textbooks. Norms are in `reduce`,
the cross-entropy of small batches in `softmax`.

The letters, in all rules:

    p            parameter
    g            gradient; `g = sign * g + wd * p` prepares it
    m, a         moving average of g (a where it centers RMSprop)
    v, s         moving average of g^2 (textbook momentum: v is its velocity)
    w            largest v so far
    b            momentum buffer (textbook rules: b, b1, b2 are the averages' decay rates)
    sign         +1, or -1 to maximize
    wd           weight decay that is added to the gradient; 0 is none, exactly
    decay        what the parameter is multiplied with: 1 - lr * weight_decay, or 1
    lr           learning rate
    mu, damp     momentum, and 1 - dampening
    oma, omb...  one minus alpha, one minus beta
    eps          keeps the division finite
    c1, c2       bias corrections, which depend on the step count t

Coefficients such as one minus beta are derived by the caller in double and cast once: formed in
float32 inside the kernel, they made v 80 times less accurate.
"""

from . import textbook, threads
from .adam import adam, adam_amsgrad
from .reduce import all_finite, norm, sum_of_powers, sum_of_squares
from .rmsprop import rmsprop, rmsprop_centered, rmsprop_centered_momentum, rmsprop_momentum
from .rule import UpdateRule, update_rule
from .sgd import sgd, sgd_momentum, sgd_nesterov
from .syntax import RuleError

__all__ = [
    "RuleError",
    "UpdateRule",
    "adam",
    "adam_amsgrad",
    "all_finite",
    "norm",
    "rmsprop",
    "rmsprop_centered",
    "rmsprop_centered_momentum",
    "rmsprop_momentum",
    "sgd",
    "sgd_momentum",
    "sgd_nesterov",
    "sum_of_powers",
    "sum_of_squares",
    "textbook",
    "threads",
    "update_rule",
]
