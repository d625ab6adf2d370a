"""Names that set the scene: each does what it says, or says that it does nothing."""

from __future__ import annotations

import copy
import importlib
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_opt as tg
from tinygrad_opt import nn, optim
from tinygrad_opt.cuda import amp as cuda_amp
from tinygrad_opt.nn import functional as F
from tinygrad_opt.porting import instead, paths

# Element types -----------------------------------------------------------------------------------


def test_types_are_one_object_each_and_numpy_takes_them():
    x = tg.ones(2)
    assert x.dtype is tg.float32 is pickle.loads(pickle.dumps(tg.float32))
    assert copy.deepcopy(tg.int64) is tg.int64 is tg.long
    assert np.dtype(tg.float64) == np.float64 == tg.float64
    assert np.zeros(2, tg.int8).dtype == tg.int8
    assert hash(tg.float32) == hash(np.dtype("float32"))
    assert tg.float32 not in (None, tg.float64, "int8")
    assert tg.complex64.to_real() is tg.float32
    assert (tg.float16.kind, tg.bfloat16.itemsize, tg.bool.is_signed) == ("f", 2, False)
    with pytest.raises(AttributeError):
        tg.float32.nonsense  # noqa: B018


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: tg.dtype("float32"), TypeError, "one object of each type; say float32"),
        (lambda: tg.ones(1).to(tg.bfloat16), TypeError, "bfloat16: tensors here have no elements"),
        (lambda: tg.ones(1).bfloat16(), TypeError, "bfloat16: tensors here have no elements"),
        (lambda: tg.int64.to_complex(), RuntimeError, "no complex type of this precision"),
        (lambda: tg.zeros(1, layout=tg.sparse_coo), RuntimeError, "^zeros: only strided tensors"),
        (lambda: tg.zeros(1).contiguous(memory_format=1), TypeError,
         r"^contiguous\(\): argument 'memory_format' must be torch.memory_format, not int"),
        (lambda: tg.zeros(1).contiguous(memory_format=tg.channels_last), RuntimeError,
         "^contiguous: required rank 4 tensor to use torch.channels_last"),
        (lambda: tg.zeros(1).set_(tg.zeros(1).long()), RuntimeError, "^set_: expected a source"),
        (lambda: tg.zeros(1).set_(tg.zeros(4), 2, (3,)), RuntimeError, "does not lie in"),
        (lambda: tg.ones(1, requires_grad=True).resize_(2), RuntimeError, "cannot resize"),
        (lambda: tg.ones(1, requires_grad=True).apply_(abs), RuntimeError, r"Can't call apply_\("),
        (lambda: tg.ones(1, requires_grad=True).map_(tg.ones(1), max), RuntimeError, "call map_"),
        (lambda: tg.ones(1).add_(tg.ones(2), tg.ones(1)), TypeError, r"^add_\(\) takes its number"),
        (lambda: F.relu_(1.0), TypeError, r"^relu_\(\): argument 'input' \(position 1\) must"),
        (lambda: tg.exp_([1.0]), TypeError, r"^exp_\(\): argument 'input' \(position 1\) must"),
        (lambda: tg._foreach_add_([1], 1), TypeError, r"^_foreach_add_\(\): argument 'self' must"),
        (lambda: tg._foreach_add_([tg.ones(1)], [1, 2]), RuntimeError, "got 1 and 2"),
        (lambda: tg.set_default_tensor_type(3), TypeError, "invalid type object: expected a con"),
        (lambda: tg.set_float32_matmul_precision("low"), RuntimeError, "expected one of .'high"),
        (lambda: tg.set_deterministic_debug_mode(7), RuntimeError, "expected one of"),
        (lambda: tg.set_num_interop_threads(0), RuntimeError, "expects a positive integer, got 0"),
        (lambda: tg.autocast(3), ValueError, "Expected `device_type` of type `str`, got: `int`"),
        (lambda: tg.jit.save(None, "x"), NotImplementedError, "no scripted modules"),
        (lambda: tg.jit.load("x"), NotImplementedError, "a program of PyTorch's"),
        (lambda: tg.distributed.get_rank(), ValueError, "has not been initialized"),
        (lambda: tg.distributed.get_world_size(), ValueError, "has not been initialized"),
        (lambda: tg.distributed.init_process_group("gloo"), ValueError, "it is 'mpi' here"),
        (lambda: tg.distributed.all_reduce(tg.ones(1)), ValueError, "has not been initialized"),
        (lambda: tg.multiprocessing.set_sharing_strategy("x"), ValueError, "expected one of"),
        (lambda: nn.DataParallel(nn.ReLU(), [0, 1]), NotImplementedError, "lie on one device"),
        (lambda: nn.parallel.DistributedDataParallel(nn.Linear(1, 1)), ValueError,
         "has not been initialized"),
        (lambda: nn.SyncBatchNorm(2)(tg.ones(2)), ValueError, "expected at least 2D input"),
    ],
)  # fmt: skip
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


