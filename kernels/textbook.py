"""The optimizers exactly as textbooks print them; the letters are explained in `kernels`.

They differ from PyTorch's in the details: momentum averages (1 - b), so its steps are smaller by
that factor; eps stands inside the root; Adam corrects v but not m, so it starts slowly.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def gradient_descent(p, g, lr):
    """p = p - lr * g."""
    p = p - lr * g
    return p


@update_rule
def momentum(p, g, v, lr, b, omb):
    """v = b * v + (1 - b) * g;  p = p - lr * v."""
    v = b * v + omb * g
    p = p - lr * v
    return p, v


@update_rule
def rmsprop(p, g, s, lr, b, omb, eps):
    """s = b * s + (1 - b) * g^2;  p = p - lr * g / sqrt(s + eps)."""
    s = b * s + omb * g * g
    p = p - lr * g / sqrt(s + eps)
    return p, s


@update_rule
def adam(p, g, m, v, lr, b1, omb1, b2, omb2, eps, c2):
    """m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2;  p = p - lr * m / sqrt(s + eps).

    s = v / (1 - b2^t) is v * c2: the host passes c2 = 1 / (1 - b2^t).
    """
    m = b1 * m + omb1 * g
    v = b2 * v + omb2 * g * g
    s = v * c2
    p = p - lr * m / sqrt(s + eps)
    return p, m, v
