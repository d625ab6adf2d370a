"""Stochastic gradient descent as PyTorch has it; the letters are explained in `kernels`."""

from .rule import update_rule


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
