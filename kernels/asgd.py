"""Averaged stochastic gradient descent as PyTorch has it; the letters are explained in `kernels`.

Source: Polyak & Juditsky 1992, SIAM J. Control Optim. 30(4); the rate's schedule is Bottou's 2012,
"Stochastic gradient descent tricks".
"""

from .rule import update_rule


@update_rule
def asgd(p, g, a, sign, wd, decay, lr, mu, omm):
    """p = decay * p - lr * g;  a = omm * a + mu * p: with mu = 1 / count, the average of the p's.

    Until averaging begins, mu = 1 and omm = 0: then a is p, exactly.
    """
    g = sign * g + wd * p
    p = decay * p - lr * g
    a = omm * a + mu * p
    return p, a