# Devices ------------------------------------------------------------------------------------------


@pytest.mark.skipif(tg.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_questions_are_answered_and_the_rest_is_refused():
    cuda = tg.cuda
    for name in ("empty_cache", "ipc_collect", "reset_peak_memory_stats", "seed", "seed_all",
                 "reset_max_memory_allocated", "synchronize"):  # fmt: skip
        assert getattr(cuda, name)() is None
    cuda.manual_seed(1), cuda.manual_seed_all(1), cuda.set_device(-1), cuda.set_device("cpu")
    assert cuda.memory_allocated() == cuda.max_memory_allocated() == cuda.memory_reserved() == 0
    assert cuda.max_memory_reserved() == cuda.device_count() == len(cuda.get_rng_state_all()) == 0
    assert not cuda.is_initialized()
    assert not cuda.is_bf16_supported()
    assert cuda.memory_summary().startswith("used by tensors: 0 bytes")
    cuda.set_rng_state(None), cuda.set_rng_state_all([])
    with cuda.device(-1), cuda.device(None), cuda.stream(None):
        pass
    for call in (cuda.init, cuda.current_device, cuda.get_device_name, cuda.get_device_capability,
                 cuda.get_rng_state, cuda.initial_seed, cuda.mem_get_info, cuda.Event,
                 lambda: cuda.set_device(0)):  # fmt: skip
        with pytest.raises(RuntimeError, match="no CUDA device: CuPy is not installed"):
            call()
    assert issubclass(cuda.OutOfMemoryError, RuntimeError)
    assert tg.version.cuda is tg.version.hip is None
    assert tg.version.__version__ == tg.__version__
    assert not (tg.mps.is_available())
    assert not (tg.xpu.is_available())
    assert not (tg.accelerator.is_available())
    assert tg.accelerator.current_accelerator() is None
    assert tg.accelerator.current_device_index() == 0 == tg.mps.device_count()
    assert tg.accelerator.set_device_index(0) is tg.mps.manual_seed(1) is tg.mps.seed() is None
    assert tg.mps.empty_cache() is tg.mps.synchronize() is None
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        tg.version.nonsense  # noqa: B018


def test_the_default_device_and_type():
    assert tg.get_default_device() == tg.device("cpu")
    tg.set_default_device("cpu")
    with tg.device("cuda"):
        assert tg.get_default_device() == tg.device("cuda")
    assert tg.get_default_device() == tg.device("cpu")
    tg.set_default_device(None)
    tg.set_default_tensor_type("torch.DoubleTensor")
    assert tg.ones(1).dtype is tg.float64 is tg.get_default_dtype()
    tg.set_default_tensor_type(tg.FloatTensor)
    assert tg.ones(1).dtype is tg.float32
    assert tg.typename(nn.Linear(1, 1)) == "tinygrad_opt.nn.linear.Linear"
    assert tg.typename(3) == "int"
    assert not tg.is_storage(3)
    assert tg.compiled_with_cxx11_abi()


def test_memory_of_tensors():
    x = tg.arange(6.0)
    y = tg.empty(0).set_(x, 1, (2, 2), (2, 1))
    assert y.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert tg.empty(0).set_(x, 3, (2,)).tolist() == [3.0, 4.0]
    assert y.set_().shape == (0,)
    assert x[:4].view(2, 2).t().resize_(3).tolist() == [0.0, 2.0, 1.0]
    assert x.clone().resize_(8)[:6].tolist() == x.tolist()
    assert tg.zeros(3).map_(tg.arange(3.0), lambda a, b: a + 2 * b).tolist() == [0.0, 2.0, 4.0]
    assert x.share_memory_() is x.pin_memory() is x
    assert x.is_set_to(x.detach())
    assert not x.is_set_to(x[1:])
    assert (x.is_pinned(), x.is_shared(), x.is_distributed()) == (False, False, False)
    kinds = ["is_mkldnn", "is_mps", "is_xpu", "is_xla", "is_sparse_csr", "is_nested"]
    assert not any(getattr(x, kind) for kind in kinds)
    assert (x.output_nr, x.name, x.names) == (0, None, (None,))
    assert x.record_stream(None) is None
    assert len(x.storage()) == 24
    assert repr(x.untyped_storage()) == "<storage of 24 bytes>"
    assert tg.get_device(x) == -1
    assert not tg.is_complex(x)


def test_frombuffer_shares_memory():
    memory = bytearray(np.arange(4, dtype="f4").tobytes())
    x = tg.frombuffer(memory, dtype=tg.float32, count=2, offset=4, requires_grad=True)
    assert x.tolist() == [1.0, 2.0]
    assert x.requires_grad
    with tg.no_grad():
        x.zero_()
    assert tg.frombuffer(memory, dtype=tg.float32).tolist() == [0.0, 0.0, 0.0, 3.0]
    with pytest.raises(ValueError, match="buffer"):
        tg.frombuffer(memory, dtype=tg.float32, count=9)


def test_the_scene_is_kept():
    tg.use_deterministic_algorithms(True)
    assert tg.get_deterministic_debug_mode() == 2
    tg.set_float32_matmul_precision("medium")
    assert tg.get_float32_matmul_precision() == "medium"
    tg.set_float32_matmul_precision("highest")
    tg.set_deterministic_debug_mode("warn")
    assert tg.is_deterministic_algorithms_warn_only_enabled()
    assert tg.get_deterministic_debug_mode() == 1
    tg.set_deterministic_debug_mode(0)
    assert not tg.are_deterministic_algorithms_enabled()
    assert tg.get_num_interop_threads() == tg.get_num_threads()
    tg.set_num_interop_threads(3)
    assert tg.get_num_interop_threads() == 3
    tg.set_warn_always(True)
    assert tg.is_warn_always_enabled()
    tg.set_warn_always(False)
    assert tg.set_flush_denormal(True) is False
    cudnn, cuda = tg.backends.cudnn, tg.backends.cuda
    assert cudnn.version() is None
    assert not cudnn.is_acceptable(tg.ones(1))
    assert cudnn.is_available() == cuda.is_built() == tg.cuda.is_available()
    for which in ("flash", "mem_efficient", "math", "cudnn"):
        getattr(cuda, f"enable_{which}_sdp")(True)
        assert getattr(cuda, f"{which}_sdp_enabled")() == (which == "math")
    with cuda.sdp_kernel(enable_flash=False):
        assert cuda.preferred_linalg_library("cusolver") == "default"
    mps = tg.backends.mps
    assert not (mps.is_available())
    assert not (mps.is_built())
    assert not (mps.is_macos13_or_newer())
    assert not mps.is_macos_or_newer(13, 0)
    assert not tg.backends.mkldnn.is_available()
    assert tg.backends.mha.get_fastpath_enabled()


# Mixed precision ----------------------------------------------------------------------------------


def test_autocast_says_once_that_it_changes_nothing(monkeypatch):
    monkeypatch.setattr(tg.amp, "_told", False)
    block = tg.autocast("cpu", dtype=tg.float16)
    with pytest.warns(UserWarning, match="autocast changes nothing in tinygrad_opt"):
        block.__enter__()
    with tg.autocast("cpu", dtype=tg.float16):  # the second is silent
        assert tg.is_autocast_enabled("cpu")
        assert not tg.is_autocast_enabled("cuda")
        assert tg.get_autocast_dtype("cpu") is tg.float16
        assert (tg.ones(2, 2) @ tg.ones(2, 2)).dtype is tg.float32
        with cuda_amp.autocast(enabled=False):
            assert not tg.is_autocast_enabled()
            assert tg.get_autocast_dtype("cuda") is tg.float16
    block.__exit__(None, None, None)
    assert not tg.is_autocast_enabled("cpu")
    assert tg.get_autocast_dtype("cpu") is tg.bfloat16
    assert not tg.amp.is_autocast_available("cpu")

    @tg.autocast("cpu", enabled=False)
    def doubled(x):
        return 2 * x

    assert doubled(3) == 6
    assert doubled.__name__ == "doubled"


def test_custom_functions_under_autocast():
    class Double(tg.autograd.Function):
        @staticmethod
        @tg.amp.custom_fwd(device_type="cuda")
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        @tg.amp.custom_bwd(device_type="cuda")
        def backward(ctx, g):
            return 2 * g

    x = tg.ones(1, requires_grad=True)
    Double.apply(x).backward()
    assert x.grad.item() == 2
    assert tg.amp.custom_fwd(abs) is tg.amp.custom_bwd(abs) is abs


def scaled(scaler, w, optimizer, factor=1.0):
    optimizer.zero_grad()
    scaler.scale((w * w).sum() * factor).backward()
    scaler.step(optimizer)
    scaler.update()


def test_the_scaler_leaves_out_steps_that_overflow():
    w = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], 0.25)
    scaler = tg.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    scaled(scaler, w, optimizer, float("inf"))
    assert (w.item(), scaler.get_scale()) == (1.0, 4.0)
    scaled(scaler, w, optimizer)
    assert (w.item(), scaler.get_scale()) == (0.5, 4.0)
    scaled(scaler, w, optimizer)
    assert (w.item(), scaler.get_scale()) == (0.25, 8.0)
    other = tg.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    other.update(2.0)
    other.set_growth_factor(3.0), other.set_backoff_factor(0.1), other.set_growth_interval(7)
    assert other.get_scale() == 2.0
    assert other.get_growth_factor() == 3.0
    assert (other.get_backoff_factor(), other.get_growth_interval()) == (0.1, 7)
    assert [x.item() for x in other.scale((w, w))] == [0.5, 0.5]


