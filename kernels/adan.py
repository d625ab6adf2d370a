"""Adan; the letters are explained in `kernels`.

Source: Xie et al. 2022, arXiv:2208.06677v4, Algorithm 1, with the bias corrections of the authors'
code.
"""

from math import sqrt

from .rule import update_rule


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
