"""What Python calls of a kernel that is read directly: arguments, results, errors, start."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import llvmlite.binding as llvm
import micro_loops
import numpy as np
import pytest
from numba import types

from tinygrad_opt.kernels.compiler import within
from tinygrad_opt.kernels.direct import entry, njit
from tinygrad_opt.kernels.fused import arithmetic
from tinygrad_opt.kernels.micro import machine, tiles
from tinygrad_opt.kernels.micro.spaces import Space

KINDS = "int64[:], float32[:, ::1], float64[:, :], float32, float64, int64, boolean, uint8"


@pytest.fixture(autouse=True)
def _read(monkeypatch):
    """Nothing is left to Numba."""
    monkeypatch.setattr(within, "_compiled", None)


def all_kinds(a, b, c, x, y, n, flag, small):
    a[0] = n + small
    b[1, 2] = x
    if flag:
        c[1, 1] = y


def test_arguments_arrive():
    kernel = njit(f"void({KINDS})")(all_kinds)
    a, b, c = np.zeros(6, np.int64)[::-2], np.zeros((2, 3), np.float32), np.zeros((4, 4))[1::2, ::3]
    x = np.float32(0.1)
    assert kernel(a, b, c, x, 1 / 3, 2**62, True, np.uint8(7)) is None
    assert a.tolist() == [2**62 + 7, 0, 0]
    assert b.tolist() == [[0, 0, 0], [0, 0, x]]
    assert c.tolist() == [[0, 0], [0, 1 / 3]]
    kernel(a, b, c, 0, 0, -1, False, 1)
    assert a[0] == 0
    assert c[1, 1] == 1 / 3


def shape_of(a):
    return a.shape[0], a.shape[1]


def is_positive(x):
    return x > 0


def half(x):
    return x / 2


@pytest.mark.parametrize(
    ("function", "signature", "argument", "expected"),
    [
        (shape_of, "UniTuple(int64, 2)(float32[:, :])", np.zeros((2, 3), np.float32), (2, 3)),
        (is_positive, "boolean(float64)", 1.0, True),
        (is_positive, "boolean(float64)", -1.0, False),
        (half, "float32(float32)", 1, 0.5),
    ],
)
def test_results_arrive(function, signature, argument, expected):
    found = njit(signature, error_model="numpy")(function)(argument)
    assert found == expected
    assert type(found) is type(expected)


def refused(x, n):
    if n < 0:
        raise ValueError("negative")
    x[0] = 1 // n


def test_errors_arrive():
    kernel, x = njit("void(float64[::1], int64)", nogil=True)(refused), np.zeros(1)
    with pytest.raises(ValueError, match=r"^negative$"):
        kernel(x, -1)
    with pytest.raises(ZeroDivisionError):
        kernel(x, 0)
    with pytest.raises(TypeError, match="not enough arguments"):
        kernel(x)
    with pytest.raises(TypeError, match="No matching definition"):
        kernel(np.zeros(4)[::2], 1)
    (made,) = kernel.overloads.values()
    with pytest.raises(TypeError, match="refused: 2 arguments"):
        made.entry_point(x)


def test_numbers_that_are_none_raise():
    kernel = njit("float64(float64)", error_model="numpy")(half)
    (made,) = kernel.overloads.values()
    with pytest.raises(OverflowError):
        kernel(10**400)
    with pytest.raises(TypeError):
        made.entry_point("2")
    assert kernel(3) == 1.5


def test_arrays_are_kept_by_their_caller_alone():
    kernel, x = njit("float64(float64[::1])")(first), np.zeros(3)
    before = sys.getrefcount(x)
    for _ in range(10):
        kernel(x)
    assert sys.getrefcount(x) == before


def first(x):
    return x[0]


def test_another_layout_in_memory_is_left_to_numba(monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(entry, "_lies_as_expected", lambda: False)
    kernel = njit("float64(float64[::1])")(first)
    assert kernel(np.ones(3)) == 1
    (made,) = kernel.overloads.values()
    assert not isinstance(made.fndesc, entry.Described)


def test_this_layout_is_as_expected():
    assert entry._lies_as_expected()


CIRCLES = """
import gc
import itertools
import llvmlite.binding as llvm
from tinygrad_opt.kernels.micro.spaces import Space