def test_a_disabled_scaler_passes_through():
    w = tg.tensor([1.0], requires_grad=True)
    optimizer = optim.SGD([w], 0.25)
    off = cuda_amp.GradScaler(enabled=False)
    scaled(off, w, optimizer)
    off.unscale_(optimizer)
    assert (w.item(), off.get_scale(), off.state_dict(), off.is_enabled()) == (0.5, 1.0, {}, False)
    off.load_state_dict({})


@pytest.mark.parametrize(
    ("use", "error", "text"),
    [
        (lambda s, o: (s.unscale_(o), s.unscale_(o)), RuntimeError, r"unscale_\(\) has already"),
        (lambda s, o: (s.step(o), s.unscale_(o)), RuntimeError, "being called after step"),
        (lambda s, o: (s.step(o), s.step(o)), RuntimeError, "has already been called since"),
        (lambda s, o: s.step(o, lambda: 0), RuntimeError, "Closure use is not currently supported"),
        (lambda s, o: s.update(), RuntimeError, "No inf checks were recorded"),
        (lambda s, o: s.load_state_dict({}), RuntimeError, "The source state dict is empty"),
        (lambda s, o: s.scale(3), ValueError, "outputs must be a Tensor or an iterable"),
    ],
)
def test_mistakes_with_the_scaler(use, error, text):
    w = tg.tensor([1.0], requires_grad=True)
    (w * w).sum().backward()
    with pytest.raises(error, match=text):
        use(tg.amp.GradScaler("cpu"), optim.SGD([w], 0.1))


