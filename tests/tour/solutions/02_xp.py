from tinygrad_opt.backend import xp


def softplus(x):
    n = xp(x)
    return n.maximum(x, 0) + n.log1p(n.exp(-n.abs(x)))
