"""`cuda.make_graphed`: replays are steps, to the bit, and what a graph cannot hold is refused.

Without a GPU by the stand-in's captures (`standin_graphs.py`), on one by CUDA's.
"""

import contextlib
import gc

import numpy as np
import pytest
from on_device import SIMULATED, cupy

import tinygrad_opt as tg
from tinygrad_opt import kernels, nn, optim
from tinygrad_opt.compiled.step import Compiled
from tinygrad_opt.cuda.graphs import CaptureError
from tinygrad_opt.kernels import cublas
from tinygrad_opt.optim import lr_scheduler

if SIMULATED:
    import standin_graphs

F = nn.functional


@contextlib.contextmanager
def own_products():
    """Products by the handle that graphs use: another library adds in another order."""
    products = cublas.Products()
    products.work_on(cupy.cuda.get_current_stream().ptr, cupy.empty(cublas.WORKSPACE, "u1"))
    with cublas.used(products):
        yield


# Networks: how to build one, and a batch ----------------------------------------------------------


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        return self.head(self.lstm(x)[0][:, -1])


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.table, self.places = nn.Embedding(5, 4), nn.Embedding(4, 4)
        layer = nn.TransformerEncoderLayer(4, 2, 8, 0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens):
        length = tokens.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device="cuda")
        x = self.table(tokens) + self.places(tg.arange(length, device="cuda"))
        hidden = self.layers(x, mask=mask, is_causal=True)
        return self.head(hidden)[:, -1]


def mlp():
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))


def cnn():
    return nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(),
                         nn.Linear(18, 3))  # fmt: skip


NETWORKS = {"mlp": (mlp, (6, 4)), "cnn": (cnn, (4, 1, 3, 3)), "lstm": (Recurrent, (4, 2, 3)),
            "gpt": (GPT, (3, 4))}  # fmt: skip


class Training:
    """A network on the GPU, its optimizer, and a step over batches that differ."""

    def __init__(self, network="mlp", make=lambda m: optim.SGD(m.parameters(), lr=0.1), clip=None):
        tg.manual_seed(0)
        build, self.shape = NETWORKS[network]
        self.model = build().to("cuda")
        self.optimizer, self.clip, self.rng = make(self.model), clip, np.random.default_rng(0)
        self.tokens = network == "gpt"

    def batch(self, rows=None):
        shape = (rows or self.shape[0], *self.shape[1:])
        data = self.rng.integers(0, 5, shape) if self.tokens else self.rng.standard_normal(shape)
        x = tg.tensor(data, dtype=tg.int64 if self.tokens else tg.float32, device="cuda")
        return x, tg.tensor(np.arange(shape[0]) % 3, device="cuda")

    def step(self, x, y):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        if self.clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
        self.optimizer.step()
        return loss

    def values(self):
        """Parameters, buffers and state of the optimizer, on the host."""
        tensors = {**self.model.state_dict()}
        for i, p in enumerate(self.model.parameters()):
            held = self.optimizer.state.get(p, {})
            tensors |= {f"{name} {i}": t for name, t in held.items() if t is not None}
        return {name: t.detach().cpu().numpy() for name, t in tensors.items()}


def assert_equal(ours, expected):
    assert ours.keys() == expected.keys()
    for name, value in expected.items():
        if SIMULATED:
            np.testing.assert_array_equal(ours[name], value, err_msg=name)
        else:  # sums by atomics, and cuBLAS chooses by the memory that it has
            np.testing.assert_allclose(ours[name], value, rtol=1e-4, atol=1e-5, err_msg=name)


def launches():
    return standin_graphs.state.launches if SIMULATED else 0


def train(training, steps, graphed, scheduler=None, after=lambda t: None):
    """The losses of some steps; the first is always as it stands."""
    step = training.step
    run = tg.cuda.make_graphed(step, *training.batch()) if graphed else step
    training.rng, losses = np.random.default_rng(1), []
    for t in range(steps):
        batch = training.batch()
        with own_products() if t and not graphed else contextlib.nullcontext():
            losses.append(run(*batch))
        if scheduler:
            scheduler.step()
        after(t)
    return run, [loss.item() for loss in losses]