def test_settings_of_the_scaler():
    with pytest.raises(ValueError, match=r"growth_factor must be > 1.0, got 1"):
        tg.amp.GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(ValueError, match=r"backoff_factor must be < 1.0, got 1"):
        tg.amp.GradScaler("cpu", backoff_factor=1.0)


@pytest.mark.peers
def test_the_scaler_is_pytorchs(torch):
    values = []
    for m in (tg, torch):
        w = m.tensor([1.0], requires_grad=True)
        optimizer = m.optim.Adam([w], 0.1)
        scaler = m.amp.GradScaler("cpu", init_scale=16.0, growth_interval=3)
        for factor in (1.0, float("inf"), 1.0, 1.0, 1.0, 1.0, float("nan"), 1.0):
            scaled(scaler, w, optimizer, factor)
            values.append((round(w.item(), 4), scaler.get_scale()))
    assert values[:8] == values[8:]


# jit, testing, others -----------------------------------------------------------------------------


def test_jit_is_the_identity_and_says_so_once(monkeypatch):
    monkeypatch.setattr(tg.jit, "_told", False)
    layer = nn.Linear(1, 1)
    with pytest.warns(UserWarning, match=r"jit.script returns what it is given"):
        assert tg.jit.script(layer) is layer
    assert tg.jit.trace(layer, tg.ones(1)) is layer  # the second is silent
    assert tg.jit.freeze(layer) is tg.jit.optimize_for_inference(layer) is layer
    assert tg.jit.export(abs) is tg.jit.unused(abs) is tg.jit.ignore(abs) is abs
    assert tg.jit.ignore(drop=True)(abs) is tg.jit.script_if_tracing(abs) is abs
    assert tg.jit.wait(tg.jit.fork(abs, -1)) == 1
    assert not tg.jit.is_scripting()
    assert not tg.jit.is_tracing()


