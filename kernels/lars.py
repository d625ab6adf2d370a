"""LARS; the letters are explained in `kernels`.

Source: You, Gitman & Ginsburg 2017, arXiv:1708.03888v3, Algorithm 1. The learning rate, which each
layer has for itself, is part of the velocity: a change of rate acts on new gradients alone.
"""

from .rule import update_rule


@update_rule
def lars(p, g, b, sign, wd, lr, mu):
    """b = mu * b + lr * (g + wd * p);  p = p - b, with the layer's own lr."""
    g = sign * g + wd * p
    b = mu * b + lr * g
    p = p - b
    return p, b
