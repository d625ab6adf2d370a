"""RMSprop in its four forms, Adagrad, Adadelta, as PyTorch has them; for the letters see `kernels`.

Source: Tieleman & Hinton 2012 (lecture 6e of "Neural networks for machine learning"); Graves 2013,
arXiv:1308.0850, equations 38 to 45 (centered). As in PyTorch, eps stands outside the root.

Centered, s - a^2 is a variance; rounding can make it a little negative. PyTorch takes the root of
that and gets NaN; here it counts as zero. Where s is infinite, a^2 may be too: so is the variance.
"""

from math import sqrt

from .rule import update_rule

__all__ = [
    "adadelta", "adagrad", "rmsprop", "rmsprop_centered", "rmsprop_centered_momentum",
    "rmsprop_momentum",
]  # fmt: skip


@update_rule
def rmsprop(p, g, s, sign, wd, lr, al, oma, eps):
    """s = al * s + oma * g^2;  p = p - lr * g / (sqrt(s) + eps)."""
    g = sign * g + wd * p
    s = al * s + oma * g * g
    p = p - lr * g / (sqrt(s) + eps)
    return p, s


@update_rule
def rmsprop_momentum(p, g, s, b, sign, wd, lr, al, oma, eps, mu):
    """RMSprop with b = mu * b + g / (sqrt(s) + eps);  p = p - lr * b."""
    g = sign * g + wd * p
    s = al * s + oma * g * g
    b = mu * b + g / (sqrt(s) + eps)
    p = p - lr * b
    return p, s, b


@update_rule
def rmsprop_centered(p, g, s, a, sign, wd, lr, al, oma, eps):
    """RMSprop with the variance s - a^2 under the root, a the moving average of g."""
    g = sign * g + wd * p
    s = al * s + oma * g * g
    a = a + oma * (g - a)
    variance = s - a * a if s - s == 0.0 else s  # an infinite s, or NaN, is one
    p = p - lr * g / (sqrt(0.0 if variance < 0.0 else variance) + eps)
    return p, s, a


@update_rule
def rmsprop_centered_momentum(p, g, s, b, a, sign, wd, lr, al, oma, eps, mu):
    """Centered RMSprop with b = mu * b + g / (sqrt(s - a^2) + eps);  p = p - lr * b."""
    g = sign * g + wd * p
    s = al * s + oma * g * g
    a = a + oma * (g - a)
    variance = s - a * a if s - s == 0.0 else s  # an infinite s, or NaN, is one
    b = mu * b + g / (sqrt(0.0 if variance < 0.0 else variance) + eps)
    p = p - lr * b
    return p, s, b, a


# Adagrad and Adadelta as PyTorch has them; the letters are explained in `kernels` -----------------


@update_rule
def adagrad(p, g, s, sign, wd, lr, eps):
    """s = s + g^2;  p = p - lr * g / (sqrt(s) + eps)."""
    g = sign * g + wd * p
    s = s + g * g
    p = p - lr * g / (sqrt(s) + eps)
    return p, s


@update_rule
def adadelta(p, g, s, d, sign, wd, lr, rho, omr, eps):
    """s = rho * s + omr * g^2;  x = sqrt((d + eps) / (s + eps)) * g;  p = p - lr * x.

    Then d = rho * d + omr * x^2: steps have the size of the steps before them.
    """
    g = sign * g + wd * p
    s = rho * s + omr * g * g
    x = sqrt((d + eps) / (s + eps)) * g
    d = rho * d + omr * x * x
    p = p - lr * x
    return p, s, d
