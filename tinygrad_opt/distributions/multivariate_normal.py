"""The normal distribution of vectors."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import functions as fn
from ..core.tensor import Tensor
from ..functions import factorizations, inverses
from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["MultivariateNormal"]


def squared_distance(root: Tensor, away: Tensor) -> Tensor:
    """away^T (root root^T)^-1 away, of lower triangular roots (..., n, n)."""
    z = inverses.solve_triangular(root, away.unsqueeze(-1), upper=False).squeeze(-1)
    return (z * z).sum(-1)


def half_log_det(root: Tensor) -> Tensor:
    """log det(root), half that of root root^T."""
    return fn.log(root.diagonal(dim1=-2, dim2=-1)).sum(-1)


class MultivariateNormal(Distribution):
    """Vectors of mean `loc` (..., n) and of one of the three: a covariance, its inverse, its root.

    `covariance_matrix`, `precision_matrix` or `scale_tril`, lower triangular with a positive
    diagonal: (..., n, n). Raises ValueError unless exactly one is given, and for matrices that are
    none of these.

    >>> from tinygrad_opt import eye
    >>> MultivariateNormal(zeros(2), eye(2)).log_prob(zeros(2))
    tensor(-1.8379)
    """

    arg_constraints: ClassVar[Any] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, covariance_matrix: Any = None, precision_matrix: Any = None,
        scale_tril: Any = None, validate_args: bool | None = None,
    ) -> None:  # fmt: skip
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {
            "covariance_matrix": covariance_matrix, "scale_tril": scale_tril,
            "precision_matrix": precision_matrix,
        }  # fmt: skip
        given = {name: matrix for name, matrix in given.items() if matrix is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril "
                             "may be specified.")  # fmt: skip
        ((name, matrix),) = given.items()
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = fn.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        vars(self)[name] = matrix.expand((*batch, *matrix.shape[-2:]))
        self.loc = loc.expand((*batch, loc.shape[-1]))
        super().__init__(batch, loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = factorizations.cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = _root_of_inverse(matrix)

    def _expand_parts(self, new: Any, batch: Any) -> None:
        n = self.event_shape[0]
        new.loc = self.loc.expand((*batch, n))
        new._unbroadcasted_scale_tril = self._unbroadcasted_scale_tril
        for name in ("covariance_matrix", "precision_matrix", "scale_tril"):
            if name in vars(self):
                vars(new)[name] = vars(self)[name].expand((*batch, n, n))

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower triangular root of the covariance."""
        return self._unbroadcasted_scale_tril.expand(self._matrix_shape())

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """root root^T."""
        root = self._unbroadcasted_scale_tril
        return fn.matmul(root, root.mT).expand(self._matrix_shape())

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        inverse = inverses.inv(self._unbroadcasted_scale_tril)
        return fn.matmul(inverse.mT, inverse).expand(self._matrix_shape())

    def _matrix_shape(self) -> tuple[int, ...]:
        return (*self.batch_shape, *self.event_shape, *self.event_shape)

    @property
    def mean(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        """loc."""
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The diagonal of the covariance."""
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self.loc.shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """loc + root @ standard normal noise."""
        noise = self.loc.new_empty(self._extended_shape(sample_shape)).normal_()
        root = self._unbroadcasted_scale_tril
        return self.loc + fn.matmul(root, noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        """The logarithm of the density."""
        self._validate_sample(value)
        root = self._unbroadcasted_scale_tril
        away = value - self.loc
        spread = root.expand((*away.shape[:-1], *root.shape[-2:]))
        n = self.event_shape[0]
        distance = squared_distance(spread, away)
        return -0.5 * (n * math.log(2 * math.pi) + distance) - half_log_det(root)

    def entropy(self) -> Tensor:
        """n (1 + log(2 pi)) / 2 + log det(root)."""
        n = self.event_shape[0]
        found = 0.5 * n * (1.0 + math.log(2 * math.pi)) + half_log_det(
            self._unbroadcasted_scale_tril
        )
        return found.expand(self.batch_shape)


def _root_of_inverse(matrix: Tensor) -> Tensor:
    """The lower triangular root of the inverse of a positive definite matrix."""
    turned = factorizations.cholesky(fn.flip(matrix, (-2, -1)))
    upper = fn.flip(turned, (-2, -1)).mT  # matrix = upper^T upper, from the far corner
    n = matrix.shape[-1]
    one = fn.diag_embed(matrix.new_ones((n,)))
    return inverses.solve_triangular(upper, one.expand(matrix.shape), upper=False)
