"""Tensors without elements, and 0-d ones: PyTorch's values, shapes and errors."""

import math
import warnings

import numpy as np
import pytest
from refusals import both_refuse

import tinygrad_opt as tg

nan, inf = math.nan, math.inf
F = tg.nn.functional


def empty(*shape):
    return tg.zeros(*shape)


GOLDEN = {
    "softmax": (lambda: empty(2, 0).softmax(1).shape, (2, 0)),
    "softmax, batch": (lambda: empty(0, 3).softmax(1).shape, (0, 3)),
    "log_softmax": (lambda: empty(2, 0).log_softmax(1).shape, (2, 0)),
    "gumbel_softmax": (lambda: F.gumbel_softmax(empty(2, 0)).shape, (2, 0)),
    "logsumexp": (lambda: empty(2, 0).logsumexp(1), [-inf, -inf]),
    "logsumexp, all": (lambda: empty(2, 0).logsumexp((0, 1), keepdim=True), [[-inf]]),
    "trapezoid": (lambda: tg.trapezoid(empty(0)), 0.0),
    "trapezoid, rows": (lambda: tg.trapezoid(empty(2, 0)), [0, 0]),
    "cumulative_trapezoid": (lambda: tg.cumulative_trapezoid(empty(2, 0)).shape, (2, 0)),
    "median": (lambda: empty(0).median(), nan),
    "mean": (lambda: empty(0, 2).mean(), nan),
    "sum": (lambda: empty(0, 2).sum(0), [0, 0]),
    "prod": (lambda: empty(0, 2).prod(0), [1, 1]),
    "matmul": (lambda: empty(2, 0) @ empty(0, 3), [[0, 0, 0]] * 2),
    "bmm": (lambda: tg.bmm(empty(0, 2, 3), empty(0, 3, 1)).shape, (0, 2, 1)),
    "einsum": (lambda: tg.einsum("ij,kj->ik", empty(2, 0), empty(3, 0)), [[0, 0, 0]] * 2),
    "linear": (lambda: F.linear(empty(2, 3, 0), empty(4, 0)).shape, (2, 3, 4)),
    "linear, vector": (lambda: F.linear(empty(0), empty(2, 0), tg.ones(2)), [1, 1]),
    "mse, mean": (lambda: F.mse_loss(empty(0, 2), empty(0, 2)), nan),
    "mse, sum": (lambda: F.mse_loss(empty(0), empty(0), reduction="sum"), 0),
    "l1": (lambda: F.l1_loss(empty(0), empty(0)), nan),
    "cross_entropy": (lambda: F.cross_entropy(empty(0, 3), empty(0).long()), nan),
    "cross_entropy, sum": (lambda: F.cross_entropy(empty(0, 3), empty(0).long(), reduction="sum"),
                           0),
    "cross_entropy, no classes": (
        lambda: F.cross_entropy(empty(0, 0), empty(0).long(), reduction="none").shape, (0,)),
    "cross_entropy, pixels": (
        lambda: F.cross_entropy(empty(2, 3, 0), empty(2, 0).long(), reduction="none").shape,
        (2, 0)),
    "bce": (lambda: F.binary_cross_entropy(empty(0), empty(0)), nan),
    "multi_margin, 0-d": (lambda: F.multi_margin_loss(tg.tensor(2.5), tg.tensor(0)), 0),
    "multilabel_margin, 0-d": (lambda: F.multilabel_margin_loss(tg.tensor(2.5), tg.tensor(0)), 0),
    "matrix_norm": (lambda: tg.linalg.matrix_norm(empty(3, 0), 2), 0),
    "matrix_norm, 1": (lambda: tg.linalg.matrix_norm(empty(2, 3, 0), 1), [0, 0]),
    "cond": (lambda: tg.linalg.cond(empty(2, 3, 0)), [0, 0]),
    "pixel_shuffle": (lambda: F.pixel_shuffle(empty(2, 4, 0, 1), 2).shape, (2, 1, 0, 2)),
    "adaptive_avg_pool": (lambda: F.adaptive_avg_pool2d(tg.full((1, 2, 1, 1), 3.0), (2, 3)),
                          [[[[3.0] * 3] * 2] * 2]),
    "adaptive_avg_pool1d": (lambda: F.adaptive_avg_pool1d(tg.full((1, 1, 1), 3.0), 3),
                            [[[3.0] * 3]]),
    "adaptive, twos": (lambda: F.adaptive_avg_pool1d(tg.tensor([[1.0, 3.0]]), 4), [[1, 1, 3, 3]]),
    "area": (lambda: F.interpolate(tg.full((1, 1, 1, 1), 3.0), (2, 2), mode="area"),
             [[[[3.0] * 2] * 2]]),
    "adaptive, batch": (lambda: F.adaptive_max_pool2d(empty(0, 2, 4, 4), 2).shape, (0, 2, 2, 2)),
    "adaptive, channels": (lambda: F.adaptive_avg_pool2d(empty(0, 4, 4), 2).shape, (0, 2, 2)),
    "adaptive, no output": (lambda: F.adaptive_max_pool2d(empty(0, 2, 4, 4), 0).shape,
                            (0, 2, 0, 0)),
    "max_unpool": (lambda: F.max_unpool1d(empty(0, 4), empty(0, 4).long(), 2).shape, (0, 8)),
    "attention": (lambda: F.scaled_dot_product_attention(*[empty(2, 0, 4)] * 3).shape, (2, 0, 4)),
    "attention layer": (lambda: tg.nn.MultiheadAttention(4, 2)(*[empty(0, 2, 4)] * 3)[0].shape,
                        (0, 2, 4)),
    "conv": (lambda: F.conv2d(empty(0, 2, 4, 4), empty(3, 2, 2, 2)).shape, (0, 3, 3, 3)),
    "batch_norm": (lambda: tg.nn.BatchNorm1d(2).eval()(empty(0, 2)).shape, (0, 2)),
    "layer_norm": (lambda: F.layer_norm(empty(0, 3), (3,)).shape, (0, 3)),
    "lstm": (lambda: tg.nn.LSTM(2, 3)(empty(5, 0, 2))[0].shape, (5, 0, 3)),
    "unique_consecutive": (lambda: tg.unique_consecutive(empty(0, 3), dim=0).shape, (0, 3)),
    # 0-d
    "prod, 0-d": (lambda: tg.prod(tg.tensor(2.0), 0), 2),
    "flip, 0-d": (lambda: tg.flip(tg.tensor(2.0), (0,)), 2),
    "quantile, 0-d": (lambda: tg.quantile(tg.tensor(2.0), 0.5, dim=0), 2),
    "gather, 0-d": (lambda: tg.gather(tg.tensor(2.0), 0, tg.tensor(0)), 2),
    "gather, of 0-d": (lambda: tg.gather(tg.tensor(2.0), 0, tg.tensor([0, 0])), [2, 2]),
    "gather, by 0-d": (lambda: tg.gather(tg.tensor([2.0, 3.0]), 0, tg.tensor(1)), 3),
    "scatter, 0-d": (lambda: tg.scatter(tg.tensor(2.0), 0, tg.tensor([0]), tg.tensor([5.0])), 5),
    "scatter_add, 0-d": (lambda: tg.scatter_add(tg.tensor(2.0), 0, tg.tensor(0), tg.tensor(5.0)),
                         7),
    "index_add, 0-d": (lambda: tg.index_add(tg.tensor(2.0), 0, tg.tensor(0), tg.tensor(3.0)), 5),
    "index_add, alpha": (
        lambda: tg.index_add(tg.tensor(2.0), 0, tg.tensor([0]), tg.tensor(3.0), alpha=2), 8),
    "index_fill, 0-d": (lambda: tg.index_fill(tg.tensor(2.0), 0, tg.tensor([0]), 9.0), 9),
    "index_fill, tensor": (
        lambda: tg.index_fill(tg.tensor(2.0), 0, tg.tensor(0), tg.tensor(9.0)), 9),
    "index_fill, none": (lambda: tg.index_fill(tg.tensor(2.0), 0, empty(0).long(), 9.0), 2),
    "index_fill, last": (lambda: tg.index_fill(empty(2), 0, tg.tensor(-1), 4.0), [0, 4]),
    "index_copy, 0-d": (lambda: tg.index_copy(tg.tensor(2.0), 0, tg.tensor(0), tg.tensor(3.0)), 3),
    "index_copy, into": (lambda: tg.index_copy(empty(2), 0, tg.tensor(1), tg.tensor(3.0)), [0, 3]),
    "index_select, 0-d": (lambda: tg.index_select(tg.tensor(2.0), 0, tg.tensor([0])), 2),
    "logsumexp, 0-d": (lambda: tg.logsumexp(tg.tensor(2.5), 0), 2.5),
    "mT, 0-d": (lambda: tg.tensor(2.0).mT, 2),
}  # fmt: skip


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name):
    call, expected = GOLDEN[name]
    y = call()
    y = y.tolist() if isinstance(y, tg.Tensor) else tuple(y)
    np.testing.assert_array_equal(y, expected)


