"""A second backward through a graph that was not retained: only what saved values is spent."""

import gc
import re
import weakref

import numpy as np
import pytest
from ops_table import OPS, sampled_rows

import tinygrad_opt as tg
from tinygrad_opt.autograd.saved_values import captured

SPENT = "Trying to backward through the graph a second time"


def twice(m, call, arrays, which):
    """Whether a second backward follows the first, through the inputs at the places `which`."""
    inputs = [
        m.tensor(np.asarray(x, "float64"), requires_grad=i in which) for i, x in enumerate(arrays)
    ]
    y = call(m, *inputs)
    g = m.ones_like(y)
    y.backward(g)
    reached = [x for x in inputs if x.grad is not None]
    first = [x.grad.detach().clone() for x in reached]
    try:
        y.backward(g)
    except RuntimeError as error:
        if str(error).startswith(SPENT):
            return False
        raise
    for x, once in zip(reached, first, strict=True):
        np.testing.assert_array_equal(x.grad.detach().numpy(), 2 * once.numpy())
    return True


# Public names that save nothing; and rows of the table, of names that do with other arguments.
SAVE_NOTHING = """
add_scaled as_strided atleast_1d atleast_2d atleast_3d block_diag broadcast_tensors broadcast_to
cartesian_prod cat ceil chunk clone column_stack columns concatenate conj_physical constant_pad_nd
cumsum cumulative_trapezoid deg2rad diag diag_embed diagflat diagonal diagonal_embed diagonal_put
diagonal_scatter diff dsplit dstack expand expand_as expand_dims flatten flip fliplr flipud floor
fourier frac framed hsplit hstack imag_part lerp mean meshgrid movedim narrow neg overlaid permute
positive rad2deg ravel real_part repeat resample reshape reshape_as roll rot90 round rsub scaled
select select_scatter sgn sign slice_scatter split spread_means split_with_sizes squeeze sum_rows
swapaxes t tensor_split tile to_device trace transpose triangle tril triu trunc unbind uncolumns
unflatten unfold unsqueeze view view_as vsplit vstack windows
"""
ROWS_SAVE_NOTHING = {
    "add", "add: alpha", "cast", "complex: sum", "gradient", "gradient: edges", "trapezoid",
    "sub: alpha", "einsum: a...->...a", "einsum: ii",
    "einsum: ii->i", "einsum: iii->i", "einsum: ij->", "einsum: ij->j", "einsum: ij->ji", "getitem",
    "repeat_interleave",
    "getitem: new axes", "pad", "pad: cropped", "pad: value, two axes", "remainder: by a number",
    "rsub", "stack", "stack: negative axis", "sub", "sum", "sum: axes kept",
    "sum: axis", "var_mean: mean",
}  # fmt: skip


@sampled_rows
def test_what_saves_nothing_may_be_gone_through_twice(row):
    arrays = row.inputs()
    expected = row.covers in SAVE_NOTHING.split() or row.name in ROWS_SAVE_NOTHING
    assert twice(tg, row.call, arrays, range(len(arrays))) == expected


@sampled_rows
def test_what_is_marked_reads_no_values(row):
    y = row.call(tg, *[tg.tensor(x, requires_grad=True) for x in row.inputs()])
    outlined = None if y.node is None else getattr(y.node.op, "outlined", None)
    if outlined is not None and outlined(y.node):
        pullbacks = [
            p for x, p in zip(y.node.targets, y.node.output[1:], strict=False) if x is not None
        ]
        assert [list(captured(p)) for p in pullbacks] == [[]] * len(pullbacks)


# Where this differs from PyTorch ------------------------------------------------------------------

