"""Your own operation: a value, a derivative, and with that every higher derivative.

python examples/own_op.py                        # a second; leaves own_op.png
python examples/own_op.py --quick --out /tmp/op.png

What is learnt: an operation is one function that returns its value and a pullback for each input.
The pullback is written with the same functions, so it can itself be differentiated, and so on.
`gradcheck` compares a derivative with differences of the value, and finds one that is 0.1% off.
"""

from __future__ import annotations

import sys

import numpy as np
from common import command_line
from pictures import BLUE, GREEN, INK, RED, looks

import tinygrad_opt as torch
from tinygrad_opt import autograd
from tinygrad_opt.autograd import GradcheckError, gradcheck, gradgradcheck, op
from tinygrad_opt.backend import xp


@op
def log_cosh(x):
    """log(cosh(x)): a parabola near zero, |x| - log(2) far away; cosh alone would overflow."""
    n = xp(x)  # NumPy for arrays, CuPy for arrays on a GPU, tensors when differentiated again
    size = n.abs(x)
    return size + n.log1p(n.exp(-2 * size)) - np.log(2), lambda g: g * n.tanh(x)


@op
def slightly_wrong(x):
    """The same with a derivative that is 0.1% off."""
    n = xp(x)
    size = n.abs(x)
    return size + n.log1p(n.exp(-2 * size)) - np.log(2), lambda g: g * n.tanh(x) * 1.001


# Name and closed form of the value and of the first three derivatives.
FORMULAS = [
    ("log cosh x", lambda x: np.log(np.cosh(x))),
    ("tanh x", np.tanh),
    ("1 - tanh² x", lambda x: 1 - np.tanh(x) ** 2),
    ("-2 tanh x (1 - tanh² x)", lambda x: -2 * np.tanh(x) * (1 - np.tanh(x) ** 2)),
]


def derivatives(function, x, order):
    """Return the value and the derivatives of an elementwise function, each as an array."""
    values = [function(x)]
    for _ in range(order):
        # Elements do not mix, so the gradient of the sum holds each element's own derivative.
        (slope,) = autograd.grad(values[-1].sum(), x, create_graph=True)
        values.append(slope)
    return [value.detach().numpy() for value in values]


def draw(options, x, values):
    """Draw the curves, and dots where the closed forms are."""
    for look in looks(options.out, options.dark):
        figure = look.figure(9, 4.4)
        axes = figure.subplots()
        axes.set_title("log cosh, three derivatives: lines from the pullback, dots from formulas")
        colors = (INK, BLUE, GREEN, RED)
        places = ("center", "center", "bottom", "top")  # the last two end at the same height
        for color, place, value, (name, formula) in zip(
            colors, places, values, FORMULAS, strict=True
        ):
            axes.plot(x, value, color=color)
            axes.plot(x[::12], formula(x[::12]), "o", color=color, markersize=4)
            axes.annotate(f" {name}", (x[-1], value[-1]), va=place, color=color)
        axes.set(xlim=(-3, 4.3), ylim=(-1.2, 2.5), xticks=range(-3, 4), xlabel="x")
        look.save(figure)


def main():
    """Check the operation, show that checking works, differentiate three times, draw."""
    options = command_line(__doc__, "own_op.png").parse_args()
    torch.manual_seed(0)
    points = torch.randn(5, dtype=torch.float64, requires_grad=True)
    print(f"gradcheck {gradcheck(log_cosh, points)}, twice {gradgradcheck(log_cosh, points)}")
    try:
        gradcheck(slightly_wrong, points, rtol=1e-4)
        sys.exit("the wrong derivative should have been found")
    except GradcheckError as error:
        print(f"0.1% off is found: {str(error).splitlines()[0]}")

    x = torch.linspace(-3, 3, 121 if options.quick else 601, dtype=torch.float64)
    values = derivatives(log_cosh, x.requires_grad_(), order=3)
    x = x.detach().numpy()
    for value, (name, formula) in zip(values, FORMULAS, strict=True):
        print(f"{name:24} largest error {np.abs(value - formula(x)).max():.1e}")
    draw(options, x, values)
    print(f"see {options.out}")


if __name__ == "__main__":
    main()
