"""NAdam as PyTorch has it; the letters are explained in `kernels`.

Source: Dozat 2016, ICLR workshop, "Incorporating Nesterov Momentum into Adam", Algorithm 2, with
the schedule of its momentum.
"""

from math import sqrt

from .rule import update_rule


@update_rule
def nadam(p, g, m, v, sign, wd, decay, omb1, b2, omb2, eps, c2, cg, cm):
    """p = decay * p - (cg * g + cm * m) / (sqrt(v) * c2 + eps), m and v as in Adam.

    cg = lr * (1 - mu_t) / (1 - mu_1...mu_t) and cm = lr * mu_t+1 / (1 - mu_1...mu_t+1): this step's
    share of the gradient, and the momentum as it will be applied in the next step.
    """
    g = sign * g + wd * p
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = decay * p - (cg * g + cm * m) / (sqrt(v) * c2 + eps)
    return p, m, v
