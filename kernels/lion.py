"""Lion; the letters are explained in `kernels`.

Source: Chen et al. 2023, arXiv:2302.06675v4, Algorithm 2.
"""

from .rule import update_rule


@update_rule
def lion(p, g, m, sign, decay, lr, omb1, omb2):
    """c = m + omb1 * (g - m);  p = decay * p - lr * sign(c);  m = m + omb2 * (g - m)."""
    g = sign * g
    c = m + omb1 * (g - m)
    p = decay * p - lr * (1.0 if c > 0.0 else -1.0 if c < 0.0 else c)  # c: 0, or NaN
    m = m + omb2 * (g - m)
    return p, m