# Here these are made of operations that need nothing, in PyTorch of one that saves.
MORE_THAN_PYTORCH = {
    "addcdiv", "complex", "conj_physical", "convolve_input", "fourier", "imag_part", "index_put",
    "put", "real_part", "resample", "scatter_reduce", "sgn", "spread_means", "var_mean",
}  # fmt: skip
# Here these are one operation that saves; what stands in PyTorch's place is two, or the element.
LESS_THAN_PYTORCH = {
    "affine", "tied",
}  # fmt: skip


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("row", OPS, ids=lambda row: row.name)
def test_pytorch_spends_the_same(torch, row):
    arrays = row.inputs()
    n = len(arrays)
    for which in [tuple(range(n)), *((i,) for i in range(n))]:
        ours = twice(tg, row.call, arrays, which)
        theirs = twice(torch, row.peer or row.call, arrays, which)
        if ours and not theirs:
            assert row.covers in MORE_THAN_PYTORCH, which
        if theirs and not ours:
            assert {row.name, row.covers} & LESS_THAN_PYTORCH, which


def test_a_third_backward_follows_the_second():
    x = tg.ones(3, requires_grad=True)
    y = (x + x.detach()).reshape(3, 1).sum()
    for count in range(1, 5):
        y.backward()
        assert x.grad.tolist() == [count] * 3


def test_a_third_backward_is_refused_as_the_second_was():
    x = tg.ones(3, requires_grad=True)
    y = (x * x + x).sum()
    y.backward()
    for _ in range(2):
        with pytest.raises(RuntimeError, match=re.escape(SPENT)):
            y.backward()


# Scenes that run in both libraries ----------------------------------------------------------------


def doubled(m):
    class Doubled(m.autograd.Function):
        @staticmethod
        def forward(ctx, x, factor):
            ctx.factor = factor
            return x * factor

        @staticmethod
        def backward(ctx, g):
            return g * ctx.factor, None

    return Doubled


