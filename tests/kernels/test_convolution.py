"""The kernels of convolution: how boxes are laid out, and all three ways held to the formula.

Values are tested in tests/nn/test_conv.py and by the table of operations, too.
"""

from __future__ import annotations

import platform
import re

import numpy as np
import pytest

from tinygrad_opt.arrays.namespace import Namespace
from tinygrad_opt.arrays.windows import Window
from tinygrad_opt.kernels import micro, threads
from tinygrad_opt.kernels.fused import convolution
from tinygrad_opt.kernels.fused.convolution import loops, planning, slopes
from tinygrad_opt.kernels.fused.convolution.layout import Axis, box, strips
from tinygrad_opt.kernels.micro import machine

WAYS = ["channels", "positions", "samples"]
ONES, ZEROS = (1, 1, 1), (0, 0, 0)

# Layout -------------------------------------------------------------------------------------------


def lists(part):
    return [array.tolist() for array in part]


def test_windows_of_an_axis():
    axis = Axis(image=7, kernel=3, output=4, stride=2, low=1, dilation=1)
    made = axis.windows(4)
    assert (made.packed, made.size, made.step, made.phases) == (9, 9, 1, 1)
    assert lists(made.parts[0]) == [[0, 1, 2, 3], [0, 2, 4, 6], [0, 1, 2], [0, 1, 2]]
    assert axis.corner(0, back=False) == -1
    assert axis.corner(2, back=False) == 3


def test_windows_in_phases_stand_side_by_side():
    # 9 cells, every second together: 0 2 4 6 8, then 1 3 5 7 and one that nobody sees
    made = Axis(7, 3, 4, 2, 1, 1).windows(4, together=True)
    assert (made.packed, made.size, made.phases) == (10, 9, 2)
    assert lists(made.parts[0]) == [[0, 1, 2, 3], [0, 1, 2, 3], [0, 1, 2], [0, 5, 1]]


def test_one_tap_skips_what_lies_between():
    made = Axis(7, 1, 3, 3, 0, 1).windows(3)
    assert (made.packed, made.size, made.step) == (3, 3, 3)


def test_cells_of_an_axis_by_phases():
    # Cell i meets tap t in window (i + 1 - t) / 2: odd cells meet taps 0 and 2, even ones tap 1.
    axis = Axis(image=5, kernel=3, output=3, stride=2, low=1, dilation=1)
    made = axis.cells(5)
    assert axis.corner(0, back=True) == -1
    assert (made.packed, made.size) == (4, 4)
    odd, even = made.parts
    assert lists(odd) == [[1, 3], [1, 2], [0, 2], [1, 0]]
    assert lists(even) == [[0, 2, 4], [0, 1, 2], [1], [1]]


def test_what_lies_inside_the_image():
    axis = Axis(image=7, kernel=3, output=4, stride=2, low=1, dilation=1)
    assert axis.inside(7, size=9, step=1, first=0, back=False) == (0, 7, 1)
    assert axis.inside(7, size=5, step=1, first=2, back=False) == (3, 4, 0)
    far = Axis(image=2, kernel=1, output=1, stride=1, low=5, dilation=1)
    assert far.inside(2, size=1, step=1, first=0, back=False)[1] == 0


def test_places_and_shifts_of_three_axes_add_up():
    axes = [Axis(1, 1, 1, 1, 0, 1), Axis(3, 2, 2, 1, 0, 1), Axis(4, 2, 3, 1, 0, 1)]
    counts, kernel = (1, 2, 3), (1, 2, 2)
    made = box([a.windows(n) for a, n in zip(axes, counts, strict=True)], counts, kernel)
    assert made.packed == (1, 3, 4)
    assert lists(made.parts[0]) == [
        [0, 1, 2, 3, 4, 5], [0, 1, 2, 4, 5, 6], [0, 1, 2, 3], [0, 1, 4, 5]
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (((1, 4, 4), 40, ONES), (1, [(0, 4)])),
        (((1, 7, 4), 13, ONES), (1, [(0, 3), (3, 3), (6, 1)])),
        (((1, 7, 4), 8, (1, 2, 3)), (1, [(0, 2), (2, 2), (4, 2), (6, 1)])),
        (((3, 2, 2), 5, ONES), (0, [(0, 1), (1, 1), (2, 1)])),
        (((1, 1, 9), 5, ONES), (2, [(0, 5), (5, 4)])),
        (((1, 1, 9), 4, ONES, 4), (2, [(0, 5), (5, 4)])),
        (((1, 1, 17), 2, ONES, 8), (2, [(0, 9), (9, 8)])),
        (((1, 1, 7), 2, ONES, 8), (2, [(0, 7)])),
        (((1, 1, 1), 5, ONES), (2, [(0, 1)])),
    ],
)
def test_strips(arguments, expected):
    assert strips(*arguments) == expected


