import numpy as np

from tinygrad_opt.tour.hundred_lines import op


@op
def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, lambda g: g * y * (1 - y)


@op
def div(x, y):
    return x / y, lambda g: g / y, lambda g: -g * x / y**2