def test_gradients_of_nothing():
    for loss in (F.mse_loss, F.l1_loss, F.smooth_l1_loss):
        x = tg.zeros(0, 3, requires_grad=True)
        loss(x, tg.zeros(0, 3)).backward()
        assert x.grad.shape == (0, 3)
    for function in (tg.softmax, tg.log_softmax, tg.logsumexp):
        x = tg.zeros(2, 0, requires_grad=True)
        function(x, 1).sum().backward()
        assert x.grad.shape == (2, 0)


def test_gradients_of_one_element():
    x = tg.tensor(2.0, requires_grad=True)
    tg.index_add(x, 0, tg.tensor([0]), x, alpha=3).backward()
    assert x.grad.item() == 4
    x = tg.tensor([2.0, 3.0], requires_grad=True)
    tg.gather(x, 0, tg.tensor(1)).backward()
    assert x.grad.tolist() == [0, 1]
    x = tg.full((1, 1, 1, 1), 3.0, requires_grad=True)
    F.adaptive_avg_pool2d(x, (2, 3)).sum().backward()
    assert x.grad.item() == 6


E, R = IndexError, RuntimeError
ERRORS = {
    "argmax": (E, "Expected reduction dim", lambda m: m.argmax(m.zeros(0))),
    "max": (R, "Expected reduction dim to be specified", lambda m: m.max(m.zeros(0))),
    "max, axis": (E, "Expected reduction dim .* non-zero size", lambda m: m.max(m.zeros(2, 0), 1)),
    "aminmax": (R, "cannot compute aminmax over an empty dimension",
                lambda m: m.aminmax(m.zeros(0))),
    "aminmax, axis": (E, "Expected reduction dim .* to have non-zero size",
                      lambda m: m.aminmax(m.zeros(0, 2), dim=0)),
    "kthvalue": (E, "Expected reduction dim .* to have non-zero size",
                 lambda m: m.kthvalue(m.zeros(2, 0), 1)),
    "median, axis": (E, "Expected reduction dim .* to have non-zero size",
                     lambda m: m.median(m.zeros(2, 0), 1)),
    "unique_consecutive": (R, "0 sized dimensions.*aren't selected",
                           lambda m: m.unique_consecutive(m.zeros(2, 0), dim=0)),
    "unique_consecutive, two": (R, "Number of zero sized dimensions.* is more than one",
                                lambda m: m.unique_consecutive(m.zeros(0, 0), dim=0)),
    "batch_norm": (ValueError, "Expected more than 1 value per channel when training",
                   lambda m: m.nn.BatchNorm1d(2)(m.zeros(1, 2))),
    "nll": (E, "Target 0 is out of bounds",
            lambda m: m.nn.functional.cross_entropy(m.zeros(1, 0), m.tensor([0]))),
    "quantile": (R, "input tensor must be non-empty", lambda m: m.quantile(m.zeros(0), 0.5)),
    "rot90": (R, "expected total dims >= 2, but got total dims = 1", lambda m: m.rot90(m.zeros(2))),
    "narrow": (R, r"narrow\(\) cannot be applied to a 0-dim tensor",
               lambda m: m.narrow(m.tensor(1.0), 0, 0, 1)),
    "mT": (R, "only supported on matrices or batches of matrices. Got 1-D",
           lambda m: m.zeros(2).mT),
    "trapezoid": (E, "Dimension specified as -1 but tensor has no dimensions",
                  lambda m: m.trapezoid(m.tensor(1.0))),
    "searchsorted": (R, "boundaries tensor|input value can be a scalar only",
                     lambda m: m.searchsorted(m.tensor(1.0), m.zeros(2))),
    "cartesian_prod": (R, "Expect a 1D vector, but got shape",
                       lambda m: m.cartesian_prod(m.tensor(1.0), m.tensor(1.0))),
    "meshgrid": (R, "Expected 0D or 1D tensor in the tensor list but got",
                 lambda m: m.meshgrid(m.zeros(1, 2), indexing="ij")),
    "block_diag": (R, "Input tensors must have 2 or fewer dimensions",
                   lambda m: m.block_diag(m.zeros(1, 1, 1))),
    "vander": (R, "x must be a one-dimensional tensor", lambda m: m.vander(m.zeros(1, 2))),
    "any": (E, "Dimension out of range", lambda m: m.any(m.tensor(1.0), 1)),
    "mode": (E, "Dimension out of range", lambda m: m.mode(m.tensor(1.0), 1)),
    "median, 0-d": (E, "Dimension out of range", lambda m: m.median(m.tensor(1.0), 1)),
    "prod": (E, "Dimension out of range", lambda m: m.prod(m.tensor(1.0), 1)),
    "index_select": (R, "Index to scalar can have only 1 value",
                     lambda m: m.index_select(m.tensor(1.0), 0, m.tensor([0, 0]))),
    "index_add, type": (R, r"self \(Float\) and source \(Double\) must have the same scalar type",
                        lambda m: m.index_add(m.zeros(2), 0, m.tensor([0]), m.zeros(1).double())),
    "index_add, shape": (R, "source tensor shape must match self tensor shape, excluding",
                         lambda m: m.index_add(m.zeros(2), 0, m.tensor(0), m.tensor(1.0))),
    "index_add, count": (R, "Number of indices .1. should be equal to source.size.dim",
                         lambda m: m.index_add(m.zeros(3), 0, m.tensor([0]), m.zeros(2))),
    "index_copy, count": (E, "Number of indices .1. should be equal to source.size.dim",
                          lambda m: m.index_copy(m.zeros(3), 0, m.tensor([0]), m.zeros(2))),
    "index_copy, shape": (E, "must match",
                          lambda m: m.index_copy(m.zeros(3, 2), 0, m.tensor([0]), m.zeros(2))),
    "index_fill": (R, "only supports a 0-dimensional value tensor, but got tensor with 1 dim",
                   lambda m: m.index_fill(m.zeros(2), 0, m.tensor([0]), m.zeros(1))),
}  # fmt: skip
test_errors, test_errors_as_pytorch = both_refuse(ERRORS)


