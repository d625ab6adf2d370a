"""What a compiled step notices, what it refuses, and what it leaves alone."""

import builtins
import gc
import os
import threading
import tracemalloc
import warnings

import numpy as np
import pytest
from settled import settled

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.autograd import detect_anomaly
from tinygrad_opt.compiled import CompileError, compile
from tinygrad_opt.nn import functional as F


class Pair:
    """The same network twice, with an eager and a compiled step, fed the same batches."""

    def __init__(self, strict=True, net=None):
        net = net or (lambda: nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.0), nn.Linear(5, 3)))
        self.models, self.optimizers, self.steps = [], [], []
        for wrap in (lambda step: step, lambda step: compile(step, strict=strict)):
            tg.manual_seed(0)
            model = net()
            optimizer = optim.Adam(model.parameters(), 0.01)
            self.models.append(model)
            self.optimizers.append(optimizer)
            self.steps.append(wrap(step_of(model, optimizer)))
        self.compiled = self.steps[1]

    def run(self, times=1, rows=6):
        for i in range(times):
            x, y = batch(rows, i)
            a, b = (step(x, y) for step in self.steps)
            np.testing.assert_allclose(b.detach().numpy(), a.detach().numpy(), rtol=2e-5)
        for p, q in zip(*(m.state_dict().values() for m in self.models), strict=True):
            np.testing.assert_allclose(q.numpy(), p.numpy(), rtol=1e-4, atol=1e-6)
        return self

    def both(self, change):
        for model, optimizer in zip(self.models, self.optimizers, strict=True):
            change(model, optimizer)
        return self


def step_of(model, optimizer):
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def batch(rows=6, seed=0):
    rng = np.random.default_rng(seed)
    x = tg.tensor(rng.standard_normal((rows, 4)), dtype=tg.float32)
    return x, tg.tensor(rng.integers(0, 3, rows))


@pytest.fixture(scope="module")
def trained():
    """A pair that was compiled once, for tests that change it and see it go on right."""
    return Pair().run(4)


# What changes -------------------------------------------------------------------------------------


def set_rate(model, optimizer):
    optimizer.param_groups[0]["lr"] = 0.1


def set_decay(model, optimizer):
    optimizer.param_groups[0]["weight_decay"] = 0.1


def set_amsgrad(model, optimizer):
    optimizer.param_groups[0]["amsgrad"] = True


def load(model, optimizer):
    model.load_state_dict({k: v * 0.5 for k, v in model.state_dict().items()})
    optimizer.load_state_dict(optimizer.state_dict())


def give_other_memory(model, optimizer):
    model[0].weight.data = tg.ones(5, 4)


def write_into_memory(model, optimizer):
    with tg.no_grad():
        model[0].weight.fill_(0.1)


def freeze(model, optimizer):
    model[0].bias.requires_grad_(False)


def evaluate(model, optimizer):
    model.eval()


def train(model, optimizer):
    model.train()


def add_group(model, optimizer):
    model.extra = nn.Parameter(tg.ones(2))
    optimizer.add_param_group({"params": [model.extra], "lr": 0.5})


def hook_optimizer(model, optimizer):
    optimizer.register_step_post_hook(lambda o, args, kwargs: o.seen.append(1))
    optimizer.seen = []


@pytest.mark.parametrize("change", [
    set_rate, set_decay, set_amsgrad, load, give_other_memory, write_into_memory, freeze, evaluate,
    train, add_group, hook_optimizer,
], ids=lambda change: change.__name__)  # fmt: skip
def test_changes_are_seen(change):
    pair = Pair().run(3).both(change).run(4)
    if change is hook_optimizer:
        a, b = (o.seen for o in pair.optimizers)
        assert a == b


def test_other_shapes_are_compiled_too(trained):
    trained.run(3).run(2, rows=9).run(2)
    assert len(trained.compiled._variants) == 2


def test_hooks_of_leaves_and_modules_are_seen():
    def change(model, optimizer):
        model[0].weight.register_hook(lambda g: g * 2)
        model[2].register_forward_hook(lambda m, args, y: y * 3)

    Pair().run(3).both(change).run(4)


