"""Prodigy's two launches; the letters are explained in `kernels`.

Source: Mishchenko & Defazio 2023, arXiv:2306.06101, Algorithm 4 (Prodigy with Adam), as the
authors' package prodigyopt has it.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def prodigy_sum(p, g, b, new):
    """p = b * p + new * g: the gradients added up, the older ones fading; p is that sum."""
    p = b * p + new * g
    return p


@update_rule
def prodigy(p, g, m, v, wd, decay, lr, b1, b2, new1, new2, eps):
    """m = b1 * m + new1 * g;  v = b2 * v + new2 * g^2;  p = decay * p - lr * m / (sqrt(v) + eps).

    new1 = (1 - b1) * d and new2 = (1 - b2) * d^2, d the distance that the step started with.
    """
    g = g + wd * p
    m = b1 * m + new1 * g
    v = b2 * v + new2 * g * g
    p = decay * p - lr * m / (sqrt(v) + eps)
    return p, m, v
