"""Rules of the optimizers that reduce first: making a direction, and the step along it.

The step of such an optimizer needs a norm, a mean or a matrix, so it takes more than one launch:
averages and a direction, element by element; then the reduction; then the step along what came of
it. In the rules that make something, `p` is not the parameter but what is made.
"""

from math import sqrt

from .rule import update_rule

__all__ = [
    "adam_direction", "average", "average_square", "cautious", "lars", "prodigy", "prodigy_sum",
    "scaled_direction", "step_along",
]  # fmt: skip


@update_rule
def step_along(p, g, decay, lr):
    """p = decay * p - lr * g, with a direction as g: the last launch of such a step."""
    p = decay * p - lr * g
    return p


@update_rule
def average(p, g, omb):
    """p = p + omb * (g - p): a moving average of g."""
    p = p + omb * (g - p)
    return p


@update_rule
def average_square(p, g, b, omb):
    """p = b * p + omb * g^2: a moving average of g^2."""
    p = b * p + omb * g * g
    return p


@update_rule
def adam_direction(p, g, m, v, sign, wd, omb1, b2, omb2, eps, c1, c2):
    """p = c1 * m / (sqrt(v) * c2 + eps) + wd * p: Adam's direction, in the place of p.

    m, v, c1 and c2 as for `adam`. Source: Kingma & Ba 2015, arXiv:1412.6980, Algorithm 1.
    """
    g = sign * g
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = c1 * m / (sqrt(v) * c2 + eps) + wd * p
    return p, m, v


@update_rule
def scaled_direction(p, g, sign, floor):
    """p = sign * g / sqrt(max(p, floor)), with a variance as p."""
    p = sign * g / sqrt(floor if p < floor else p)  # not max(): a NaN must come through
    return p


# LARS; the letters are explained in `kernels` -----------------------------------------------------


@update_rule
def lars(p, g, b, sign, wd, lr, mu):
    """b = mu * b + lr * (g + wd * p);  p = p - b, with the layer's own lr."""
    g = sign * g + wd * p
    b = mu * b + lr * g
    p = p - b
    return p, b


# Prodigy's two launches; the letters are explained in `kernels` -----------------------------------


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


# The masking step of cautious optimizers; the letters are explained in `kernels` ------------------


@update_rule
def cautious(p, g, u, sign, wd, decay):
    """What a rule changed, where that follows the gradient: given p after it, and u = p before it.

    p becomes decay * u, the parameter without the rule's step; u becomes the step that the rule
    subtracted, or 0 where it goes against the gradient.
    """
    g = sign * g + wd * u
    kept = decay * u
    u = kept - p
    p = kept
    u = 0.0 if u * g <= 0.0 else u  # a NaN stays
    return p, u
