"""What comes out when a distribution goes through transforms."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.tensor import Tensor
from . import constraints
from .distribution import Distribution
from .independent import Independent
from .transforms import ComposeTransform, Transform
from .utils import sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of transforms(x), x from `base_distribution`.

    log_prob(y) = log_prob(x) - log|dy/dx|.
    `transforms`: a Transform or a list of them, the first first.
    Raises ValueError for anything else.

    >>> from tinygrad_opt.distributions import Normal, TanhTransform
    >>> TransformedDistribution(Normal(0.0, 1.0), TanhTransform()).log_prob(tensor(0.0))
    tensor(-0.9189)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self, base_distribution: Distribution, transforms: Any, validate_args: bool | None = None
    ) -> None:
        chain = [transforms] if isinstance(transforms, Transform) else transforms
        if not isinstance(chain, list) or not all(isinstance(t, Transform) for t in chain):
            raise ValueError(
                f"transforms must be a Transform or list, but was {transforms}"
                if not isinstance(chain, list)
                else "transforms must be a Transform or a list of Transforms"
            )
        self.transforms = chain
        whole = ComposeTransform(chain)
        shape = (*base_distribution.batch_shape, *base_distribution.event_shape)
        needed = whole.domain.event_dim
        if len(shape) < needed:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {needed}, but got "
                f"{tuple(shape)}."
            )
        out = whole.forward_shape(shape)
        spread = whole.inverse_shape(out)
        base_batch = spread[: len(spread) - len(base_distribution.event_shape)]
        if tuple(base_batch) != tuple(base_distribution.batch_shape):
            base_distribution = base_distribution.expand(base_batch)
        more = needed - len(base_distribution.event_shape)
        self.base_dist = Independent(base_distribution, more) if more > 0 else base_distribution
        event = whole.codomain.event_dim + max(len(self.base_dist.event_shape) - needed, 0)
        cut = len(out) - event
        super().__init__(out[:cut], out[cut:], validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        new.transforms = self.transforms
        shape = (*batch, *self.event_shape)
        for transform in reversed(self.transforms):
            shape = transform.inverse_shape(shape)
        cut = len(shape) - len(self.base_dist.event_shape)
        new.base_dist = self.base_dist.expand(shape[:cut])

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """As the base."""
        return self.base_dist.has_rsample

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        """The codomain of the last transform."""
        if not self.transforms:
            return self.base_dist.support
        found = self.transforms[-1].codomain
        more = len(self.event_shape) - found.event_dim
        return constraints.independent(found, more) if more > 0 else found

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base, transformed; no gradient."""
        from ..autograd import no_grad

        with no_grad():
            x = self.base_dist.sample(sample_shape)
            for transform in self.transforms:
                x = transform(x)
            return x

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base, transformed, with gradients."""
        x = self.base_dist.rsample(sample_shape)
        for transform in self.transforms:
            x = transform(x)
        return x

    def log_prob(self, value: Tensor) -> Tensor:
        """The base's, minus the logarithms of the slopes."""
        self._validate_sample(value)
        dim = len(self.event_shape)
        total: Any = 0.0
        y = value
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            dim += transform.domain.event_dim - transform.codomain.event_dim
            total = total - sum_rightmost(
                transform.log_abs_det_jacobian(x, y), dim - transform.domain.event_dim
            )
            y = x
        found = self.base_dist.log_prob(y)
        return total + sum_rightmost(found, dim - len(self.base_dist.event_shape))

    def _monotone(self, value: Tensor) -> Tensor:
        sign: Any = 1
        for transform in self.transforms:
            sign = sign * transform.sign
        if isinstance(sign, int) and sign == 1:
            return value
        return sign * (value - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        """The distribution function of the base, of the value before the transforms."""
        self._validate_sample(value)
        for transform in reversed(self.transforms):
            value = transform.inv(value)
        return self._monotone(self.base_dist.cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        """The transformed quantile of the base."""
        value = self.base_dist.icdf(self._monotone(value))
        for transform in self.transforms:
            value = transform(value)
        return value