CLOSE = {
    "equal": (lambda m: (m.ones(2), m.ones(2)), {}),
    "near": (lambda m: (m.ones(2), m.ones(2) + 1e-6), {}),
    "far": (lambda m: (m.ones(2), m.ones(2) + 1e-4), {}),
    "far enough": (lambda m: (m.ones(2), m.ones(2) + 1e-4), dict(rtol=0, atol=1e-3)),
    "float64": (lambda m: (m.ones(2).double(), m.ones(2).double() + 1e-6), {}),
    "float16": (lambda m: (m.ones(2).half(), m.ones(2).half() + 1e-3), {}),
    "ints": (lambda m: (m.tensor([1, 2]), m.tensor([1, 3])), {}),
    "bools": (lambda m: (m.tensor([True]), m.tensor([False])), {}),
    "shape": (lambda m: (m.ones(2), m.ones(1)), {}),
    "type": (lambda m: (m.ones(2), m.ones(2).double()), {}),
    "other type": (lambda m: (m.ones(2), m.ones(2).double()), dict(check_dtype=False)),
    "stride": (lambda m: (m.ones(2, 3), m.ones(3, 2).t()), dict(check_stride=True)),
    "nan": (lambda m: (m.tensor(float("nan")), m.tensor(float("nan"))), {}),
    "equal nan": (lambda m: (m.tensor(float("nan")), m.tensor(float("nan"))), dict(equal_nan=True)),
    "scalars": (lambda m: (1.0, 1.1), {}),
    "int and float": (lambda m: (1, 1.0), {}),
    "lists": (lambda m: ([m.ones(1), 2], [m.ones(1), 3]), {}),
    "lengths": (lambda m: ([m.ones(1)], []), {}),
    "dicts": (lambda m: ({"a": m.ones(1)}, {"a": m.zeros(1)}), {}),
    "keys": (lambda m: ({"a": 1}, {"b": 1}), {}),
    "none": (lambda m: (None, None), {}),
    "text": (lambda m: ([m.ones(1), None], [m.ones(1), None]), {}),
    "tensor and number": (lambda m: (m.ones(()), 1.0), {}),
    "one tolerance": (lambda m: (m.ones(1), m.ones(1)), dict(rtol=0.1)),
    "message": (lambda m: (m.ones(1), m.zeros(1)), dict(msg="mine")),
    "called message": (lambda m: (m.ones(1), m.zeros(1)), dict(msg=lambda text: "I: " + text[:11])),
    "matrix": (lambda m: (m.ones(2, 2), m.tensor([[1.0, 1.0], [1.0, 2.0]])), {}),
}
RIGHT = {"equal", "near", "far enough", "float16", "other type", "equal nan", "none", "text"}


def verdict(m, name):
    make, settings = CLOSE[name]
    try:
        m.testing.assert_close(*make(m), **settings)
    except (AssertionError, TypeError, ValueError) as error:
        return type(error), str(error)
    return None, ""


@pytest.mark.parametrize("name", CLOSE)
def test_assert_close(name):
    assert (verdict(tg, name)[0] is None) == (name in RIGHT)


@pytest.mark.peers
@pytest.mark.parametrize("name", CLOSE)
def test_assert_close_is_pytorchs(torch, name):
    ours, theirs = verdict(tg, name), verdict(torch, name)
    assert ours[0] is theirs[0], (ours, theirs)
    if name in ("matrix", "message", "called message", "far", "ints"):
        assert ours[1].split("\n")[0] == theirs[1].split("\n")[0]


