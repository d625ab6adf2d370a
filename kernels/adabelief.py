"""AdaBelief; the letters are explained in `kernels`.

Source: Zhuang et al. 2020, arXiv:2010.07468v5, Algorithm 2: eps is added to s in every step, and
outside the root.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def adabelief(p, g, m, s, sign, wd, decay, lr, omb1, b2, omb2, eps, c1, c2):
    """Adam with s, the moving average of (g - m)^2, in the place of v."""
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    r = g - m
    s = b2 * s + omb2 * r * r + eps
    p = decay * p - lr * c1 * m / (sqrt(s) * c2 + eps)
    return p, m, s
