"""Batch axes taken for parts of one value."""

from __future__ import annotations

from typing import Any, ClassVar

from ..arrays.size import Size
from ..core.tensor import Tensor
from . import constraints
from .distribution import Distribution
from .utils import sum_rightmost

__all__ = ["Independent"]


class Independent(Distribution):
    """`base_distribution` with its last `reinterpreted_batch_ndims` batch axes as event axes.

    So log_prob sums over them: a diagonal normal distribution is Independent(Normal(m, s), 1).
    Raises ValueError for more axes than the base has.

    >>> from tinygrad_opt.distributions import Normal
    >>> Independent(Normal(zeros(3), 1.0), 1).log_prob(zeros(3))
    tensor(-2.7568)
    """

    arg_constraints: ClassVar[Any] = {}

    def __init__(
        self, base_distribution: Any, reinterpreted_batch_ndims: int,
        validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        n = reinterpreted_batch_ndims
        if n > len(base_distribution.batch_shape):
            raise ValueError(
                "Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual "
                f"{n} vs {len(base_distribution.batch_shape)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        whole = (*base_distribution.batch_shape, *base_distribution.event_shape)
        cut = len(base_distribution.batch_shape) - n
        super().__init__(whole[:cut], whole[cut:], validate_args=validate_args)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        n = self.reinterpreted_batch_ndims
        new.base_dist = self.base_dist.expand(Size((*batch, *self.event_shape[:n])))
        new.reinterpreted_batch_ndims = n

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        """As the base."""
        return self.base_dist.has_rsample

    @property
    def has_enumerate_support(self) -> bool:  # type: ignore[override]
        """As the base, unless axes have become events."""
        return self.base_dist.has_enumerate_support if not self.reinterpreted_batch_ndims else False

    @constraints.dependent_property
    def support(self) -> Any:
        """The support of the base, for whole events."""
        base = self.base_dist.support
        n = self.reinterpreted_batch_ndims
        return constraints.independent(base, n) if n else base

    @property
    def mean(self) -> Tensor:
        """The mean of the base."""
        return self.base_dist.mean

    @property
    def mode(self) -> Tensor:
        """The mode of the base."""
        return self.base_dist.mode

    @property
    def variance(self) -> Tensor:
        """The variance of the base."""
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base."""
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """Values of the base, with gradients."""
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum of the base's over the event axes."""
        return sum_rightmost(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Tensor:
        """The sum of the base's over the event axes."""
        return sum_rightmost(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """All values of the base."""
        if self.reinterpreted_batch_ndims:
            raise NotImplementedError(
                "Enumeration over cartesian product is not implemented for Independent"
            )
        return self.base_dist.enumerate_support(expand)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"