def test_older_and_random_forms_of_testing():
    tg.testing.assert_allclose(tg.ones(1), tg.ones(1).double())
    with pytest.raises(AssertionError):
        tg.testing.assert_allclose(tg.ones(1), tg.zeros(1))
    for dtype in (tg.float32, tg.int64, tg.uint8, tg.bool):
        made = tg.testing.make_tensor(3, 2, dtype=dtype)
        assert (made.shape, made.dtype) == ((3, 2), dtype)
    assert tg.testing.make_tensor((2,), dtype=tg.float32, low=3, high=3).tolist() == [3.0, 3.0]
    assert tg.testing.make_tensor((2,), dtype=tg.float32, requires_grad=True).requires_grad


def test_fork_rng():
    tg.manual_seed(0)
    expected = tg.rand(2)
    tg.manual_seed(0)
    with tg.random.fork_rng():
        tg.manual_seed(5)
    assert tg.equal(tg.rand(2), expected)
    tg.manual_seed(0)
    with tg.random.fork_rng(enabled=False):
        tg.rand(2)
    assert not tg.equal(tg.rand(2), expected)


def test_spawn():
    mp = tg.multiprocessing
    assert mp.get_all_sharing_strategies() == {"file_descriptor", "file_system"}
    code = (
        "import tinygrad_opt.multiprocessing as mp, sys\n"
        "def work(i, fail):\n    sys.exit(int(fail and i == 1))\n"
        "if __name__ == '__main__':\n"
        "    mp.spawn(work, (False,), nprocs=2, start_method='fork')\n"
        "    started = mp.spawn(work, (False,), join=False, start_method='fork')\n"
        "    started[0].join()\n"
        "    mp.spawn(work, (True,), nprocs=2, start_method='fork')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "RuntimeError: spawn: process 1 terminated with exit code 1" in done.stderr


IN_PLACE = [
    "abs_", "acos_", "acosh_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_",
    "arctanh_", "asin_", "asinh_", "atan_", "atanh_", "ceil_", "clamp_", "clamp_max_",
    "clamp_min_", "clip_", "cos_", "cosh_", "deg2rad_", "detach_", "erf_", "erfc_", "exp2_",
    "exp_", "expm1_", "fill_", "fix_", "floor_", "frac_", "gcd_", "index_put_", "lcm_",
    "log10_", "log1p_", "log2_", "log_", "logit_", "nan_to_num_", "neg_", "negative_",
    "rad2deg_", "reciprocal_", "round_", "rsqrt_", "sigmoid_", "sin_", "sinc_", "sinh_",
    "sqrt_", "square_", "tan_", "tanh_", "trunc_", "xlogy_", "zero_",
]  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_functions_are_the_methods(name):
    whole = name in ("gcd_", "lcm_")
    x = tg.tensor([2, 4]) if whole else tg.tensor([0.25, 0.75])
    settings = {"clamp_": (0.5,), "clip_": (0.5,), "clamp_max_": (0.5,), "clamp_min_": (0.5,),
                "fill_": (3,), "gcd_": (x,), "lcm_": (x,), "xlogy_": (x,),
                "index_put_": ((tg.tensor([0]),), tg.tensor(3.0))}.get(name, ())  # fmt: skip
    a, b = x.clone(), x.clone()
    assert getattr(tg, name)(a, *settings) is a
    getattr(b, name)(*settings)
    np.testing.assert_array_equal(a.numpy(), b.numpy())
    assert getattr(tg, name).__name__ == name


def test_functions_of_the_scene_are_the_modules():
    for name in ["celu_", "relu_", "rrelu_", "selu_", "threshold_"]:
        assert getattr(tg, name) is getattr(F, name)
    for name in ["GradScaler", "autocast", "get_autocast_dtype", "is_autocast_enabled"]:
        assert getattr(tg, name) is getattr(tg.amp, name)
    assert tg.detach(tg.ones(1, requires_grad=True)).requires_grad is False
    assert tg.vmap is tg.func.vmap
    assert tg.newaxis is None
    assert isinstance(tg.strided, tg.layout)
    for name in ["channels_last", "channels_last_3d", "contiguous_format", "preserve_format"]:
        value = getattr(tg, name)
        assert isinstance(value, tg.memory_format)
        assert copy.deepcopy(value) is pickle.loads(pickle.dumps(value)) is value
    assert tg.cfloat is tg.complex64
    assert tg.cdouble is tg.complex128


def test_consume_prefix():
    state = nn.DataParallel(nn.Linear(1, 1)).state_dict()
    nn.modules.utils.consume_prefix_in_state_dict_if_present(state, "module.")
    assert list(state) == ["weight", "bias"]
    nn.Linear(1, 1).load_state_dict(state)
    assert nn.modules.utils._reverse_repeat_tuple((1, 2), 2) == (2, 2, 1, 1)


# Places and what is not there ---------------------------------------------------------------------


@pytest.mark.parametrize("path", paths.PLACES)
def test_every_place_is_there(path):
    module = importlib.import_module(f"tinygrad_opt.{path}")
    for source in paths.PLACES[path]:
        importlib.import_module(f"tinygrad_opt.{source}")
    for name in dir(module):
        getattr(module, name)
    with pytest.raises(AttributeError, match="nonsense"):
        module.nonsense  # noqa: B018


@pytest.mark.parametrize("full", paths.NAMES)
def test_names_that_are_called_otherwise(full):
    path, _, name = full.rpartition(".")
    assert getattr(importlib.import_module(f"tinygrad_opt.{path}"), name) is not None


@pytest.mark.parametrize(
    ("place", "name", "advice"),
    [
        ("special", "bessel_j0", "use SciPy on .numpy()"),
        ("special", "modified_bessel_k0", "use SciPy on .numpy()"),
        ("special", "hermite_polynomial_h", "use its recurrence"),
        ("fft", "hfft2", "use hfft along each axis"),
        ("distributions", "Wishart", "draw the factor"),
        ("onnx", "register_custom_op_symbolic", "use onnx.export"),
    ],
)
def test_modules_that_are_loaded_late_say_so_too(place, name, advice):
    said = rf"^{place}.{name} is not part of tinygrad_opt: see .*; instead, {re.escape(advice)}"
    with pytest.raises(AttributeError, match=said):
        getattr(getattr(tg, place), name)
    with pytest.raises(AttributeError, match=f"has no attribute '{name}s'"):
        getattr(getattr(tg, place), f"{name}s")


def test_what_is_not_there_says_so():
    page = r"not part of tinygrad_opt: see docs/from_pytorch.md#missing"
    with pytest.raises(AttributeError, match=rf"^fx is {page}; instead, training.draw_graph"):
        tg.fx  # noqa: B018
    with pytest.raises(AttributeError, match=rf"^nn.Container is {page}; instead, use Module"):
        nn.Container  # noqa: B018
    with pytest.raises(ImportError, match=rf"^package is {page}; instead, store state_dict"):
        import tinygrad_opt.package
    with pytest.raises(ImportError, match=f"^fx is {page}"):
        from tinygrad_opt import fx  # noqa: F401
    with pytest.raises(AttributeError, match=r"^module 'tinygrad_opt' has no attribute 'zeross'"):
        tg.zeross  # noqa: B018
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'tinygrad_opt.nonsense'"):
        import tinygrad_opt.nonsense  # noqa: F401
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nonsense'"):
        tg.ones(1).nonsense  # noqa: B018
    assert not hasattr(tg, "fx")


def test_misspelled_names_of_ours_are_still_suggested():
    code = "import tinygrad_opt as t; t.zeross"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Did you mean: 'zeros'?" in done.stderr


def test_names_of_pytorchs_are_not_suggested_others():
    code = "import tinygrad_opt as t; t.ao"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "not part of tinygrad_opt" in done.stderr
    assert "Did you mean" not in done.stderr


def test_advice_is_about_names_of_pytorchs():
    every = {name for space in instead._names().values() for name in space}
    for pattern in instead.INSTEAD:
        if "*" in pattern:
            assert any(instead.instead(name) for name in every if pattern.strip("*") in name)
        elif pattern not in ("compile", "compiler"):
            assert pattern in every, pattern


LATER = """
import tinygrad_opt as torch
print(torch.autograd.functional.jacobian(lambda a: a**2, torch.ones(1)).item())
from tinygrad_opt.distributions.binomial import Binomial
print(Binomial is torch.distributions.Binomial is torch.distributions.binomial.Binomial)
print(hasattr(torch.autograd, "profiler"))
"""


def test_modules_are_there_before_somebody_imports_them():
    done = subprocess.run(
        [sys.executable, "-c", LATER], capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["2.0", "True", "False"], done.stderr
