"""ADOPT; the letters are explained in `kernels`.

Source: Taniguchi et al. 2024, arXiv:2411.02853v3, Algorithm 2 (clipped), weight decay as in the
authors' code.
"""

from math import sqrt

from .rule import update_rule


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
