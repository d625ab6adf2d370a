from tinygrad_opt import nn
from tinygrad_opt.autograd import op
from tinygrad_opt.backend import xp


@op
def smelu(x, *, beta=1.0):
    n = xp(x)
    y = n.where(x <= -beta, 0, n.where(x >= beta, x, (x + beta) ** 2 / (4 * beta)))
    return y, lambda g: g * n.clip((x + beta) / (2 * beta), 0, 1)


class SmeLU(nn.Module):
    def __init__(self, beta=1.0):
        super().__init__()
        self.beta = beta

    def forward(self, x):
        return smelu(x, beta=self.beta)
