"""Steps with row-sparse gradients: SparseAdam, SGD, Adagrad; and who refuses them."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import problem
import pytest
from reducing import REDUCING
from table import OPTIMIZERS

import tinygrad_opt as tg
from tinygrad_opt import optim

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")  # PyTorch's, of itself

STEPS = 60
ROWS = [
    ("SparseAdam", dict(lr=0.05)),
    ("SparseAdam", dict(lr=0.05, betas=(0.7, 0.95))),
    ("SparseAdam", dict(lr=0.05, eps=1e-2)),
    ("SparseAdam", dict(lr=0.05, maximize=True)),
    ("SGD", dict(lr=0.05)),
    ("SGD", dict(lr=0.05, maximize=True)),
    ("SGD", dict(lr=0.05, momentum=0.9)),
    ("SGD", dict(lr=0.05, momentum=0.9, dampening=0.4)),
    ("SGD", dict(lr=0.05, momentum=0.9, nesterov=True)),
    ("Adagrad", dict(lr=0.1)),
    ("Adagrad", dict(lr=0.1, lr_decay=0.05)),
    ("Adagrad", dict(lr=0.1, initial_accumulator_value=0.5)),
    ("Adagrad", dict(lr=0.1, eps=0.1)),
    ("Adagrad", dict(lr=0.1, maximize=True)),
]
every_row = pytest.mark.parametrize(("name", "settings"), ROWS, ids=[f"{n}{s}" for n, s in ROWS])


def start(library, dtype="float64"):
    kind = getattr(library, dtype)
    values = [np.cos(np.arange(21.0)).reshape(7, 3), np.sin(np.arange(5.0))]
    return [library.tensor(v, dtype=kind).requires_grad_() for v in values]


def gradient(library, i, p, step):
    """A table's (i = 0) or a vector's gradient: rows that repeat; now and then none, or no rows."""
    if step % 7 == 3 + i:
        return None
    n = 0 if step % 11 == 5 else 6
    rows = (np.arange(n) * (step + 2) // 2 + step) % len(p)
    wave = np.sin(0.7 * step + np.arange(n * p[0].numel())).reshape(n, *p.shape[1:])
    values = np.tanh(p.detach().numpy())[rows] + 0.8 * wave
    return library.sparse_coo_tensor(
        library.tensor(rows[None]), library.tensor(values, dtype=p.dtype), tuple(p.shape)
    )


def go_on(library, params, optimizer, steps, dense=False):
    for step in steps:
        for i, p in enumerate(params):
            g = gradient(library, i, p, step)
            p.grad = g.to_dense() if dense and g is not None else g
        optimizer.step()


def run(library, name, settings, dtype="float64", steps=STEPS, dense=False):
    params = start(library, dtype)
    optimizer = getattr(library.optim, name)(params, **settings)
    go_on(library, params, optimizer, range(steps), dense)
    return values(params), optimizer


def values(params):
    return np.concatenate([p.detach().numpy().astype("float64").ravel() for p in params])


def error(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def sparse_adam(p, g, state, t, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
    """One step in NumPy, on dense arrays; the rows that count are those that are named."""
    rows = np.unique(g._indices().numpy()[0])
    total = g.to_dense().numpy()[rows] * (-1 if maximize else 1)
    for key, beta, new in (("m", betas[0], total), ("v", betas[1], total**2)):
        state[key][rows] = beta * state[key][rows] + (1 - beta) * new
    size = lr * np.sqrt(1 - betas[1] ** t) / (1 - betas[0] ** t)
    p[rows] -= size * state["m"][rows] / (np.sqrt(state["v"][rows]) + eps)


@pytest.mark.parametrize("settings", [s for n, s in ROWS if n == "SparseAdam"], ids=str)
def test_sparse_adam_is_its_formula(settings):
    params = start(tg)
    states = [{"m": np.zeros(p.shape), "v": np.zeros(p.shape)} for p in params]
    counts = [0, 0]
    for step in range(STEPS):
        for i, p in enumerate(params):
            g = gradient(tg, i, p, step)
            if g is not None:
                counts[i] += 1
                sparse_adam(p.array, g, states[i], counts[i], **settings)
    assert error(run(tg, "SparseAdam", settings)[0], values(params)) < 1e-12


@pytest.mark.parametrize(("name", "settings"), [r for r in ROWS if r[0] != "SparseAdam"], ids=str)
def test_steps_equal_those_with_dense_gradients(name, settings):
    assert error(run(tg, name, settings)[0], run(tg, name, settings, dense=True)[0]) < 1e-13


@every_row
def test_every_setting_changes_the_result(name, settings):
    full, _ = run(tg, name, settings, steps=12)
    for key in set(settings) - {"momentum"}:
        fewer = {k: v for k, v in settings.items() if k != key}
        assert error(run(tg, name, fewer, steps=12)[0], full) > 1e-4


@pytest.mark.peers
@every_row
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_follows_pytorch(torch, name, settings, dtype):
    a, _ = run(tg, name, settings, dtype)
    b, _ = run(torch, name, settings, dtype)
    assert error(a, b) < (1e-12 if dtype == "float64" else 3e-6)


@pytest.mark.peers
def test_sparse_adams_arguments_are_pytorchs(torch):
    mine, theirs = (inspect.signature(lib.optim.SparseAdam) for lib in (tg, torch))
    assert {n: (p.default, p.kind) for n, p in mine.parameters.items()} == {
        n: (p.default, p.kind) for n, p in theirs.parameters.items()
    }


@pytest.mark.peers
@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("name", ["SparseAdam", "Adagrad"])
def test_training_goes_on_in_the_other_library(torch, name, there):
    old, new = (tg, torch) if there else (torch, tg)
    _, optimizer = run(old, name, dict(lr=0.05), steps=STEPS // 2)
    params = optimizer.param_groups[0]["params"]
    saved = optimizer.state_dict()
    assert name == "Adagrad" or type(saved["state"][0]["step"]) is int
    others = [new.tensor(p.detach().numpy().copy()).requires_grad_() for p in params]
    other = getattr(new.optim, name)(others, lr=1.0)
    other.load_state_dict(problem.converted(saved, new))
    go_on(new, others, other, range(STEPS // 2, STEPS))
    assert error(values(others), run(old, name, dict(lr=0.05))[0]) < 1e-12
    a, b = optimizer.state_dict(), other.state_dict()
    assert a["param_groups"] == b["param_groups"]
    assert [list(e) for e in a["state"].values()] == [list(e) for e in b["state"].values()]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_go_on_as_the_original(copied):
    _, optimizer = run(tg, "SparseAdam", dict(lr=0.05), steps=9)
    params = optimizer.param_groups[0]["params"]
    others, other = copied((params, optimizer))
    for ps, o in ((params, optimizer), (others, other)):
        go_on(tg, ps, o, range(9, 20))
    assert values(params).tolist() == values(others).tolist()


# What is touched ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "names"), [("SparseAdam", ("exp_avg", "exp_avg_sq")),
                                             ("Adagrad", ("sum",)), ("SGD", ())])  # fmt: skip
def test_rows_that_are_not_named_stand_still(name, names):
    p = tg.ones(4, 2).requires_grad_()
    p.grad = tg.sparse_coo_tensor([[2, 0, 2]], tg.ones(3, 2), (4, 2))
    optimizer = getattr(optim, name)([p], lr=0.1)
    p.array[3], p.array[1] = np.nan, np.inf  # neither read nor written
    optimizer.step()
    assert p[1].tolist() == [np.inf] * 2
    assert p[3].isnan().all()
    assert (p[0] < 1).all()
    assert (p[2] < 1).all()
    for state in names:
        held = optimizer.state[p][state]
        assert (held != 0).any(1).tolist() == [True, False, True, False]


def test_a_parameter_with_rows_lies_among_others():
    """Dense and row-sparse neighbours in one group, scattered memory, another type."""
    base = tg.zeros(2, 3)
    params = [tg.ones(2).requires_grad_(), base.T.requires_grad_(), tg.ones(2).requires_grad_(),
              tg.ones(2, dtype=tg.float64).requires_grad_()]  # fmt: skip
    optimizer = optim.Adagrad(params, lr=1.0)
    for _ in range(2):
        for p in (params[0], params[2]):
            p.grad = tg.ones(2)
        params[1].grad = tg.sparse_coo_tensor([[2, 1, 2]], tg.ones(3, 2), (3, 2))
        params[3].grad = tg.sparse_coo_tensor([[1]], [1.0], (2,), dtype=tg.float64)
        optimizer.step()
    moved = -1 - 1 / np.sqrt(2)
    np.testing.assert_allclose(params[0].detach(), [1 + moved] * 2, rtol=1e-6)
    np.testing.assert_allclose(params[2].detach(), [1 + moved] * 2, rtol=1e-6)
    np.testing.assert_allclose(base, [[0, moved, moved]] * 2, rtol=1e-6)
    np.testing.assert_allclose(params[3].detach(), [1, 1 + moved], rtol=1e-6)


def test_the_gradient_may_change_between_dense_and_sparse():
    p = tg.zeros(3).requires_grad_()
    optimizer = optim.SGD([p], lr=1.0)
    for g in (tg.ones(3), tg.sparse_coo_tensor([[1]], [1.0], (3,)), tg.ones(3)):
        p.grad = g
        optimizer.step()
        optimizer.zero_grad(set_to_none=g.is_sparse)
        assert p.grad is None or not p.grad.to_dense().any()
    assert p.tolist() == [-2.0, -3.0, -2.0]


def test_an_embedding_learns():
    table = tg.nn.Embedding(50, 4, sparse=True)
    target = tg.randn(50, 4)
    optimizer = optim.SparseAdam(table.parameters(), lr=0.1)
    untouched = table.weight[40:].tolist()
    for step in range(300):
        index = tg.tensor((np.arange(12) + 12 * step) % 40)
        optimizer.zero_grad()
        ((table(index) - target[index]) ** 2).sum().backward()
        optimizer.step()
    assert ((table.weight - target)[:40] ** 2).max().item() < 0.1
    assert table.weight[40:].tolist() == untouched


def test_lbfgs_makes_them_dense():
    def end(dense):
        p = tg.zeros(3).requires_grad_()

        def closure():
            g = tg.sparse_coo_tensor([[0, 2]], p.detach()[::2] - 1, (3,))
            p.grad = g.to_dense() if dense else g
            return ((p - 1) ** 2)[::2].sum()

        optim.LBFGS([p]).step(closure)
        return p.tolist()

    assert end(True) == end(False) != [0.0, 0.0, 0.0]


# Refusals -----------------------------------------------------------------------------------------


def refusing():
    rows = {row.name: row for row in [*OPTIMIZERS, *REDUCING] if "textbook" not in row.name}
    return [row for name, row in rows.items() if name not in ("SGD", "Adagrad")]


@pytest.mark.parametrize("row", refusing(), ids=lambda r: r.name)
def test_others_refuse_before_anything_changes(row):
    dense, sparse = tg.ones(2, 2).requires_grad_(), tg.ones(2, 2).requires_grad_()
    optimizer = row.cls([{"params": [dense]}, {"params": [sparse]}])
    if hasattr(optimizer, "train"):
        optimizer.train()
    dense.grad = tg.ones(2, 2)
    sparse.grad = tg.sparse_coo_tensor([[0]], tg.ones(1, 2), (2, 2))
    with pytest.raises(RuntimeError, match=f"{row.name} does not support sparse gradients, please"):
        optimizer.step()
    assert dense.tolist() == sparse.tolist() == [[1.0, 1.0]] * 2


def test_adagrad_refuses_weight_decay():
    p = tg.ones(2).requires_grad_()
    p.grad = tg.sparse_coo_tensor([[0]], [1.0], (2,))
    with pytest.raises(RuntimeError, match="weight_decay option is not compatible with sparse"):
        optim.Adagrad([p], weight_decay=0.1).step()


def test_sgd_with_weight_decay_moves_every_row():
    p = tg.ones(2).requires_grad_()
    p.grad = tg.sparse_coo_tensor([[0]], [1.0], (2,))
    optim.SGD([p], lr=1.0, weight_decay=0.5).step()
    assert p.tolist() == [-0.5, 0.5]


def test_sparse_adam_refuses_dense_gradients():
    p = tg.ones(2).requires_grad_()
    p.grad = tg.ones(2)
    with pytest.raises(
        RuntimeError, match=r"SparseAdam does not support dense gradients, please consider Adam ins"
    ):
        optim.SparseAdam([p]).step()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(lr=0), "Invalid learning rate: 0 "),
        (dict(lr=-0.1), "Invalid learning rate: -0.1"),
        (dict(lr=tg.tensor(0.0)), "Invalid learning rate: "),
        (dict(eps=0), "Invalid epsilon value: 0 "),
        (dict(betas=(1.0, 0.9)), "Invalid beta parameter at index 0: 1.0"),
        (dict(betas=(0.9, -1)), "Invalid beta parameter at index 1: -1"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(ValueError, match=f"SparseAdam: {message}"):
        optim.SparseAdam(None, **settings)


def test_sparse_parameters_are_refused():
    p, s = tg.ones(2).requires_grad_(), tg.sparse_coo_tensor([[0]], [1.0], (2,))
    for cls in (optim.SparseAdam, optim.Adam):
        message = rf"Sparse params at indices \[\[1, 1\]\]: {cls.__name__} requires dense parameter"
        with pytest.raises(ValueError, match=message):
            cls([{"params": [tg.ones(2)]}, {"params": [p, s]}])
