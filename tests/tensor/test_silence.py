"""Infinities and NaN come without warnings from here, and with NumPy's from a user's own arrays.

Nor does anything here depend on the `np.seterr` of the user's program: tests run with "raise".
"""

import contextvars
import math
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from op_rows.complexes import COMPLEX
from op_rows.linalg import MATRICES
from op_rows.special import ELIMINATION
from ops_table import OPS
from test_values import VALUES

import tinygrad_opt as tg
from tinygrad_opt import autograd, nn, optim
from tinygrad_opt.arrays import quiet
from tinygrad_opt.autograd import functional

SCRIPT = """
import numpy as np
import tinygrad_opt as tg

x = tg.tensor([0.0, -1.0], requires_grad=True)
for y in (x.log(), 1 / x, x.sqrt(), (x * 1e38).exp() * 1e38, x / 0, x.lgamma(), x.fmod(0.0)):
    y.sum().backward()
    y.log_()
tg.tensor([float("nan")]).long()
print("now NumPy")
np.log(np.zeros(1))
"""


def test_only_numpys_own_warnings_are_heard():
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    assert done.stdout == "now NumPy\n"
    assert done.stderr.count("Warning") == 1
    assert "<string>:11: RuntimeWarning: divide by zero encountered in log" in done.stderr


