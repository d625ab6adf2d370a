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

__all__ = ["adabelief", "adam", "adam_amsgrad", "adamax", "adan", "adopt", "nadam", "radam_start"]


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


# Adamax as PyTorch has it; the letters are explained in `kernels` ---------------------------------


@update_rule
def adamax(p, g, m, u, sign, wd, lr, omb1, b2, eps, c1):
    """m as in Adam;  u = max(b2 * u, |g| + eps);  p = p - lr * c1 * m / u."""
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    u = b2 * u
    n = abs(g) + eps
    u = n if n >= u or n != n else u  # not max(): a NaN in either must come through
    p = p - lr * c1 * m / u
    return p, m, u


# NAdam as PyTorch has it; the letters are explained in `kernels` ----------------------------------


@update_rule
def nadam(p, g, m, v, sign, wd, decay, omb1, b2, omb2, eps, c2, cg, cm):
    """p = decay * p - (cg * g + cm * m) / (sqrt(v) * c2 + eps), m and v as in Adam.

    cg = lr * (1 - mu_t) / (1 - mu_1...mu_t) and cm = lr * mu_t+1 / (1 - mu_1...mu_t+1): this step's
    share of the gradient, and the momentum as it will be applied in the next step.
    """
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = decay * p - (cg * g + cm * m) / (sqrt(v) * c2 + eps)
    return p, m, v


# AdaBelief; the letters are explained in `kernels` ------------------------------------------------


@update_rule
def adabelief(p, g, m, s, sign, wd, decay, lr, omb1, b2, omb2, eps, c1, c2):
    """Adam with s, the moving average of (g - m)^2, in the place of v."""
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    r = g - m
    s = b2 * s + omb2 * r * r + eps
    p = decay * p - lr * c1 * m / (sqrt(s) * c2 + eps)
    return p, m, s


# ADOPT; the letters are explained in `kernels` ----------------------------------------------------


@update_rule
def adopt(p, g, m, v, sign, wd, decay, lr, omb1, b2, omb2, eps, clip):
    """n = g / max(sqrt(v), eps), clipped to [-clip, clip], v without this step's g.

    m = m + omb1 * (n - m);  p = decay * p - lr * m;  then v = b2 * v + omb2 * g^2.
    """
    g = sign * g + wd * p
    d = sqrt(v)
    n = g / (eps if d < eps else d)
    n = -clip if n < -clip else clip if n > clip else n
    m = m + omb1 * (n - m)
    p = decay * p - lr * m
    v = b2 * v + omb2 * g * g
    return p, m, v


# Adan; the letters are explained in `kernels` -----------------------------------------------------


@update_rule
def adan(p, g, m, d, v, b, sign, decay, omb1, b2, omb2, b3, omb3, eps, cm, cd, c3):
    """p = decay * (p - (cm * m + cd * d) / (sqrt(v) * c3 + eps)); m, d, v are moving averages.

    m is that of g, d that of its change since the last step, g - b, and v that of
    (g + b2 * (g - b))^2. The caller starts with b = sign * g. cm = lr / (1 - beta1^t) and
    cd = lr * beta2 / (1 - beta2^t); c3 = 1 / sqrt(1 - beta3^t); decay = 1 / (1 + lr * wd).
    """
    g = sign * g
    change = g - b
    ahead = g + b2 * change
    m = m + omb1 * (g - m)
    d = d + omb2 * (change - d)
    v = b3 * v + omb3 * ahead * ahead
    p = decay * (p - (cm * m + cd * d) / (sqrt(v) * c3 + eps))
    b = g
    return p, m, d, v, b
