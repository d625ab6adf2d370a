"""Schedule-free SGD and AdamW; the letters are explained in `kernels`.

p is the paper's y, where gradients are taken. Its x, the average of the z's, is not stored: y lies
between z and x, so that x = y + (1 - 1 / beta) * (z - y).

Source: Defazio et al. 2024, arXiv:2405.15682v4, equations 4 and 5 and Algorithm 1, in the authors'
form that updates y and z.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def schedule_free_sgd(p, g, z, sign, wd, lr, ck, ly):
    """p = p + ck * (z - p) - ly * g;  z = z - lr * g.

    ck: the weight of this step's z in the average. ly = lr * (1 - beta * (1 - ck)).
    """
    g = sign * g + wd * p
    p = p + ck * (z - p) - ly * g
    z = z - lr * g
    return p, z


@update_rule
def schedule_free_adamw(p, g, z, v, sign, wd, lr, b2, omb2, eps, c2, ck, ly):
    """As `schedule_free_sgd`, along n = g / (sqrt(v) * c2 + eps) + wd * p."""
    g = sign * g
    v = b2 * v + omb2 * g * g
    n = g / (sqrt(v) * c2 + eps) + wd * p
    p = p + ck * (z - p) - ly * n
    z = z - lr * n
    return p, z, v