def test_more_kinds_of_arguments_than_are_kept():
    pair = Pair(strict=False, net=lambda: nn.Sequential(nn.Linear(4, 3)))
    pair.run(2)
    for rows in range(7, 14):
        pair.run(1, rows=rows)
    with pytest.warns(RuntimeWarning, match="8 kinds of arguments and states were compiled"):
        pair.run(1, rows=14)


def test_batches_that_do_not_lie_in_order(trained):
    x, y = batch()
    for given in (x.T.contiguous().T, tg.cat([x, x])[::2][:6], tg.cat([x, x])[3:9]):
        a, b = (step(given, y) for step in trained.steps)
        assert b.item() == pytest.approx(a.item(), rel=1e-5)


def test_anomaly_detection_runs_eagerly(trained):
    with pytest.warns(UserWarning, match="Anomaly Detection"), detect_anomaly(check_nan=False):
        trained.run(1)
    assert any("anomaly" in note for note in trained.compiled.notes)


# Wrong indices ------------------------------------------------------------------------------------


def test_wrong_classes_raise_what_eager_raises_and_change_nothing(trained):
    trained.run(2)
    x, _ = batch()
    wrong = tg.tensor([0, 1, 2, 3, 0, 1])
    before = [p.detach().numpy().copy() for p in trained.models[1].parameters()]
    state = trained.optimizers[1].state_dict()["state"][0]["step"].item()
    with pytest.raises(IndexError, match="Target 3 is out of bounds: there are 3 classes, 0 to 2"):
        trained.compiled(x, wrong)
    for p, old in zip(trained.models[1].parameters(), before, strict=True):
        assert (p.detach().numpy() == old).all()
    assert trained.optimizers[1].state_dict()["state"][0]["step"].item() == state


def test_wrong_rows_of_a_table_raise_before_anything_is_read():
    table = nn.Embedding(5, 3)
    optimizer = optim.SGD(table.parameters(), 0.1)
    drop = nn.Dropout(0.5)

    @compile(strict=True)
    def step(index):
        optimizer.zero_grad()
        loss = drop(table(index)).sum()
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(3):
        step(tg.tensor([0, 4, 4]))
    stream = tg.get_rng_state()
    for wrong in ([0, 5, 1], [0, -1, 1]):
        with pytest.raises(IndexError, match=r"out of range|out of bounds"):
            step(tg.tensor(wrong))
    assert tg.equal(tg.get_rng_state(), stream)  # nothing was drawn


# What is refused ----------------------------------------------------------------------------------

REFUSED = {
    "loss.item()": "reads a value",
    "float(loss)": "reads a value",
    "if loss > 1: pass": "reads a value",
    "bool((loss > 1))": "reads a value",
    "print(loss)": "reads a value",
    "loss.detach().numpy()": "reads a value",
    "tg.tensor([1.0, 2.0])": "makes a tensor of data inside the step",
    "tg.from_numpy(np.ones(3))": "makes a tensor of data inside the step",
    "optimizer.step(lambda: loss)": r"calls optimizer.step\(closure\)",
    "model[0].weight.data = tg.ones(5, 4)": "gives a tensor that was there before the step other",
    "tg.randperm(4)": r"draws random numbers \(permutation\)",
    "x.nonzero()": "(calls|x).*the shape of whose result depends on values",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_refused_names_the_line(line, tmp_path, capsys):
    model = nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3))
    optimizer = optim.Adam(model.parameters())
    text = (
        "def step(x, y):\n    optimizer.zero_grad()\n    loss = F.cross_entropy(model(x), y)\n"
        f"    loss.backward()\n    {line}\n    optimizer.step()\n    return loss\n"
    )
    space = {"tg": tg, "np": np, "F": F, "model": model, "optimizer": optimizer}
    exec(builtins.compile(text, str(tmp_path / "train.py"), "exec"), space)
    strict = compile(space["step"], strict=True)
    strict(*batch())
    with pytest.raises(CompileError, match=rf"compile: train\.py:5 {REFUSED[line]}"):
        strict(*batch())
    lenient = compile(space["step"])
    lenient(*batch())
    with pytest.warns(RuntimeWarning, match=r"train\.py:5.*The step stays eager"):
        lenient(*batch())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lenient(*batch())  # said once
    capsys.readouterr()


