from tinygrad_opt import optim
from tinygrad_opt.kernels import update_rule


@update_rule
def add_sign(p, g, m, lr, alpha, b, omb):
    m = b * m + omb * g
    of_g = 1.0 if g > 0 else -1.0 if g < 0 else 0.0
    of_m = 1.0 if m > 0 else -1.0 if m < 0 else 0.0
    return p - lr * (alpha + of_g * of_m) * g, m


class AddSign(optim.Optimizer):
    rule = add_sign

    def __init__(self, params, lr=0.1, alpha=1.0, beta=0.9):
        super().__init__(params, dict(lr=lr, alpha=alpha, beta=beta))
