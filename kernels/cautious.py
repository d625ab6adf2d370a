"""The masking step of cautious optimizers; the letters are explained in `kernels`.

Source: Liang et al. 2024, arXiv:2411.16085v2, Algorithm 1.
"""

from .rule import update_rule


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
