"""The Kullback-Leibler divergence of two distributions: KL(p, q) = mean of log(p / q) under p."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from .. import functions as fn
from ..core.tensor import Tensor
from ..functions import inverses
from .bernoulli import Bernoulli
from .beta import Beta
from .categorical import Categorical
from .counts import Binomial, Geometric, Poisson
from .dirichlet import Dirichlet
from .distribution import Distribution
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import EULER, Gumbel
from .half import HalfNormal
from .independent import Independent
from .laplace import Laplace
from .log_normal import LogNormal
from .multivariate_normal import MultivariateNormal, half_log_det
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import softplus, sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

_FORMULAS: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """A decorator: the function of (p, q) below it is the divergence of the two classes.

    Raises TypeError unless both are subclasses of Distribution.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not (isinstance(kind, type) and issubclass(kind, Distribution)):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def decorator(function: Any) -> Any:
        _FORMULAS[type_p, type_q] = function
        return function

    return decorator


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The mean of log(p(x) / q(x)) under p, of the batch shape.

    The formula of the nearest classes that both are of. Raises NotImplementedError if there is
    none: `register_kl` adds one.

    >>> kl_divergence(Normal(1.0, 1.0), Normal(0.0, 1.0))
    tensor(0.5000)
    """
    found = [
        (type(p).__mro__.index(a), type(q).__mro__.index(b), function)
        for (a, b), function in _FORMULAS.items()
        if isinstance(p, a) and isinstance(q, b)
    ]
    if not found:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type "
            f"{type(q).__name__}; register_kl adds one"
        )
    return min(found, key=lambda entry: (entry[0] + entry[1], entry[0]))[2](p, q)


# Of one family ------------------------------------------------------------------------------------


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    away = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + away - 1 - fn.log(ratio))


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> Tensor:
    of_one = _times_finite(p.probs, softplus(-q.logits) - softplus(-p.logits))
    of_zero = _times_finite(1 - p.probs, softplus(q.logits) - softplus(p.logits))
    one = fn.where((q.probs == 0) & (p.probs > 0), math.inf, of_one)
    return one + fn.where((q.probs == 1) & (p.probs < 1), math.inf, of_zero)


def _times_finite(p: Tensor, x: Tensor) -> Tensor:
    return fn.where(p == 0, 0.0, p * x)


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    t = fn.where((q.probs == 0).expand(t.shape), math.inf, t)
    return fn.where((p.probs == 0).expand(t.shape), 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> Tensor:
    found = fn.log((q.high - q.low) / (p.high - p.low))
    return fn.where((q.low > p.low) | (q.high < p.high), math.inf, found)


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - fn.log(ratio) - 1


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> Tensor:
    ratio, away = p.scale / q.scale, fn.abs(p.loc - q.loc)
    return -fn.log(ratio) + away / q.scale + ratio * fn.exp(-away / p.scale) - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    return (
        b * fn.log(p.rate / q.rate) + fn.lgamma(b) - fn.lgamma(a) + (a - b) * fn.digamma(a)
        + (q.rate - p.rate) * (a / p.rate)
    )  # fmt: skip


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    norm = fn.lgamma(total) - fn.lgamma(b.sum(-1)) - (fn.lgamma(a) - fn.lgamma(b)).sum(-1)
    return norm + ((a - b) * (fn.digamma(a) - fn.digamma(total).unsqueeze(-1))).sum(-1)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> Tensor:
    return p.rate * (fn.log(p.rate) - fn.log(q.rate)) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - fn.log1p(-q.probs) / p.probs - q.logits


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> Tensor:
    if (q.total_count < p.total_count).any().item():
        raise NotImplementedError(
            "KL between Binomials where q.total_count < p.total_count is not implemented"
        )
    found = p.total_count * (
        p.probs * (p.logits - q.logits) + fn.log1p(-p.probs) - fn.log1p(-q.probs)
    )
    return fn.where(p.total_count > q.total_count, math.inf, found)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> Tensor:
    ratio = p.scale / q.scale
    far, near = q.loc / q.scale, p.loc / q.scale
    moved = fn.exp(far + fn.lgamma(1 + ratio) - near)
    return -fn.log(ratio) - far + near + ratio * EULER + moved - (1 + EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(LogNormal, LogNormal)
def _log_normal(p: LogNormal, q: LogNormal) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be "
            "computed"
        )
    n = p.event_shape[0]
    batch = fn.broadcast_shapes(p.batch_shape, q.batch_shape)
    root_p = p._unbroadcasted_scale_tril.expand((*batch, n, n))
    root_q = q._unbroadcasted_scale_tril.expand((*batch, n, n))
    away = (q.loc - p.loc).expand((*batch, n)).unsqueeze(-1)
    both = inverses.solve_triangular(root_q, fn.cat([root_p, away], -1), upper=False)
    return half_log_det(root_q) - half_log_det(root_p) + 0.5 * ((both * both).sum((-2, -1)) - n)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "KL of two Independent distributions needs the same reinterpreted_batch_ndims, got "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("KL of two transformed distributions needs the same transforms")
    more = len(p.event_shape) - len(p.base_dist.event_shape)
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), more)


# Of two families ----------------------------------------------------------------------------------


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> Tensor:
    width = p.high - p.low
    middle = (p.high + p.low) / 2
    spread = (width.pow(2) / 12 + (middle - q.loc).pow(2)) / (2 * q.scale.pow(2))
    return fn.log(math.sqrt(2 * math.pi) * q.scale / width) + spread


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> Tensor:
    away = p.loc - q.loc
    z = away / p.scale
    mean = p.scale * math.sqrt(2 / math.pi) * fn.exp(-0.5 * z * z) + away * fn.erf(z / math.sqrt(2))
    return fn.log(2 * q.scale) + mean / q.scale - p.entropy()


@register_kl(Laplace, Normal)
def _laplace_normal(p: Laplace, q: Normal) -> Tensor:
    spread = (2 * p.scale.pow(2) + (p.loc - q.loc).pow(2)) / (2 * q.scale.pow(2))
    return fn.log(math.sqrt(2 * math.pi) * q.scale) + spread - p.entropy()


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> Tensor:
    ratio = q.rate / p.rate
    a = q.concentration
    return -a * fn.log(ratio) + ratio + fn.lgamma(a) + a * EULER - (1 + EULER)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Gamma, q: Exponential) -> Tensor:
    return -p.entropy() - fn.log(q.rate) + q.rate * p.concentration / p.rate
