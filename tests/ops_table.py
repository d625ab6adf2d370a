"""OPS: one row for each differentiable operation and function, for the generic tests to run over.

A row's function takes the module first (`tinygrad_opt` or, in the peers tier, `torch`), since most
calls are spelled the same in both; `peer` is given where they are not. Samplers keep off kinks,
ties and poles, where finite differences say nothing.
"""

import pytest
from op_rows.activation import ACTIVATIONS
from op_rows.attention import ATTENTION
from op_rows.complexes import COMPLEX
from op_rows.conv import CONVOLUTIONS
from op_rows.elementwise import ARITHMETIC, THREE_INPUTS
from op_rows.index import INDEXING
from op_rows.linalg import MATRICES, PRODUCTS, SUMMATIONS
from op_rows.lookup import LOOKUP
from op_rows.loss import LOSSES
from op_rows.mathematics import CLAMPED, MATHEMATICS
from op_rows.normalization import NORMALIZATION
from op_rows.pool import POOLING, RESIZING
from op_rows.recurrent import RECURRENT
from op_rows.reduce import REDUCTIONS
from op_rows.shape import DIAGONALS, JOINING, PADDING, SHAPES
from op_rows.sorting import CUMULATIVE, SORTING, STATISTICS
from op_rows.special import DISTANCES, ELIMINATION, SPECIAL

# Public functions without a gradient, for which the table needs no row.
NO_GRADIENT = {
    "all", "allclose", "any", "argmax", "argmin", "argsort", "argwhere", "bincount",
    "bitwise_and", "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift",
    "bitwise_xor", "broadcast_shapes", "bucketize", "causal_mask", "count_nonzero", "eq", "equal",
    "gcd", "ge", "gt", "heaviside", "histc", "histogram", "is_complex", "is_conj", "isreal",
    "is_floating_point", "is_nonzero", "is_same_size",
    "is_signed", "is_tensor", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf",
    "isposinf", "lcm", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt",
    "ne", "nextafter", "nonzero", "numel", "ones_like", "result_type", "searchsorted",
    "signbit", "unique", "unique_consecutive", "unravel_index", "zeros_like",
}  # fmt: skip

ELEMENTWISE = [*ARITHMETIC, *MATHEMATICS, *SPECIAL, *ACTIVATIONS]
OPS = [
    *ELEMENTWISE, *THREE_INPUTS, *CLAMPED, *REDUCTIONS, *CUMULATIVE, *SORTING, *STATISTICS, *SHAPES,
    *JOINING, *DIAGONALS, *PADDING, *INDEXING, *PRODUCTS, *LOSSES, *LOOKUP, *ATTENTION, *RECURRENT,
    *NORMALIZATION, *MATRICES, *SUMMATIONS, *CONVOLUTIONS, *POOLING, *RESIZING, *DISTANCES,
    *ELIMINATION, *COMPLEX,
]  # fmt: skip

# For checks of one thing in all operations, whose values are checked elsewhere: `make test` goes
# through a third of the rows, of each family some, and `make test-thorough` through the others.
sampled_rows = pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=[pytest.mark.thorough] if i % 3 else [])
        for i, row in enumerate(OPS)
    ],
)