# A sweep over shapes with nothing in them ---------------------------------------------------------

ONE = """
    abs exp log sqrt sigmoid tanh erf floor round sign square relu isnan digamma clone flatten
    nonzero argwhere sum mean prod var std max min amax argmax any all median count_nonzero nansum
    norm aminmax logsumexp:0 mode:0 sort:0 argsort:0 cumsum:0 cumprod:0 cummax:0 softmax:0
    log_softmax:-1 unbind:0 diff trapezoid cumulative_trapezoid flip:(0,) squeeze:0 unsqueeze:0
    topk:0 kthvalue:1 tril trace diag diag_embed cov corrcoef det inverse svd roll:1 split:1
    chunk:2 narrow:0,0,0 select:0,0 repeat_interleave:2 movedim:0,-1 var_mean:0 std:0 mean:0
    sum:1 amax:0 max:0 prod:1 all:0 quantile:0.5 clamp:0,1 unique histc tile:(2,) nan_to_num
""".split()  # noqa: SIM905
TWO = """
    add mul div maximum atan2 eq where_ lerp_ matmul mm bmm mv dot outer inner kron cdist cat_
    stack_ hstack_ vstack_ equal allclose mse_loss l1_loss smooth_l1_loss huber_loss kl_div
    soft_margin_loss poisson_nll_loss binary_cross_entropy_with_logits cosine_similarity
    pairwise_distance hinge_embedding_loss
""".split()  # noqa: SIM905
SHAPES = [(0,), (0, 3), (3, 0), (0, 0), (2, 0, 3), (0, 2, 3), (2, 3, 0), ()]


