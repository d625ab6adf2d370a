"""Convolution, pooling and recurrent layers in compiled steps: called from within, and as eagerly.

Many layers stand in one step, so that it is compiled once for all.
"""

import copy
import ctypes
import os
import threading
import warnings

import interpreted
import numpy as np
import pytest
from numba import njit
from numba.core.runtime import _nrt_python, rtsys
from test_compiled_guards import allocated
from test_compiled_training import Task, adam, classes, close, numbers, run_both, seeded

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.compiled import CompileError, compile
from tinygrad_opt.kernels.fused import convolution
from tinygrad_opt.kernels.micro import scratch
from tinygrad_opt.nn import functional as F
from tinygrad_opt.nn.utils import rnn as sequences

DTYPES = ["float64", pytest.param("float32", marks=pytest.mark.thorough)]

# Layers by the axes of the image; four channels, lengths 9 and 10 and 6. Behind batch norm there is
# no kink, whose two sides rounding may part.
tg.manual_seed(1)
IMAGES = {
    1: [
        nn.Conv1d(4, 6, 3), nn.Conv1d(4, 6, 5, 2, 3, bias=False), nn.Conv1d(4, 4, 3, groups=4),
        nn.Conv1d(4, 6, 2, dilation=3, padding="same", padding_mode="circular"),
        nn.ConvTranspose1d(4, 2, 3, 2, 1, output_padding=1),
        nn.MaxPool1d(3, 2, 1), nn.AvgPool1d(4, 3, ceil_mode=True), nn.AdaptiveAvgPool1d(3),
    ],
    2: [
        nn.Conv2d(4, 3, 3, padding=1), nn.Conv2d(4, 20, (3, 2), (2, 1), (1, 0)),
        nn.Conv2d(4, 6, 3, dilation=2, groups=2), nn.Conv2d(4, 8, 3, groups=4, bias=False),
        nn.Conv2d(4, 5, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(4, 5, 3, padding=1, padding_mode="replicate"),
        nn.Sequential(nn.Conv2d(4, 16, 1), nn.Conv2d(16, 17, 1), nn.Conv2d(17, 2, 1, 2)),
        nn.ConvTranspose2d(4, 3, 3, 2, 1), nn.ConvTranspose2d(4, 6, 2, groups=2, dilation=2),
        nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1, dilation=2), nn.MaxPool2d(2, ceil_mode=True),
        nn.AvgPool2d(2), nn.AvgPool2d(3, 2, 1, count_include_pad=False),
        nn.AvgPool2d(3, 2, ceil_mode=True, divisor_override=5), nn.LPPool2d(2, 2),
        nn.AdaptiveAvgPool2d((3, 5)), nn.AdaptiveMaxPool2d((3, 5)), nn.AdaptiveAvgPool2d(1),
        nn.Sequential(nn.Conv2d(4, 5, 3), nn.ReLU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.ReLU(), nn.MaxPool2d(3, 2, 1)),
        nn.Sequential(nn.Conv2d(4, 5, 3, bias=False), nn.BatchNorm2d(5), nn.SiLU()),
    ],
    3: [
        nn.Conv3d(4, 3, 2), nn.Conv3d(4, 4, (1, 3, 2), (1, 2, 2), (0, 1, 1), groups=2),
        nn.ConvTranspose3d(4, 2, 2, 2), nn.MaxPool3d(2), nn.AvgPool3d((2, 3, 2)),
    ],
}  # fmt: skip
SHAPES = {1: (3, 4, 9), 2: (3, 4, 9, 10), 3: (2, 4, 3, 6, 5)}