def test_what_needs_backward_later_stays_eager():
    model = nn.Linear(4, 3)

    @compile
    def loss_of(x, y):
        return F.cross_entropy(model(x), y)

    loss_of(*batch())
    with pytest.warns(RuntimeWarning, match="returns a tensor that backward"):
        loss = loss_of(*batch())
    loss.backward()
    assert model.weight.grad is not None


def test_a_step_that_keeps_tensors_is_refused():
    kept = []

    def step(x):
        kept.append(x * 2)
        return x + 1

    strict, lenient = compile(step, strict=True), compile(step)
    strict(tg.ones(3))
    with pytest.raises(CompileError, match="the step keeps 1 of its tensors"):
        strict(tg.ones(3))
    assert kept[-1].tolist() == [2.0] * 3  # of the traced run
    lenient(tg.ones(3))
    with pytest.warns(RuntimeWarning, match=r"keeps 1 of its tensors.*stays eager"):
        lenient(tg.ones(3))
    assert lenient(tg.ones(3)).tolist() == [2.0] * 3


def test_errors_of_the_step_itself_are_its_own():
    @compile(strict=True)
    def step(x, y):
        return x @ y

    with pytest.raises(RuntimeError, match="shape"):
        step(tg.ones(2, 3), tg.ones(2, 3))
    with pytest.raises(RuntimeError, match="shape"):
        step(tg.ones(2, 3), tg.ones(2, 3))


def test_arrays_are_no_arguments():
    step = compile(lambda x: tg.ones(3) * 2, strict=True)
    step(np.ones(3))
    with pytest.raises(CompileError, match="an array is no argument"):
        step(np.ones(3))