def both(make_training, steps=20, schedule=None, after=lambda training, t: None):
    """Train twice, eagerly and graphed; all numbers must be the same."""
    ends = []
    for graphed in (False, True):
        training, before = make_training(), launches()
        scheduler = schedule and schedule(training.optimizer)
        run, losses = train(
            training, steps, graphed, scheduler, lambda t, own=training: after(own, t)
        )
        ends.append((losses, training.values()))
        replays = launches() - before
    assert ends[0][0] == ends[1][0] if SIMULATED else ends[1][0]
    assert_equal(ends[1][1], ends[0][1])
    return training, run, replays


def groups(model):
    return optim.param_groups_weight_decay(model, 0.01)


OPTIMIZERS = {
    "SGD": lambda m: optim.SGD(m.parameters(), lr=0.1),
    "momentum": lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9, nesterov=True),
    "Adam": lambda m: optim.Adam(m.parameters(), lr=0.01, amsgrad=True),
    "AdamW": lambda m: optim.AdamW(groups(m), lr=0.01),
    "NAdam": lambda m: optim.NAdam(m.parameters(), lr=0.01),
    "bfloat16": lambda m: optim.AdamW(m.parameters(), lr=0.01, state_dtype="bfloat16"),
}
SCHEDULES = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, 4, 0.5),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=25),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
}
ROWS = [
    ("SGD", "StepLR", None), ("momentum", "OneCycleLR", 0.1), ("Adam", "LambdaLR", 0.5),
    ("AdamW", "OneCycleLR", None), ("NAdam", None, None), ("bfloat16", "StepLR", None),
]  # fmt: skip


@pytest.mark.parametrize(("name", "schedule", "clip"), ROWS, ids=str)
def test_replays_are_steps(name, schedule, clip):
    make = OPTIMIZERS[name]
    training, run, replays = both(
        lambda: Training(make=make, clip=clip), schedule=SCHEDULES.get(schedule)
    )
    assert run.notes == []
    state = training.optimizer.state[next(training.model.parameters())]
    assert int(state.get("step", 20)) == 20
    if SIMULATED:
        assert replays == 18


@pytest.mark.parametrize("network", ["cnn", "lstm", "gpt"])
def test_replays_of_networks_are_steps(network):
    make = OPTIMIZERS["AdamW"]
    _, run, replays = both(lambda: Training(network, make, clip=1.0), steps=8)
    assert run.notes == []
    assert replays in (0, 6)


def test_schedulers_within_the_step():
    def make():
        training = Training(make=OPTIMIZERS["momentum"])
        scheduler = lr_scheduler.OneCycleLR(training.optimizer, 0.1, total_steps=25)
        step = training.step

        def with_schedule(x, y):
            loss = step(x, y)
            scheduler.step()
            return loss

        training.step, training.scheduler = with_schedule, scheduler
        return training

    training, run, _ = both(make, steps=9)
    assert training.scheduler.last_epoch == 9
    assert run.notes == []


def test_random_numbers_of_replays_are_those_of_steps():
    def make():
        training = Training(make=OPTIMIZERS["AdamW"])
        training.model.insert(1, nn.Dropout(0.5))
        step, others = training.step, tg.Generator().manual_seed(3)

        def noisy(x, y):
            noise = tg.randn(6, 4, device="cuda", generator=others)
            return step(x + 0.1 * noise + tg.rand(4, device="cuda"), y)

        training.step = noisy
        return training

    def seed_again(training, t):
        if t == 7:
            tg.manual_seed(5)

    _, run, replays = both(make, steps=12, after=seed_again)
    assert run.notes == []
    assert replays in (0, 10)