# The three ways -----------------------------------------------------------------------------------

SIDES = {  # image, kernel, stride, padding, dilation of the last two axes; batch, groups, channels
    "usual": ((9, 11), (3, 3), (1, 1), (1, 1), (1, 1), 3, 1, 5),
    "large, in strips": ((40, 41), (3, 3), (1, 1), (1, 1), (1, 1), 2, 1, 3),
    "many channels, block by block": ((6, 9), (3, 3), (1, 1), (1, 1), (1, 1), 2, 1, 70),
    "strides": ((23, 20), (3, 4), (2, 3), (1, 2), (1, 1), 2, 1, 4),
    "strides in strips": ((63, 50), (3, 3), (3, 2), (1, 1), (1, 1), 2, 1, 17),
    "stride over taps": ((20, 22), (2, 1), (3, 4), (0, 0), (1, 1), 9, 1, 4),
    "dilation": ((16, 18), (3, 2), (1, 2), (2, 1), (2, 3), 2, 1, 3),
    "groups": ((8, 10), (3, 3), (1, 1), (1, 1), (1, 1), 10, 3, 4),
    "one tap": ((6, 17), (1, 1), (1, 1), (0, 0), (1, 1), 5, 1, 20),
    "more padding than image": ((2, 9), (1, 3), (1, 1), (3, 4), (1, 1), 2, 1, 2),
    "small": ((2, 2), (2, 2), (1, 1), (1, 1), (1, 1), 17, 2, 3),
    "a long line": ((1, 5001), (1, 3), (1, 2), (0, 1), (1, 1), 2, 1, 40),
    "a long column": ((3000, 1), (3, 1), (1, 1), (1, 0), (1, 1), 2, 1, 9),
}


def case(name, dtype, rows):
    image, kernel, stride, low, dilation, batch, groups, channels = SIDES[name]
    output = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(image, low, dilation, kernel, stride, strict=True)
    )
    at = Window(image, kernel, output, stride, low, dilation, groups)
    rng = np.random.default_rng(0)
    x, w, bias, g = (
        rng.standard_normal(shape).astype(dtype)
        for shape in (
            (batch, groups, channels, 1, *image), (groups, rows, channels, 1, *kernel),
            (groups, rows), (batch, groups, rows, 1, *output),
        )
    )  # fmt: skip
    return at, x, w, bias, g


def forced(way):
    """`best` that has one answer, where it is possible."""

    def best(task, lanes):
        impossible = task.counts[2] < lanes or (task.back and task.strides > 1)
        return "samples" if way == "positions" and impossible else way

    return best


@pytest.fixture
def _way(request, monkeypatch):
    planning.plan.cache_clear()
    if request.param != "cheapest":
        monkeypatch.setattr(planning, "best", forced(request.param))
    monkeypatch.setattr(convolution, "_is_product", lambda *_: False)
    yield
    planning.plan.cache_clear()


def results(at, x, w, bias, g):
    three = at.on_three_axes
    settings = three.stride, three.low, three.dilation
    return [
        convolution.convolve(x, w, bias, three.output, *settings),
        convolution.convolve(x, w, None, three.output, *settings),
        convolution.convolve_input(g, w, three.image, *settings),
        *convolution.convolve_weight(g, x, three.kernel, *settings),
    ]


def expected(at, x, w, bias, g):
    """The same in float64, by patches."""
    plain = Namespace(np)
    x, g = (a.astype(float).reshape(len(a), -1, *a.shape[4:]) for a in (x, g))
    w = w.astype(float).reshape(-1, w.shape[2], *w.shape[4:])
    y = plain.convolve(x, w, None, at)
    return [
        y + bias.reshape(-1, 1, 1), y, plain.convolve_input(g, w, at),
        *plain.convolve_slopes(g, x, at),
    ]  # fmt: skip


def assert_close(found, right, dtype):
    for y, z in zip(found, right, strict=True):
        assert y.dtype == dtype
        np.testing.assert_allclose(
            y.ravel(), z.ravel(), rtol=0,
            atol=float(abs(z).max()) * (4e-6 if dtype == "float32" else 1e-14),
        )  # fmt: skip


