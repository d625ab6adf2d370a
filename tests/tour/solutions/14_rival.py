from math import cos, pi, sqrt

from tinygrad_opt import optim
from tinygrad_opt.kernels import update_rule

STEPS = 500


@update_rule
def rival(p, g, m, v, lr, omb1, b2, omb2, eps, c1, c2):
    m = m + omb1 * (g - m)
    v = b2 * v + omb2 * g * g
    p = p - lr * c1 * m / (sqrt(v) * c2 + eps)
    return p, m, v


class Rival(optim.Optimizer):
    rule = rival

    def __init__(self, params, lr=0.1, betas=(0.9, 0.99), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    def coefficients(self, group, t):
        return self.usual(group, t, lr=group["lr"] * (1 + cos(pi * t / STEPS)) / 2)
