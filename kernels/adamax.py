"""Adamax as PyTorch has it; the letters are explained in `kernels`.

Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 2; eps is added to |g|, as in PyTorch.
"""

from .rule import update_rule


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
