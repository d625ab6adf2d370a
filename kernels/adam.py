"""Adam and AdamW as PyTorch has them; the letters are explained in `kernels`.

One rule serves both: AdamW passes decay = 1 - lr * weight_decay and wd = 0, Adam wd = weight_decay
and decay = 1. Multiplying by 1 and adding 0 are exact, so neither pays for the other.

Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1; Loshchilov & Hutter 2019, arXiv:1711.05101
(decay); Reddi et al. 2018, arXiv:1904.09237 (AMSGrad). As in PyTorch, eps stands outside the root
and AMSGrad keeps the maximum of the uncorrected v. RAdam begins with a rule of its own: Liu et al.
2020, arXiv:1908.03265, Algorithm 2, where the variance cannot be trusted yet.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def adam(p, g, m, v, sign, wd, decay, lr, omb1, b2, omb2, eps, c1, c2):
    """p = decay * p - lr * c1 * m / (sqrt(v) * c2 + eps), m and v the moving averages of g and g^2.

    c1 = 1 / (1 - beta1^t) and c2 = 1 / sqrt(1 - beta2^t) correct the averages' start at zero.
    """
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = decay * p - lr * c1 * m / (sqrt(v) * c2 + eps)
    return p, m, v


@update_rule
def adam_amsgrad(p, g, m, v, w, sign, wd, decay, lr, omb1, b2, omb2, eps, c1, c2):
    """Adam with w, the largest v so far, in the place of v: the step size never grows again."""
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    w = w if v <= w else v  # not max(): a NaN in v must come through on the GPU as well
    p = decay * p - lr * c1 * m / (sqrt(w) * c2 + eps)
    return p, m, v, w


@update_rule
def radam_start(p, g, m, v, sign, wd, decay, lr, omb1, b2, omb2, c1):
    """p = decay * p - lr * c1 * m: Adam's averages, of which v is only kept."""
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = decay * p - lr * c1 * m
    return p, m, v
