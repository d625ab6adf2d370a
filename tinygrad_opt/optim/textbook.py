"""The optimizers as textbooks print them, which is not as PyTorch computes them.

    here                                        PyTorch, with the default settings
    GradientDescent  p = p - lr g               SGD: the same

    Momentum         v = b v + (1 - b) g        SGD(momentum=b): v = b v + g, and v = g at first
                     p = p - lr v               p = p - lr v

    RMSprop          s = b s + (1 - b) g^2      RMSprop(alpha=b): the same s
                     p = p - lr g / sqrt(s+eps)     p = p - lr g / (sqrt(s) + eps)

    Adam             m = b1 m + (1 - b1) g      Adam: the same m and v
                     v = b2 v + (1 - b2) g^2
                     s = v / (1 - b2^t)         m is corrected as well: m / (1 - b1^t)
                     p = p - lr m / sqrt(s+eps)     eps outside the root

What that does to a trajectory:

- Momentum here averages the gradients, so with b = 0.9 each step is a tenth of PyTorch's for the
  same lr. With lr multiplied by 1 / (1 - b) the path is the same, as both begin with v = 0.
- With eps inside the root, a gradient much smaller than sqrt(eps) (1e-4 for eps = 1e-8) moves the
  parameter in proportion to itself, where PyTorch's form still takes nearly a full step: plateaus
  last longer here, but noise near a minimum is damped.
- Adam without the correction of m begins with steps of (1 - b1) * lr and reaches full length after
  about 1 / (1 - b1) steps: a built-in warm-up.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from ..kernels import textbook as rules
from .optimizer import Optimizer
from .settings import Betas, Epsilon, LearningRate, Params, below_one, declared

__all__ = ["Adam", "GradientDescent", "Momentum", "RMSprop"]


Beta: TypeAlias = Annotated[float, below_one, "how slowly the average moves, in [0, 1)"]


@declared
class GradientDescent(Optimizer):
    """Gradient descent: p = p - lr * g.

    {settings}
    Raises ValueError for a negative lr. Source: Cauchy 1847.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = GradientDescent([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = rules.gradient_descent

    params: Params
    lr: LearningRate = 1e-2


@declared
class Momentum(Optimizer):
    """Momentum: v = b * v + (1 - b) * g;  p = p - lr * v, with v = 0 at first.

    {settings}
    state: `step`, `v`.
    Raises ValueError for settings out of range. Source: Polyak 1964, averaged as in Goodfellow,
    Bengio & Courville's and Ng's courses.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Momentum([w], lr=0.1, beta=0.9)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9800], requires_grad=True)
    """

    rule = rules.momentum

    params: Params
    lr: LearningRate = 1e-2
    beta: Beta = 0.9


@declared
class RMSprop(Optimizer):
    """RMSprop: s = b * s + (1 - b) * g^2;  p = p - lr * g / sqrt(s + eps).

    {settings}
    eps is inside the root.  state: `step`, `s`.
    Raises ValueError for settings out of range. Source: Tieleman & Hinton 2012, lecture 6e.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = RMSprop([w], lr=0.1, beta=0.75)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.8000], requires_grad=True)
    """

    rule = rules.rmsprop

    params: Params
    lr: LearningRate = 1e-2
    beta: Beta = 0.9
    eps: Epsilon = 1e-8


@declared
class Adam(Optimizer):
    """Adam without the correction of m and with eps inside the root.

    m = b1 * m + (1 - b1) * g;  v = b2 * v + (1 - b2) * g^2;  s = v / (1 - b2^t)
    p = p - lr * m / sqrt(s + eps)

    {settings}
    state: `step`, `m`, `v`.
    Raises ValueError for settings out of range. Source: after Kingma & Ba 2015, arXiv:1412.6980,
    whose Alg. 1 corrects m too and keeps eps outside the root.

    >>> w = tensor([1.0], requires_grad=True)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).sum().backward(); optimizer.step(); w
    tensor([0.9900], requires_grad=True)
    """

    rule = rules.adam
    own_coefficients = {"c2": "1.0 / (1.0 - beta2**t)"}  # noqa: RUF012  no root: eps is inside it

    params: Params
    lr: LearningRate = 1e-3
    betas: Betas = (0.9, 0.999)
    eps: Epsilon = 1e-8
