"""Adagrad and Adadelta as PyTorch has them; the letters are explained in `kernels`.

Source: Duchi, Hazan & Singer 2011, JMLR 12, section 1.1 (diagonal); Zeiler 2012, arXiv:1212.5701,
Algorithm 1.
"""

from math import sqrt

from .rule import update_rule


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
