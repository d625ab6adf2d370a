"""Rprop as PyTorch has it; the letters are explained in `kernels`.

Source: Riedmiller & Braun 1993, IEEE ICNN, "A direct adaptive method for faster backpropagation
learning", in the form that takes no step, and no step back either, where the sign has changed
(iRprop-, Igel & Huesken 2000).
"""

from .rule import update_rule


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