def test_what_can_be_compiled():
    with pytest.raises(TypeError, match="expected a function or a Module, got int"):
        compile(3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'fast'"):
        compile(lambda: 0, fast=True)
    with pytest.raises(RuntimeError, match="nothing is compiled yet; that happens in the second"):
        compile(lambda: 0).source()


def test_pytorchs_habits():
    model = nn.Linear(4, 3)
    assert compile(model) is model
    assert compile(model, mode="max-autotune", fullgraph=True, backend="inductor") is model
    assert model.compile() is None
    assert tg.compile is compile

    @compile(fullgraph=False)
    def double(x):
        return x * 2

    for _ in range(3):
        assert double(tg.ones(2)).tolist() == [2.0, 2.0]
    assert compile(len, disable=True) is len


def test_methods_have_variants_of_their_own():
    class Trainer:
        def __init__(self, factor):
            self.factor = tg.full((2,), factor)

        @compile(strict=True)
        def step(self, x):
            return x * self.factor

    for trainer in (Trainer(2.0), Trainer(3.0)):
        for _ in range(3):
            found = trainer.step(tg.ones(2))
        assert found.tolist() == [float(trainer.factor[0])] * 2


def test_results_in_lists_tuples_and_dicts():
    @compile(strict=True)
    def step(batch, *, scale):
        x, names = batch["x"], batch["names"]
        return {"sum": x.sum() * scale, "all": [x + 1, (x * 2, names)], "none": None}

    for scale in (2.0, 2.0, 3.0, 3.0):
        found = step({"x": tg.arange(3.0), "names": "abc"}, scale=scale)
        assert found["sum"].item() == 3.0 * scale
        assert found["all"][1][0].tolist() == [0.0, 2.0, 4.0]
        assert found["all"][1][1] == "abc"
        assert found["none"] is None


def test_results_are_the_callers_own():
    step = compile(lambda x: x * 2, strict=True)
    step(tg.ones(3))
    first, second = step(tg.ones(3)), step(tg.zeros(3))
    assert first.tolist() == [2.0] * 3
    assert second.tolist() == [0.0] * 3


# Memory, threads, processes -----------------------------------------------------------------------


def test_dead_memory_is_never_read(trained):
    """With all of its own memory poisoned before each call, a step gives the same numbers."""
    trained.run(2)
    for i in range(4):
        for variants in trained.compiled._variants.values():
            for variant in variants:
                for block in variant.blocks.values():
                    block.fill(np.nan if block.dtype.kind == "f" else 77)
        x, y = batch(seed=i)
        a, b = (step(x, y) for step in trained.steps)
        assert b.item() == pytest.approx(a.item(), rel=1e-5)


def allocated(call):
    """(bytes that 100 calls need at once, bytes that they leave behind)."""
    settled()
    tracemalloc.start()
    try:
        call()
        gc.collect()
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            call()
        peak = tracemalloc.get_traced_memory()[1]
        gc.collect()
        return peak - start, tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()


def test_nothing_is_allocated_in_a_call():
    pair = Pair(net=lambda: nn.Sequential(nn.Linear(4, 4000), nn.ReLU(), nn.Linear(4000, 3)))
    x, y = batch()
    for step in pair.steps:  # not compared: Adam enlarges the rounding of gradients close to 0
        for _ in range(3):
            step(x, y)
    # Other threads may allocate too, as the pool's when they begin: the least of several counts.
    found = [allocated(lambda: pair.compiled(x, y)) for _ in range(5)]
    assert min(found)[0] < 40_000  # the loss, and lists of arguments; each activation is 96,000
    assert min(found)[1] < 4_000
    assert min(allocated(lambda: pair.steps[0](x, y)) for _ in range(3))[0] > 96_000


def test_threads_take_turns(trained):
    trained.run(2)
    x, y = batch()
    errors = []

    def work():
        try:
            for _ in range(50):
                trained.compiled(x, y)
        except BaseException as error:
            errors.append(error)

    before = trained.optimizers[1].state_dict()["state"][0]["step"].item()
    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert trained.optimizers[1].state_dict()["state"][0]["step"].item() == before + 150
    for _ in range(150):
        trained.steps[0](x, y)
    trained.run(1)


def test_other_threads_are_not_traced():
    started, release, seen = threading.Event(), threading.Event(), []

    def other():
        started.wait(10)
        x = tg.ones(3, requires_grad=True)
        (x * 2).sum().backward()
        seen.append(x.grad.tolist())
        release.set()

    thread = threading.Thread(target=other)
    thread.start()
    calls = []

    @compile(strict=True)
    def step(x):
        calls.append(1)
        if len(calls) == 2:  # the traced one
            started.set()
            assert release.wait(10)
        return x + 1

    for _ in range(3):
        assert step(tg.ones(2)).tolist() == [2.0, 2.0]
    thread.join()
    assert seen == [[2.0] * 3]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_goes_on(trained):
    trained.run(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            trained.compiled(*batch())
        finally:
            os._exit(0 if trained.compiled._latest else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_without_openblas_it_stays_eager(monkeypatch):
    from tinygrad_opt.kernels import blas

    monkeypatch.setattr(blas, "_available", False)
    step = compile(lambda x: x * 2)
    step(tg.ones(2))
    with pytest.warns(RuntimeWarning, match="not OpenBLAS's here.*stays eager"):
        assert step(tg.ones(2)).tolist() == [2.0, 2.0]


# Looking at it ------------------------------------------------------------------------------------


def test_the_text_reads_like_the_step(trained):
    source = trained.run(2).compiled.source()
    for line in ("product_nt_f4(6, 5, 4, input0, 4, linear0_weight, 4", "adam(", "# over 6"):
        assert line in source
    for name in ("linear0_weight", "linear2_bias", "input1"):
        assert name in source
    assert max(map(len, source.splitlines())) < 240


def test_machine_code_is_packed_and_single(trained):
    asm = trained.run(2).compiled.asm()
    assert "step_0" in asm
    assert trained.compiled.llvm().count("define") > 3
    if "xmm" in asm:
        assert "mulps" in asm


def test_explanation(trained):
    text = trained.run(2).compiled.explain()
    for part in ("2 arguments come with each call", "rows of 3: ", "exp, sum", "x matmul",
                 "an optimizer's rule", "work_f4: "):  # fmt: skip
        assert part in text


def test_profile_trains_nothing(trained):
    trained.run(2)
    before = [p.detach().numpy().copy() for p in trained.models[1].parameters()]
    text = trained.compiled.profile(*batch(), calls=3)
    assert "adam" in text
    assert "in all" in text
    for p, old in zip(trained.models[1].parameters(), before, strict=True):
        assert (p.detach().numpy() == old).all()
    trained.run(2)
    with pytest.raises(ValueError, match="profile: expected the 2 tensors that the step takes"):
        trained.compiled.profile(batch()[0])