class Images(nn.Module):
    """The weighted sum of what layers make of images of one, two and three axes."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.ModuleList(IMAGES[axes]) for axes in IMAGES])
        self.shifts = nn.ParameterList(tg.zeros(4, *(1,) * axes) for axes in IMAGES)

    def forward(self, *images):
        total = 0
        for layers, shift, image in zip(self.layers, self.shifts, images, strict=True):
            for layer in layers:
                y = layer(image + shift)
                total = total + (y * y.detach().cos()).mean()
        return total


def images_task(dtype):
    def make():
        made = copy.deepcopy(Images())
        sgd = lambda m: [optim.SGD(m.parameters(), 0.01, 0.9)]  # noqa: E731
        task = Task(made, sgd, None, dtype=dtype)
        task.step = lambda *xs: one_step(task, *xs)
        return task

    return make


def one_step(task, *xs):
    (optimizer,) = task.optimizers
    optimizer.zero_grad()
    loss = task.model(*xs)
    loss.backward()
    optimizer.step()
    return loss


@pytest.mark.parametrize("dtype", DTYPES)
def test_layers_of_images(dtype):
    batches = [[numbers(*SHAPES[a], seed=s, dtype=dtype) for a in IMAGES] for s in range(3)]
    limit = 1e-12 if dtype == "float64" else 1e-5
    step = run_both(images_task(dtype), batches, 100, limit)
    stays = staying(step)
    assert {line.partition(":")[0] for line in stays} == {"index", "getitem_back_scatter_add"}


def staying(step):
    """What a step says that it leaves to Python."""
    text = step.explain().partition("Stays in Python:")[2].partition("\nMemory")[0].strip()
    return [] if text == "nothing" else [line.strip() for line in text.splitlines()]


LEFT = {
    "adaptive": (lambda: nn.AdaptiveMaxPool2d((4, 5)), "windows are not alike"),
    "fractional": (
        lambda: (
            lambda x: F.fractional_max_pool2d(
                x, 2, output_size=3, _random_samples=tg.full((2, 3, 2), 0.3, dtype=tg.float64)
            )
        ),
        "windows are not alike",
    ),
    "indices": (lambda: Unpooled(), "come as indices"),
    "patches": (lambda: nn.Unfold(3), "columns"),
}


class Unpooled(nn.Module):
    def forward(self, x):
        y, places = F.max_pool2d(x, 2, return_indices=True)
        return F.max_unpool2d(y, places, 2)


@pytest.mark.parametrize("name", LEFT)
def test_what_has_no_kernel_stays_a_call_and_says_why(name, monkeypatch):
    interpreted.install(monkeypatch)
    make, why = LEFT[name]
    layer, x = make(), numbers(2, 3, 9, 10)
    shift = tg.zeros(9, 10, dtype=tg.float64, requires_grad=True)

    def step(x):
        shift.grad = None
        y = layer(x + shift)
        (y * y).sum().backward()
        return y.detach(), shift.grad.clone()

    compiled = compile(step, strict=True)
    expected = compiled(x)
    for a, b in zip(expected, compiled(x), strict=True):
        close(a, b, 1e-12)
    assert any(why in line for line in staying(compiled))


# Recurrent layers ---------------------------------------------------------------------------------


class Reader(nn.Module):
    """Layers that read sequences: plain, of several layers, both ways, with states."""

    def __init__(self):
        super().__init__()
        self.plain = nn.ModuleList([
            nn.LSTM(4, 5), nn.GRU(4, 5, bias=False), nn.RNN(4, 5, nonlinearity="relu"),
            nn.LSTM(4, 5, 2, dropout=0.5, bidirectional=True, batch_first=True),
            nn.GRU(4, 3, 2, bidirectional=True), nn.RNN(4, 5, bidirectional=True),
            nn.LSTM(4, 5, bias=False),
        ])  # fmt: skip
        self.cells = nn.ModuleList([nn.LSTMCell(4, 5), nn.GRUCell(4, 5), nn.RNNCell(4, 5)])
        self.shift = nn.Parameter(tg.zeros(4))

    def forward(self, x, state):
        x, total = x + self.shift, 0
        outputs = [layer(x)[0] for layer in self.plain]
        outputs += self.plain[0](x, (state, state.sin()))[1]
        for cell in self.cells:
            outputs.append(cell(x[0])[0])
        for y in outputs:
            total = total + (y * y.detach().cos()).mean()
        return total


@pytest.mark.parametrize("dtype", DTYPES)
def test_recurrent_layers(dtype):
    def make():
        sgd = lambda m: [optim.SGD(m.parameters(), 0.05, 0.9)]  # noqa: E731
        task = Task(Reader(), sgd, None, dtype=dtype)
        task.step = lambda *xs: one_step(task, *xs)
        return task

    batches = [[numbers(*shape, seed=s, dtype=dtype) for shape in ((7, 4, 4), (1, 4, 5))]
               for s in range(3)]  # fmt: skip
    limit = 1e-12 if dtype == "float64" else 1e-5
    step = run_both(seeded(make), batches, 100, limit)
    assert all("random numbers" in line for line in staying(step)), staying(step)


def test_packed_sequences_say_that_they_stay_eager():
    layer = nn.LSTM(4, 5)
    packed = sequences.pack_padded_sequence(tg.randn(5, 3, 4), [5, 3, 1])
    step = compile(lambda: layer(packed)[0].data.detach(), strict=True)
    step()
    with pytest.raises(CompileError, match=r"test_families.py:\d+ reads a value"):
        step()


def test_a_projection_stays_a_call(monkeypatch):
    interpreted.install(monkeypatch)
    layer, x = nn.LSTM(4, 5, proj_size=2).double(), numbers(3, 2, 4)

    def step(x):
        layer.zero_grad()
        y, _ = layer(x)
        (y * y).sum().backward()
        return y.detach(), layer.weight_hr_l0.grad.clone()

    compiled = compile(step, strict=True)
    for a, b in zip(compiled(x), compiled(x), strict=True):
        close(a, b, 1e-12)
    assert all("a projection has no kernel" in line for line in staying(compiled))
    assert len(staying(compiled)) == 2


# Memory, threads, processes -----------------------------------------------------------------------


class Both(nn.Module):
    """A convolution with relu and pooling, another with more filters, and an LSTM behind them."""

    def __init__(self):
        super().__init__()
        self.images = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 33, 3),
            nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(2),
        )  # fmt: skip
        self.read, self.last = nn.LSTM(4, 16, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.last(self.read(self.images(x))[0][:, -1])


@pytest.fixture(scope="module")
def pair():
    """(eager, compiled) steps of two of a kind, compiled; and a function that makes batches."""
    tasks = [seeded(lambda: Task(Both(), adam, F.cross_entropy, dtype="float32"))()
             for _ in range(2)]  # fmt: skip
    compiled = compile(tasks[1].step, strict=True)

    def batch(seed=0):
        return numbers(24, 1, 12, 12, seed=seed, dtype="float32"), classes(24, 3, seed)

    for seed in range(3):
        close(tasks[0].step(*batch(seed)), compiled(*batch(seed)), 1e-5)
    return tasks, compiled, batch


def test_the_step_is_one_function(pair):
    _, compiled, _ = pair
    assert staying(compiled) == []
    source = compiled.source()
    assert "step_1" not in source
    for line in ("convolve_f4(", "-> 24 x 8 x 12 x 12", "lstm_f4(", "lstm_back_f4("):
        assert line in source
    for kept in ("window_maxima_f4", "spread_maxima_f4", "spread_means_f4"):
        assert source.count(f"    {kept}(") == 1
    # Gradients are written where they live, and relu goes with the pooling that follows it.
    assert "store(" not in source
    assert source.count("maximum(") == 2  # behind AvgPool2d, forwards and defined


def test_dead_memory_is_never_read(pair):
    tasks, compiled, batch = pair
    for seed in range(4):
        for block in compiled._latest.blocks.values():
            block.fill(np.nan if block.dtype.kind == "f" else 77)
        for address, size in scratch.words[:, [scratch.ADDRESS, scratch.SIZE]].tolist():
            ctypes.memset(address, 0xFF, size)
        close(tasks[0].step(*batch(seed)), compiled(*batch(seed)), 1e-4)


def test_nothing_is_allocated_in_a_call(pair):
    tasks, compiled, batch = pair
    given = batch()
    _nrt_python.memsys_enable_stats()
    counts = []
    copy = njit(lambda x: x.copy())
    for run in (compiled, lambda x, _: copy(x.numpy())):  # the second is what a count finds
        run(*given)
        before = rtsys.get_allocation_stats().alloc
        for _ in range(100):
            run(*given)
        counts.append(rtsys.get_allocation_stats().alloc - before)
    assert counts[0] <= 2 * 100 + 2  # what Numba makes of the two arrays that come with each call
    assert counts[1] >= 100
    found = min(allocated(lambda: compiled(*given)) for _ in range(2))
    assert found[0] < 40_000  # the loss; what pooling leaves is 27,648, what it reads 110,592
    assert found[1] < 4_000
    assert allocated(lambda: tasks[0].step(*given))[0] > 110_592


def test_loops_keep_their_memory_on_every_thread():
    """More threads than places: some allocate, and all get what they should."""
    x, w = (np.random.default_rng(i).standard_normal((2, 1, 3, 1, 9, 9)) for i in range(2))
    w = np.ascontiguousarray(w[:1, :, :, :, :3, :3])
    settings = (1, 7, 7), (1, 1, 1), (0, 0, 0), (1, 1, 1)
    expected, found = convolution.convolve(x, w, None, *settings), []
    before = scratch.words.copy()
    try:
        scratch.words[:, scratch.TAKEN] = 1
        found.append(convolution.convolve(x, w, None, *settings))
    finally:
        scratch.words[:, scratch.TAKEN] = before[:, scratch.TAKEN]
    threads = [
        threading.Thread(target=lambda: found.append(convolution.convolve(x, w, None, *settings)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 9
    assert all((y == expected).all() for y in found)
    assert not scratch.words[:, scratch.TAKEN].any()


def test_threads_change_no_bit(pair):
    """Two threads or one: the loss is the same."""
    _, compiled, batch = pair
    state = {k: v.clone() for k, v in pair[0][1].model.state_dict().items()}
    before, losses = tg.get_num_threads(), []
    try:
        for threads in (1, 2):
            tg.set_num_threads(threads)
            pair[0][1].model.load_state_dict(state)
            losses.append([compiled(*batch(s)).item() for s in range(1)])
    finally:
        tg.set_num_threads(before)
    assert losses[0] == losses[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_goes_on(pair):
    _, compiled, batch = pair
    given = batch()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            good = np.isfinite(compiled(*given).item())
            eager = not compiled.notes
        finally:
            os._exit(0 if good and eager else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# Gradients ----------------------------------------------------------------------------------------


def test_gradients_of_filters_add_up(monkeypatch):
    """Over two losses in a step, and over the calls between two steps of the optimizer."""
    interpreted.install(monkeypatch)
    finals = []
    for wrap in (lambda step: step, lambda step: compile(step, strict=True)):
        tg.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2)).double()
        optimizer = optim.SGD(net.parameters(), 0.01)

        def gather(x, net=net):
            for weight in (1.0, 0.5):
                (net(x) ** 2 * weight).sum().backward()

        def step(x, net=net, optimizer=optimizer):
            optimizer.zero_grad()
            (net(x).sum() * 0.5).backward()
            (net(x) ** 2).sum().backward()
            optimizer.step()

        gather, step = wrap(gather), wrap(step)
        for i in range(8):
            gather(numbers(2, 1, 8, 8, seed=i))
            if i % 2:
                optimizer.step()
                optimizer.zero_grad()
        for i in range(3):
            step(numbers(2, 1, 8, 8, seed=i))
        finals.append([p.detach().numpy().copy() for p in net.parameters()])
    for a, b in zip(*finals, strict=True):
        close(a, b, 1e-11)


RECTIFIED = {
    "relu": (F.relu, False, 1), "read twice": (F.relu, True, 1),
    "clamp": (lambda x: x.clamp(min=0.0), False, 0),  # whose gradient goes to zeros as well
    "both": (lambda x: F.relu(x) * 0.5 + x.clamp(min=0.0), False, 0),
}  # fmt: skip


@pytest.mark.parametrize("name", RECTIFIED)
def test_relu_in_pooling_is_relu_and_pooling(name, monkeypatch):
    """With zeros, ties, cells that are not numbers, and relu's result read by others too."""
    rectify, also, fused = RECTIFIED[name]
    interpreted.install(monkeypatch)
    x = numbers(2, 3, 8, 8).round()
    x[0, 0, :2, :2] = -1.0
    x[0, 1, :4] = 0.0
    x[1, 2, 3, 3] = float("nan")
    shift = tg.zeros(8, 8, dtype=tg.float64, requires_grad=True)

    def step(x):
        shift.grad = None
        rectified = rectify(x + shift)
        y = F.max_pool2d(rectified, 3, 2, 1)
        loss = (y[:, :2] * y[:, :2]).sum() + y[0, 2].sum()
        (loss + (rectified[:, 0] * 3).sum() if also else loss).backward()
        return y.detach(), shift.grad.clone()

    compiled = compile(step, strict=True)
    expected = compiled(x)
    for a, b in zip(expected, compiled(x), strict=True):
        close(a, b, 1e-12)
    assert len(compiled._latest.trace.rectified) == 2 * fused