def test_importing_changes_no_filters():
    code = (
        "import warnings, numpy as np; before = list(warnings.filters), np.geterr();"
        "import tinygrad_opt; assert (list(warnings.filters), np.geterr()) == before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def errors():
    """NumPy raises FloatingPointError wherever it may, outside of this package."""
    with np.errstate(all="raise"):
        yield
        assert set(np.geterr().values()) == {"raise"}
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


# Operations ---------------------------------------------------------------------------------------

EXTREMES = (0.0, -1.0, math.inf, -math.inf, math.nan, 1e38, 1e-45, 1.0, -1e38, 0.5)
SLOW = {"digamma", "lgamma", "polygamma", "mvlgamma", "multigammaln"}  # far from zero
LAPACK = {row.name for row in MATRICES} | {"norm: matrix_norm kept", "matrix_norm"}
ROWS = [
    row for row in OPS
    if row.covers not in SLOW and row.name not in LAPACK and "matrix" not in row.name
    and row not in ELIMINATION and row.name not in ("complex: inverse", "eig", "eig: vectors")
]  # fmt: skip


def extreme(row, dtype, shift):
    """The row's inputs with all values exchanged for extreme ones."""
    with np.errstate(all="ignore"):
        for k, x in enumerate(row.inputs()):
            values = np.roll(np.array(EXTREMES), 3 * shift + k)
            yield np.resize(values, np.shape(x)).astype(dtype)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_operations_are_silent(row, errors):
    for dtype, shift in (("float32", 0), ("float32", 1), ("float16", 0)):
        if dtype == "float16" and row in COMPLEX:
            continue
        xs = [tg.tensor(x, requires_grad=True) for x in extreme(row, dtype, shift)]
        y = row.call(tg, *xs)
        y.backward(tg.ones_like(y), retain_graph=True)
        if row.second:
            gs = autograd.grad(y, xs, tg.ones_like(y), create_graph=True, allow_unused=True)
            for g in gs:
                if g is not None and g.requires_grad:
                    autograd.grad(g.sum(), xs, retain_graph=True, allow_unused=True)
        assert repr(y)


@pytest.mark.parametrize("name", VALUES)
def test_functions_without_a_gradient_are_silent(name, errors):
    VALUES[name][0](tg)


# All else that computes ---------------------------------------------------------------------------


def double(x):
    return tg.tensor(x, dtype=tg.float64)


X = EXTREMES
CALLS = {
    "int": lambda: tg.tensor(X).int(),
    "half": lambda: tg.tensor(X).half(),
    "float": lambda: double([1e300, 1e-300]).float(),
    "tensor": lambda: tg.tensor([1e40]),
    "tensor of int": lambda: tg.tensor([math.nan, 1e30], dtype=tg.int64),
    "as_tensor": lambda: tg.as_tensor(np.array([1e40, 1e-300]), dtype=tg.float32),
    "Tensor": lambda: tg.Tensor(np.array([1e300, 1e-300])),
    "HalfTensor": lambda: tg.HalfTensor([1e6]),
    "arange": lambda: tg.arange(0, 1e5, 1e4, dtype=tg.float16),
    "linspace": lambda: tg.linspace(0, 1e6, 3, dtype=tg.float16),
    "logspace": lambda: tg.logspace(0, 50, 3),
    "normal": lambda: tg.normal(tg.tensor(X), tg.ones(10)),
    "module": lambda: nn.Linear(2, 2).double().half(),
    "repr": lambda: repr(double([1e308, 1e-320, 1.0])),
    "iadd": lambda: tg.tensor(X).add_(tg.tensor(X), alpha=math.inf),
    "idiv": lambda: tg.tensor(X).div_(0),
    "setitem": lambda: tg.tensor([1, 2]).__setitem__(0, tg.tensor(math.nan)),
    "recorded setitem": lambda: tg.zeros(2, dtype=tg.float16).__setitem__(
        0, tg.tensor(1e6, requires_grad=True)
    ),
    "compare": lambda: tg.ones(2, dtype=tg.float16) < 1e30,
    "isclose": lambda: tg.isclose(tg.tensor(X), tg.tensor(X[::-1])),
    "quantile": lambda: tg.tensor([1.0, math.inf, -math.inf]).quantile(0.3),
    "batch norm": lambda: nn.BatchNorm1d(2)(tg.tensor(X).reshape(5, 2)).sum().backward(),
    "hessian": lambda: functional.hessian(lambda x: (x * x * x).sum(), tg.tensor(X)),
    "jvp": lambda: functional.jvp(lambda x: x.log(), tg.tensor(X), tg.tensor(X)),
    "func.grad": lambda: tg.func.grad(lambda x: x.sqrt().sum())(tg.tensor(X)),
    "gradcheck": lambda: autograd.gradcheck(
        tg.log, [double([0.5, 1e-12]).requires_grad_()], raise_exception=False
    ),
    "clip_grad_norm_": lambda: nn.utils.clip_grad_norm_([with_gradient()], 1.0),
    "clip_grad_value_": lambda: nn.utils.clip_grad_value_([with_gradient()], 1.0),
}


def with_gradient():
    p = nn.Parameter(tg.ones(10))
    p.grad = tg.tensor(X)
    return p


@pytest.mark.parametrize("name", CALLS)
def test_calls_are_silent(name, errors):
    CALLS[name]()


MATRIX_ONLY = {"Muon"}
OPTIMIZERS = [
    name for name in optim.__all__
    if isinstance(getattr(optim, name), type)
    and issubclass(getattr(optim, name), optim.Optimizer)
    and name not in ("Optimizer", "SparseAdam")
]  # fmt: skip


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_are_silent(name, errors):
    for values in (X, [1e38, -1e38, 1e30] * 3 + [0.0], [1e-45] * 10, [math.inf] * 10):
        shape = (2, 5) if name in MATRIX_ONLY else (10,)
        p = nn.Parameter(tg.ones(*shape))
        optimizer = getattr(optim, name)([p])
        getattr(optimizer, "train", lambda: None)()

        def closure(p=p, values=values, shape=shape):
            p.grad = tg.tensor(values).reshape(shape)
            return tg.tensor(1.0)

        for _ in range(3):
            optimizer.step(closure)


# A user's own code --------------------------------------------------------------------------------


@autograd.op
def logarithm(x):
    return np.log(x), lambda g: g / x


class Logarithm(autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.log()

    @staticmethod
    def backward(ctx, g):
        return g / ctx.saved_tensors[0]


@pytest.mark.parametrize("function", [logarithm, Logarithm.apply])
def test_a_users_operations_are_silent(function, errors):
    x = tg.zeros(2, requires_grad=True)
    function(x).sum().backward()
    assert x.grad.tolist() == [math.inf, math.inf]


def test_a_users_operations_see_their_context_variables():
    variable = contextvars.ContextVar("variable", default=1)
    variable.set(3)

    @autograd.op
    def times(x):
        n = variable.get()
        variable.set(n + 1)
        return x * n, lambda g: g * n

    assert times(tg.ones(1)).item() == 3
    assert variable.get() == 4


def test_operations_within_operations(errors):
    @autograd.op
    def outer(x):
        inner = tg.log(tg.from_numpy(x)).numpy()
        return inner, lambda g: g / x

    outer.pair.__module__ = "tinygrad_opt.nested"  # as if it were one of the package's own
    nested = autograd.op(outer.pair)
    assert nested(tg.zeros(1)).item() == -math.inf
    with pytest.raises(RuntimeError, match=r"add: The size of tensor a \(2\) must match"):
        quiet.run(lambda: tg.ones(2) + tg.ones(3))
    assert (quiet.run(lambda: tg.ones(2) + 1)).tolist() == [2, 2]


def test_threads_do_not_wait_for_each_other(errors):
    results = []
    x = tg.rand(300_000)  # long enough for NumPy to let the other threads run

    def work():
        for _ in range(20):
            results.append(bool((x.log() + x / 0).isinf().all()))

    with np.errstate(all="ignore"), ThreadPoolExecutor(4) as pool:  # threads do not inherit that
        for done in [pool.submit(work) for _ in range(4)]:
            done.result()  # raises what the thread raised
    assert results == [True] * 80


def test_errors_of_an_operation_pass():
    @autograd.op
    def failing(x):
        raise RuntimeError("its own")

    for pair_of in ("tests.somewhere", "tinygrad_opt.somewhere"):
        failing.pair.__module__ = pair_of
        with pytest.raises(RuntimeError, match="its own"):
            autograd.op(failing.pair)(tg.ones(1))


def test_the_public_way_is_the_same():
    settings, silence, restore = quiet._by_errstate()
    with np.errstate(all="raise"):
        before = silence(settings)
        assert np.log(np.zeros(1))[0] == -math.inf
        restore(before)
        assert set(np.geterr().values()) == {"raise"}


def test_filters_of_the_user_are_none_of_our_business():
    with warnings.catch_warnings():
        warnings.resetwarnings()
        warnings.simplefilter("error")
        assert tg.tensor([0.0]).log().item() == -math.inf