def test_one_script_serves_both_devices():
    ends = []
    for device in ("cpu", "cuda"):
        tg.manual_seed(0)
        model = mlp().to(device)
        optimizer = optim.AdamW(model.parameters(), lr=0.01)
        scheduler = lr_scheduler.StepLR(optimizer, 3, 0.5)
        x = tg.tensor(np.cos(np.arange(24)).reshape(6, 4), dtype=tg.float32, device=device)
        y = tg.tensor(np.arange(6) % 3, device=device)

        def step(x, y, optimizer=optimizer, model=model):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            return loss

        run = tg.cuda.make_graphed(step, x, y)
        assert isinstance(run, Compiled) == (device == "cpu")
        losses = []
        for _ in range(6):
            losses.append(run(x, y))
            scheduler.step()
        ends.append([loss.item() for loss in losses])
        assert run.notes == []
    np.testing.assert_allclose(ends[1], ends[0], rtol=1e-5)


# What changed between calls -----------------------------------------------------------------------


def set_(name):
    return lambda training: training.optimizer.param_groups[0].update({name: 0.5})


def add_group(training):
    training.extra = tg.ones(2, device="cuda", requires_grad=True)
    training.optimizer.add_param_group({"params": [training.extra]})


def load_state(training):
    training.optimizer.load_state_dict(training.optimizer.state_dict())


def move(training):
    p = training.model[0].weight
    p.data = p.data.clone()


def hook(training):
    training.model[0].register_forward_hook(lambda m, args, y: y * 0.5)


def hook_on_gradient(training):
    training.model[0].weight.register_hook(lambda g: g * 0.5)


def other_layer(training):
    training.model.append(nn.Tanh())


def zero_in_place(training):
    training.optimizer.zero_grad(set_to_none=False)