gc.disable()
gc.freeze()  # so that to collect is not to go over all that was imported
TEXT = "define void @f() { ret void }"
for order, ended in itertools.product(itertools.permutations(range(4)), (False, True)):
    space = Space()
    module = space.read(TEXT)
    passes = space.passes(llvm.create_pipeline_tuning_options(3), whole=True)
    space.optimise(module, *passes)
    parts = [space, module, module.get_function("f"), passes]
    if ended:
        space.__exit__()
    circle = [parts[i] for i in order]
    circle.append(circle)
    del space, module, passes, parts, circle
    gc.collect()
"""


def test_what_is_in_a_context_may_be_collected_in_any_order():
    """Whether that was ended, or begun in vain."""
    subprocess.run([sys.executable, "-c", CIRCLES], check=True)


@pytest.fixture
def contexts(monkeypatch):
    """Those of LLVM's that there are: made, and not disposed of."""
    there = set()

    def made():
        context = create()
        there.add(address(context))
        return context

    def disposed(context):
        there.discard(address(context))
        dispose(context)

    def address(context):
        return ctypes.cast(context._ptr, ctypes.c_void_p).value

    create, dispose = llvm.create_context, llvm.ContextRef._dispose
    monkeypatch.setattr(llvm, "create_context", made)
    monkeypatch.setattr(llvm.ContextRef, "_dispose", disposed)
    return there


def test_contexts_do_not_stay(contexts, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    loops = machine.Loops(micro_loops.__name__, "copied", "float32", *tiles.registers(), 7, "")
    seen, emitted = [], Space.emitted

    def watched(space, module):
        seen.append(len(contexts))
        return emitted(space, module)

    monkeypatch.setattr(Space, "emitted", watched)
    assert njit("float64(float64[::1])")(first)(np.ones(3)) == 1
    assert loops.load()
    assert seen == [1, 1]
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "others"))
    monkeypatch.setattr(Space, "emitted", None)  # an error
    with pytest.raises(TypeError):
        loops.load()
    assert not contexts


def test_what_was_compiled_is_shown_once_its_module_is_gone():
    kernel = njit("float64(float64[::1])")(first)
    assert "define" in next(iter(kernel.inspect_llvm().values()))
    assert "ret" in next(iter(kernel.inspect_asm().values()))
    (made,) = kernel.overloads.values()
    assert [f.name for f in made.library.get_defined_functions()]


START = """
import numpy as np
from numba.core.runtime import rtsys
from tinygrad_opt import nn, optim, randn
model = nn.Sequential(nn.Linear(4, 600), nn.GELU(), nn.LayerNorm(600), nn.Linear(600, 3))
optimizer = optim.Adam(model.parameters())
nn.functional.cross_entropy(model(randn(30, 4)), randn(30, 3).argmax(1)).backward()
optimizer.step()
print(rtsys._init)
"""


def test_a_step_needs_not_all_that_numba_knows(tmp_path, monkeypatch):
    """Cold and warm: its registries take a third of a second to load."""
    monkeypatch.setenv("TINYGRAD_OPT_CACHE_DIR", str(tmp_path / "kernels"))
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", START], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["False"]


class Lookalike:
    """What has a type of Numba's as an array has, and is none."""

    _numba_type_ = types.Array(types.float32, 1, "C")


class Subclass(np.ndarray):
    """An array all the same."""


def test_what_only_looks_like_an_array_is_refused():
    kernel = arithmetic._kernels["add", "array", np.dtype("float32")]
    x = np.ones(5, np.float32)
    for arguments in ((Lookalike(), x, x.copy()), (x, x, Lookalike())):
        with pytest.raises(TypeError, match="no array of NumPy's"):
            kernel(*arguments)
    y = x.copy()
    kernel(x.view(Subclass), x, y)
    assert y.tolist() == [2] * 5