@pytest.mark.thorough
@pytest.mark.parametrize("rows", [1, 2, 7, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SIDES)
@pytest.mark.parametrize("_way", [*WAYS, "cheapest"], indirect=True)
@pytest.mark.usefixtures("_way")
def test_all_ways_lead_to_the_formula(name, dtype, rows):
    arrays = case(name, dtype, rows)
    assert_close(results(*arrays), expected(*arrays), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_tap_is_a_product_of_matrices(dtype):
    arrays = case("one tap", dtype, 20)
    assert convolution._is_product(arrays[1], arrays[2], (1, 6, 17), ZEROS)
    assert_close(results(*arrays), expected(*arrays), dtype)


@pytest.mark.parametrize("_way", WAYS, indirect=True)
@pytest.mark.usefixtures("_way")
def test_threads_change_no_bit(monkeypatch):
    arrays = case("strides in strips", "float32", 20)
    monkeypatch.setattr(planning, "CYCLES", 1000)  # many parts, and sums of many sets
    assert planning.plan(2, 1, 17, 20, (1, 63, 50), (1, 3, 3), (1, 21, 25), (1, 3, 2), (0, 1, 1),
                         ONES, "f", slopes=True).splits > 1  # fmt: skip
    before = threads.get_num_threads()
    try:
        found = []
        for number in (1, before):
            threads.set_num_threads(number)
            found += [results(*arrays)] * 3
    finally:
        threads.set_num_threads(before)
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_infinite_weights_do_not_reach_what_they_do_not_see():
    # No product with the padding of another sample, or with what was there before.
    x, w = np.zeros((1, 1, 1, 1, 1, 9), "f"), np.ones((1, 1, 1, 1, 1, 3), "f")
    x[..., 4] = np.inf
    y = convolution.convolve(x, w, None, (1, 1, 9), ONES, (0, 0, 1), ONES)
    assert np.isinf(y).ravel().tolist() == [3 <= i <= 5 for i in range(9)]


# Plans --------------------------------------------------------------------------------------------


def lanes_of(batch, groups, channels, rows, side, kernel, stride=1, **more):
    low = kernel // 2
    output = (side + 2 * low - kernel) // stride + 1
    return planning.plan(
        batch, groups, channels, rows, (1, side, side), (1, kernel, kernel), (1, output, output),
        (1, stride, stride), (0, low, low), ONES, "f", **more,
    ).lanes  # fmt: skip


def test_what_is_chosen():
    assert lanes_of(64, 1, 64, 64, 16, 3) == "channels"
    assert lanes_of(64, 1, 64, 64, 16, 3, stride=2, back=False) == "channels"
    assert lanes_of(1, 32, 1, 1, 64, 3) == "positions"
    assert lanes_of(64, 32, 1, 1, 4, 3) == "samples"
    assert lanes_of(1, 1, 32, 2, 64, 3, stride=2, back=True) != "positions"  # its phases lie apart


def test_plans_do_not_depend_on_threads():
    before = threads.get_num_threads()
    shape = 8, 1, 16, 16, (1, 30, 30), (1, 3, 3), (1, 28, 28)
    key = *shape, ONES, ZEROS, ONES, "f"
    tables = []
    try:
        for number in (1, before):
            threads.set_num_threads(number)
            planning.plan.cache_clear()
            tables.append(planning.plan(*key, slopes=True).table)
    finally:
        threads.set_num_threads(before)
    np.testing.assert_array_equal(*tables)


# What the compiler makes of it --------------------------------------------------------------------

LOOPS = [loops.channels, loops.positions, slopes.channel_slopes, slopes.position_slopes]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")
@pytest.mark.parametrize("write", LOOPS, ids=lambda write: write.__name__)
def test_sums_stay_in_registers_and_single(write):
    with machine.Space() as space:
        loops = machine.optimised(space, write.__name__, write, micro.kind_of("f"), 7)
        assembly = space.target.emit_assembly(loops)
    assert not re.search(r"\bv?(mul|add|fmadd\d+)(pd|sd)\b", assembly)
    blocks = [b for b in re.split(r"\n(?=\.L)", assembly) if len(re.findall("fmadd|mulps", b)) > 5]
    assert blocks
    for block in blocks:
        assert not re.search(r"[xyz]mm\d+, -?\d*\(%r[sb]p\)", block), block