CHANGES = {
    "weight decay": (set_("weight_decay"), None),
    "momentum": (set_("momentum"), None),
    "group": (add_group, None),
    "state": (load_state, None),
    "memory": (move, "lies elsewhere"),
    "eval": (lambda t: t.model.eval(), "switched between train() and eval()"),
    "frozen": (lambda t: t.model[0].bias.requires_grad_(False), None),
    "hook": (hook, "other hooks"),
    "hook on a gradient": (hook_on_gradient, "changed its kind"),
    "layer": (other_layer, "other parts"),
    "gradients": (zero_in_place, None),
    "assigned": (lambda t: setattr(t.model[0].weight, "grad", tg.ones(5, 4, device="cuda")), None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_never_missed(name):
    change, why = CHANGES[name]

    def make():
        return Training(make=lambda m: optim.SGD(m.parameters(), lr=0.1, momentum=0.9))

    _, run, replays = both(
        make, steps=9, after=lambda training, t: change(training) if t == 4 else None
    )
    if why is not None:
        assert any(why in note for note in run.notes)
    assert not SIMULATED or replays >= 5  # it is captured anew


def test_gradients_that_add_up_over_calls():
    def make():
        training = Training()

        def step(x, y):
            F.cross_entropy(training.model(x), y).backward()

        def take():
            training.optimizer.step()
            training.optimizer.zero_grad()

        training.parts, training.take = step, take
        return training

    ends = []
    for graphed in (False, True):
        training = make()
        run = tg.cuda.make_graphed(training.parts, *training.batch()) if graphed else training.parts
        training.rng = np.random.default_rng(1)
        for t in range(14):
            with own_products() if t and not graphed else contextlib.nullcontext():
                run(*training.batch())
            if t % 2:
                training.take()
        ends.append(training.values())
    assert_equal(*ends)


def test_other_shapes_have_graphs_of_their_own():
    training = Training()
    run = tg.cuda.make_graphed(training.step, *training.batch())
    before = launches()
    for rows in [6] * 4 + [3, 6, 3, 3, 6, 6]:
        run(*training.batch(rows))
    assert run.notes == []
    if SIMULATED:
        assert launches() - before == 2 + 5


def test_old_graphs_are_let_go():
    training = Training()
    run = tg.cuda.make_graphed(training.step, *training.batch())
    for rows in range(1, 8):
        for _ in range(3):
            run(*training.batch(rows))
    assert sum(map(len, run._variants.values())) <= 4


def test_losses_are_copies_and_graphs_may_be_ahead_of_the_host():
    p = tg.zeros(3, device="cuda", requires_grad=True)
    optimizer = optim.SGD([p], lr=1.0)

    def step():
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()

    run = tg.cuda.make_graphed(step)
    for t in range(40):  # more than there are buffers, and nothing asks for a result
        optimizer.param_groups[0]["lr"] = float(t)
        run()
    assert p.tolist() == [-sum(range(40))] * 3
    losses = []
    run = tg.cuda.make_graphed(lambda: (p * 1).detach().sum())
    for t in range(5):
        p.data.fill_(t)
        losses.append(run())
    assert [loss.item() for loss in losses] == [0, 3, 6, 9, 12]


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.skipif(not SIMULATED, reason="the stand-in counts")
def test_all_memory_of_a_capture_is_its_own():
    training = Training("gpt", OPTIMIZERS["AdamW"], clip=1.0)
    train(training, 3, graphed=True)
    assert len(standin_graphs.state.fresh) > 30
    assert standin_graphs.state.outside == 0


@pytest.mark.skipif(SIMULATED, reason="needs a GPU's pool")
def test_other_work_leaves_a_graphs_memory_alone():
    training, expected = Training("gpt"), Training("gpt")
    filled = []

    def fill(t):
        filled[:] = [cupy.full(n, np.nan, "f4") for n in (64, 1024, 1 << 16) for _ in range(50)]

    train(training, 20, graphed=True, after=fill)
    train(expected, 20, graphed=False)
    assert_equal(training.values(), expected.values())


def test_a_graph_does_not_keep_parameters_from_moving():
    training = Training(make=OPTIMIZERS["momentum"])
    run, _ = train(training, 5, graphed=True)
    add_group(training)
    for _ in range(4):
        run(*training.batch())
    flat = training.optimizer._flat[0][0]
    assert all(view is not None for view in flat.views)
    assert training.model[0].weight.grad is flat.slots[0].tensor


# Refusals -----------------------------------------------------------------------------------------


def reads(training, x, y):
    return training.step(x, y).item()


def uploads(training, x, y):
    return training.step(x + tg.ones(4).to("cuda"), y)


def makes(training, x, y):
    return training.step(x * tg.tensor([1.0, 2, 3, 4], device="cuda"), y)


def draws(training, x, y):
    tg.randperm(4)
    return training.step(x, y)


def seeds(training, x, y):
    tg.manual_seed(0)
    return training.step(x, y)


def solves(training, x, y):
    return training.step(x + tg.linalg.inv(training.square)[0], y)


def selects(training, x, y):
    return training.step(x[x[:, 0] > -100], y)


def decides(training, x, y):
    return training.step(x * 2 if x.sum() > 1e9 else x, y)


def returns_a_number(training, x, y):
    return training.step(x, y), training.optimizer.param_groups[0]["lr"]


def returns_a_graph(training, x, y):
    training.step(x, y)
    return training.model(x)


def keeps(training, x, y):
    training.kept = training.step(x, y)


def counts(training, x, y):
    loss = training.step(x, y)
    training.model[0].calls = getattr(training.model[0], "calls", 0) + 1
    return loss


def writes(training, x, y):
    x.mul_(2)
    return training.step(x, y)


def launches_a_rule(training, x, y):
    loss = training.step(x, y)
    kernels.sgd.launch((training.spare, training.spare), (1.0, 0.0, 0.0))
    return loss


def rebinds(training, x, y):
    loss = training.step(x, y)
    training.free.data = training.free.data * 2
    return loss


def raises(training, x, y):
    loss = training.step(x, y)
    if cublas.active.products is not None:
        training.calls = getattr(training, "calls", 0) + 1
        if training.calls > 1:  # not in the rehearsal
            raise ZeroDivisionError("of the user's")
    return loss


def steps_by_a_metric(training, x, y):
    loss = training.step(x, y)
    training.plateau.step(loss.detach())
    return loss


def another_optimizer(name, **settings):
    def step(training, x, y):
        training.optimizer.zero_grad()
        F.cross_entropy(training.model(x), y).backward()
        if not hasattr(training, "other"):
            training.other = getattr(optim, name)(training.model.parameters(), **settings)
        training.other.step()

    return step


REFUSED = {
    reads: r"reads a tensor on the host \(item\).*Return the tensor and read it after the call",
    decides: r"reads a tensor on the host \(__bool__\).*torch\.where",
    uploads: "copies numbers from the host.*outside the step, or pass it as an input",
    makes: "copies numbers from the host",
    draws: "draws random numbers on the host.*Draw them on the GPU",
    seeds: "sets a random generator.*set it outside the step",
    solves: "calls a library of CUDA that CuPy keeps out of captures",
    selects: r"test_graphs.py:\d+, 'return training.step\(x\[x\[:, 0\] > -100\], y\)', reads a",
    returns_a_number: r"returns 0\.1, a number of the host",
    returns_a_graph: r"backward\(\) has not been called on",
    keeps: "the step keeps 1 of its tensors",
    counts: "changes the attribute 'calls' of a module",
    writes: "writes into one of its inputs",
    launches_a_rule: "launches the rule sgd itself",
    rebinds: r"other memory \(\.data",
    steps_by_a_metric: "call it after the step, with the loss",
    raises: "of the user's",
    another_optimizer("LAMB"): r"LAMB does more in a step than.*leave optimizer\.step\(\) out",
    another_optimizer("Adafactor"): "Adafactor",
    another_optimizer("AdamW", cautious=True): r"AdamW\(cautious=True\)",
}  # fmt: skip


@pytest.mark.parametrize(
    ("function", "said"), REFUSED.items(), ids=lambda x: x if isinstance(x, str) else x.__name__
)
def test_what_cannot_be_captured_is_named_and_nothing_is_done(function, said):
    training = Training(make=OPTIMIZERS["momentum"], clip=1.0)
    training.spare = cupy.ones(3, "f4")
    training.free, training.square = tg.ones(3, device="cuda"), tg.eye(4, device="cuda")
    training.plateau = lr_scheduler.ReduceLROnPlateau(training.optimizer)
    batch = training.batch()
    run = tg.cuda.make_graphed(lambda x, y: function(training, x, y), *batch)
    for _ in range(2):
        run(*batch)
    before, grads = training.values(), [id(p.grad) for p in training.model.parameters()]
    lr = training.optimizer.param_groups[0]["lr"]
    for _ in range(2):  # it says so again
        kind = ZeroDivisionError if function is raises else CaptureError
        with pytest.raises(kind, match=said) as raised:
            run(*batch)
        assert str(raised.value).count("make_graphed: ") == (function is not raises)
    assert_equal(training.values(), before)
    assert all(id(p.grad) == g for p, g in zip(training.model.parameters(), grads, strict=True))
    assert training.optimizer.param_groups[0]["lr"] == lr
    assert cublas.active.products is None
    training.step(*training.batch())  # and all works as before
    assert not np.array_equal(training.values()["0.weight"], before["0.weight"])


def test_inputs_that_do_not_fit():
    training = Training()
    x, y = training.batch()
    run = tg.cuda.make_graphed(training.step, x, y)
    run(x, y)
    with pytest.raises(CaptureError, match=r"input 0 lies on cpu.*x\.to\('cuda'\)"):
        run(x.cpu(), y)
    with pytest.raises(CaptureError, match=r"input 0 requires a gradient.*x\.detach\(\)"):
        run(x.clone().requires_grad_(), y)
    with pytest.raises(CaptureError, match="make_graphed: an array is no argument"):
        run(np.ones(3), y)
    with pytest.raises(RuntimeError, match="on the same device"):
        tg.cuda.make_graphed(training.step, x, y.cpu())
    with pytest.raises(TypeError, match="expected a function that takes a training step"):
        tg.cuda.make_graphed(training.model, x)


def test_an_error_of_a_setting_takes_no_step():
    training = Training(make=OPTIMIZERS["momentum"])
    run, _ = train(training, 4, graphed=True)
    before, lr = training.values(), training.optimizer.param_groups[0]["lr"]
    training.optimizer.param_groups[0]["lr"] = "fast"
    with pytest.raises((TypeError, ValueError)):
        run(*training.batch())
    assert_equal(training.values(), before)
    training.optimizer.param_groups[0]["lr"] = lr
    run(*training.batch())
    assert run.notes == []


def test_an_index_out_of_range_is_told_at_the_next_wait():
    training = Training()
    run, _ = train(training, 4, graphed=True)
    x, _ = training.batch()
    run(x, tg.tensor([0, 1, 2, 3, 1, 0], device="cuda"))
    with pytest.raises(IndexError, match="Target 3 is out of bounds"):
        tg.cuda.synchronize()


# Matrix products by a handle of our own -----------------------------------------------------------

A = np.cos(np.arange(120.0)).reshape(2, 3, 4, 5)
PRODUCTS = [
    (A[0, 0], A[0, 0].T), (A[0, 0].T, A[1, 1]), (A[0, 0, :, ::2], A[0, 0, :3]),
    (A, A.swapaxes(-1, -2)), (A[:, :1], A.swapaxes(-1, -2)), (A, A[0, 0].T),
    (A[0, 0], A.swapaxes(-1, -2)), (A.swapaxes(0, 1), A.swapaxes(0, 1).swapaxes(-1, -2)),
    (A[0, 0, 0], A[0, 0].T), (A[0, 0], A[1, 0, 0]), (A[0, 0, 0], A[0, 1, 0]), (A, A[0, 0, 0]),
    (A[0, 0, :, ::-1], A[0, 0].T), (A[0, 0, :1], A[0, 0].T), (A[0, 0, :, :1], A[0, 0, :1]),
    (A[:, :, :0], A.swapaxes(-1, -2)), (A[..., :0], A[..., :0].swapaxes(-1, -2)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_products_of_all_layouts(dtype):
    with own_products():
        for x, y in PRODUCTS:
            x, y = x.astype(dtype, order="K"), y.astype(dtype, order="K")
            z = cublas.active.products.matmul(on_device(x), on_device(y))
            np.testing.assert_allclose(z.get(), np.matmul(x, y), rtol=2e-5, atol=1e-6)


def on_device(x):
    """The array on the GPU, with the strides that it has."""
    flat = x if x.flags.c_contiguous else None
    if flat is not None:
        return cupy.asarray(x)
    order = np.argsort([-abs(s) for s in x.strides], kind="stable")
    turned = cupy.asarray(np.ascontiguousarray(x.transpose(order)))
    return turned.transpose(*np.argsort(order))


def test_products_that_a_handle_does_not_have():
    with own_products():
        products, x = cublas.active.products, cupy.ones((2, 2), "f4")
        with pytest.raises(TypeError, match="takes float32 or float64, both of one type, got int"):
            products.matmul(cupy.ones((2, 2), "i4"), cupy.ones((2, 2), "i4"))
        with pytest.raises(TypeError, match="got float32 and float64"):
            products.dot(x, cupy.ones((2, 2), "f8"))
        with pytest.raises(ValueError, match="do not fit"):
            products.matmul(x, cupy.ones((3, 2), "f4"))
        with pytest.raises(TypeError, match="expected vectors or matrices"):
            products.dot(x, cupy.ones((2, 2, 2), "f4"))


@pytest.mark.skipif(not SIMULATED, reason="a stand-in of the library fails on demand")
def test_a_library_that_fails():
    library = standin_graphs.Cublas()
    library.cublasSetStream_v2 = lambda *_: 13
    with pytest.raises(RuntimeError, match="cublasSetStream_v2: cuBLAS reports status 13"):
        cublas.Products(library).work_on(0, cupy.empty(8, "u1"))
    assert gc.isenabled()