def calls(m):
    for name, _, args in (spec.partition(":") for spec in ONE):
        given = eval(f"({args},)") if args else ()
        yield f"{name}:{args}", lambda x, n=name, g=given: getattr(m, n)(x, *g)
    for name in TWO:
        owner = m.nn.functional if hasattr(m.nn.functional, name) else m
        if name == "where_":
            yield name, lambda x: m.where(x > 0, x, m.ones_like(x))
        elif name == "lerp_":
            yield name, lambda x: m.lerp(x, m.ones_like(x), 0.5)
        elif name.endswith("_"):
            yield name, lambda x, n=name[:-1]: getattr(m, n)([x, m.ones_like(x)])
        else:
            yield name, lambda x, n=name, o=owner: getattr(o, n)(x, m.ones_like(x))


def result(call, x):
    """Shapes, types and values of all that comes back, and the gradient's shape; or "error"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            y = call(x)
        parts = y if isinstance(y, (tuple, list)) else [y]
        for part in parts:
            if getattr(part, "requires_grad", False):
                part.sum().backward()
                break
    except (RuntimeError, IndexError, ValueError, NotImplementedError, np.linalg.LinAlgError):
        return "error"
    return [seen(part) for part in parts]


def seen(part):
    if not hasattr(part, "detach"):
        return part
    values = np.array(part.detach().tolist(), float)
    return str(part.dtype).removeprefix("torch."), tuple(part.shape), str(values.round(4))


# Where something else is right than what PyTorch does: its refusals to differentiate.
EXCEPT = {"unique:", "topk:0"}


@pytest.mark.peers
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_as_pytorch(torch, shape):
    values = np.full(shape, 0.5, np.float32)
    wrong = []
    for (name, theirs), (_, ours) in zip(calls(torch), calls(tg), strict=True):
        if name in EXCEPT:
            continue
        a = result(theirs, torch.tensor(values).requires_grad_())
        b = result(ours, tg.tensor(values).requires_grad_())
        if a != b:
            wrong.append((name, a, b))
    assert not wrong, wrong
