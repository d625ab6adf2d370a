"""SGD, ASGD, Lion, Rprop and the schedule-free rules; the letters are explained in `kernels`."""

from math import sqrt

from .rule import update_rule

__all__ = [
    "asgd", "lion", "rprop", "schedule_free_adamw", "schedule_free_sgd", "sgd", "sgd_momentum",
    "sgd_nesterov",
]  # fmt: skip


@update_rule
def sgd(p, g, sign, wd, lr):
    """p = p - lr * g."""
    g = sign * g + wd * p
    p = p - lr * g
    return p


@update_rule
def sgd_momentum(p, g, b, sign, wd, lr, mu, damp):
    """b = mu * b + damp * g;  p = p - lr * b.

    `damp` is 1 - dampening. PyTorch starts from b = g without dampening: at the first step pass a
    buffer of zeros and damp = 1.
    """
    g = sign * g + wd * p
    b = mu * b + damp * g
    p = p - lr * b
    return p, b


@update_rule
def sgd_nesterov(p, g, b, sign, wd, lr, mu):
    """b = mu * b + g;  p = p - lr * (g + mu * b).

    PyTorch's form of Sutskever et al. 2013 (ICML, section 2): the step looks ahead along b.
    """
    g = sign * g + wd * p
    b = mu * b + g
    p = p - lr * (g + mu * b)
    return p, b


# Averaged stochastic gradient descent as PyTorch has it; the letters are explained in `kernels` ---


@update_rule
def asgd(p, g, a, sign, wd, decay, lr, mu, omm):
    """p = decay * p - lr * g;  a = omm * a + mu * p: with mu = 1 / count, the average of the p's.

    Until averaging begins, mu = 1 and omm = 0: then a is p, exactly.
    """
    g = sign * g + wd * p
    p = decay * p - lr * g
    a = omm * a + mu * p
    return p, a


# Lion; the letters are explained in `kernels` -----------------------------------------------------


@update_rule
def lion(p, g, m, sign, decay, lr, omb1, omb2):
    """c = m + omb1 * (g - m);  p = decay * p - lr * sign(c);  m = m + omb2 * (g - m)."""
    g = sign * g
    c = m + omb1 * (g - m)
    p = decay * p - lr * (1.0 if c > 0.0 else -1.0 if c < 0.0 else c)  # c: 0, or NaN
    m = m + omb2 * (g - m)
    return p, m


# Rprop as PyTorch has it; the letters are explained in `kernels` ----------------------------------


@update_rule
def rprop(p, g, b, s, sign, shrink, grow, low, high):
    """s grows where g has the sign of b, the last gradient, else it shrinks;  p = p - s * sign(g).

    Where the sign has changed, g counts as 0, in this step and as the b of the next.
    """
    g = sign * g
    product = g * b
    # The last case is 1, or NaN, which must come through.
    s = s * (grow if product > 0.0 else shrink if product < 0.0 else 1.0 + product)
    s = low if s < low else high if s > high else s
    b = 0.0 if product < 0.0 else g
    p = p - s * (1.0 if b > 0.0 else -1.0 if b < 0.0 else b)
    return p, b, s


# Schedule-free SGD and AdamW; the letters are explained in `kernels` ------------------------------


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
    """Like `schedule_free_sgd`, along n = g / (sqrt(v) * c2 + eps) + wd * p."""
    g = sign * g
    v = b2 * v + omb2 * g * g
    n = g / (sqrt(v) * c2 + eps) + wd * p
    p = p + ck * (z - p) - ly * n
    z = z - lr * n
    return p, z, v