def squared(m):
    class Squared(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * g * x

    return Squared


def two_results(m):
    class Both(m.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x + 1, x + 2

        @staticmethod
        def backward(ctx, a, b):
            return a + b

    return Both


def with_hook(y):
    y.register_hook(lambda g: g * 3)
    return y


def view_of_what_was_written_to(x):
    y = x.clone()
    view = y[:2]
    y.add_(1)
    return view


def written_to(x):
    y = x.clone()
    y[0] = 1.0
    return y


SCENES = {
    "a chain": (lambda m, x: x.float().view(2, 2).t().reshape(-1)[1:].sum(), [0, 1, 1, 1]),
    "one path saves": (lambda m, x: (x + 1).sum() + (x * x).sum(), SPENT),
    "a number": (lambda m, x: x * 2, SPENT),
    "1 - x": (lambda m, x: 1 - x, [-1, -1, -1, -1]),
    "index": (lambda m, x: x[m.tensor([0, 1])], SPENT),
    "Function": (lambda m, x: doubled(m).apply(x - 1, 3.0), [3, 3, 3, 3]),
    "Function that saves": (lambda m, x: squared(m).apply(x), SPENT),
    "Function of two results": (lambda m, x: sum(two_results(m).apply(x + 1)), [2, 2, 2, 2]),
    "hook": (lambda m, x: with_hook(x + 1), [3, 3, 3, 3]),
    "view of what was written to": (lambda m, x: view_of_what_was_written_to(x), [1, 1, 0, 0]),
    "add_": (lambda m, x: x.clone().add_(1), [1, 1, 1, 1]),
    "element written to": (lambda m, x: written_to(x), SPENT),
    "broadcast": (lambda m, x: x.new_ones(3, 1) + x, [3, 3, 3, 3]),
}


def overwritten(write):
    def scene(m, x):
        y, z = x.clone(), x + 1
        write(y, z)
        return y + z

    return scene


SCENES |= {
    "fill_": (overwritten(lambda y, z: y.fill_(2.0)), [1, 1, 1, 1]),
    "zero_": (overwritten(lambda y, z: y.zero_()), [1, 1, 1, 1]),
    "normal_": (overwritten(lambda y, z: y.normal_()), [1, 1, 1, 1]),
    "floor_": (overwritten(lambda y, z: y.floor_()), [1, 1, 1, 1]),
    "copy_": (overwritten(lambda y, z: y.copy_(z[1:2] + 1)), [1, 5, 1, 1]),
    "all elements written to": (overwritten(lambda y, z: y.__setitem__(..., z)), [2, 2, 2, 2]),
    "all by a slice": (overwritten(lambda y, z: y.__setitem__(slice(None), 3.0)), [1, 1, 1, 1]),
    "copy_ of what saves": (overwritten(lambda y, z: y.copy_(z * z)), SPENT),
    "fill_ of a view": (overwritten(lambda y, z: y[1:].fill_(2.0)), SPENT),
    "fft": (lambda m, x: m.fft.ifft(x + 0j).real, [1, 0, 0, 0]),
}


def second(m, function):
    x = m.tensor([1.0, 2.0, 3.0, 4.0], dtype=m.float64, requires_grad=True)
    y = function(m, x).sum()
    y.backward()
    x.grad = None
    try:
        y.backward()
    except RuntimeError as error:
        return str(error)[: len(SPENT)]
    return x.grad.tolist()


@pytest.mark.parametrize("scene", SCENES)
def test_scenes(scene):
    function, expected = SCENES[scene]
    assert second(tg, function) == expected


@pytest.mark.peers
@pytest.mark.parametrize("scene", SCENES)
def test_pytorchs_scenes(torch, scene):
    function, expected = SCENES[scene]
    assert second(torch, function) == expected


def test_grad_of_a_tensor_behind_what_was_released():
    x = tg.ones(2, requires_grad=True)
    h = x + 1
    y = (h - 2).sum()
    y.backward()
    assert [g.tolist() for g in tg.autograd.grad(y, [h, x])] == [[1, 1], [1, 1]]


def test_recorded_the_second_time():
    x = tg.ones(2, requires_grad=True)
    y = (x + 1).sum()
    y.backward()
    w = tg.tensor(3.0, requires_grad=True)
    (g,) = tg.autograd.grad(y, x, w, create_graph=True)
    g.sum().backward()
    assert w.grad.item() == 2


def test_complex_numbers():
    z = tg.tensor([1 + 2j], requires_grad=True)
    y = tg.view_as_real(z.conj() - 1).sum()
    y.backward()
    y.backward()
    assert z.grad.tolist() == [2 - 2j]


def test_anomaly_detection_goes_twice_too():
    x = tg.ones(2, requires_grad=True)
    with tg.autograd.set_detect_anomaly(True):
        y = (x - 1).sum()
        y.backward()
        y.backward()
    assert x.grad.tolist() == [2, 2]


def test_what_leads_on_is_still_told():
    x = tg.ones(2, requires_grad=True)
    y = ((x + 1) + 1).sum()
    y.backward()
    above = y.grad_fn.next_functions[0][0]
    assert above.name() == "AddBackward0"
    leaf = above.next_functions[0][0].next_functions[0][0]
    assert leaf.variable is x


def test_a_recorded_write_after_the_first():
    x = tg.ones(3, requires_grad=True)
    a, b = x.clone(), x * 1
    y = (a + b).sum()
    tg.autograd.grad(y, a)  # does not go through `b`, which keeps what it saved
    b.add_(1)
    y.backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_memory_is_given_back():
    x = tg.ones(1000, requires_grad=True)
    parts = [x + 1]
    for _ in range(3):
        parts.append((parts[-1] - 1).reshape(10, 100).t().reshape(-1))
    y = parts[-1].sum()
    arrays = [
        weakref.ref(part.array if part.array.base is None else part.array.base) for part in parts
    ]
    y.backward()
    del parts
    gc.collect()
    assert [array() for array in arrays] == [None] * 4
    y.backward()
    assert x.grad.tolist() == [2] * 1000


def test_nodes_that_nobody_holds_are_gone():
    x = tg.ones(3, requires_grad=True)
    y = x + 1
    node = y.node
    z = (y * y).sum()
    del y
    z.backward()
    assert node.inputs  # held here
    again = weakref.ref(x)
    del node, z, x
    gc.collect()
    assert again() is None
