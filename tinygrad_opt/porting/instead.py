"""What to use instead of PyTorch's names that are not here; docs/from_pytorch.md has the list.

`pytorch_names.py` holds all of PyTorch's public names, and is read only when one is not found.
"""

from __future__ import annotations

import functools
from fnmatch import fnmatchcase

__all__ = ["INSTEAD", "SPACES", "instead", "is_pytorchs", "text"]

PAGE = "docs/from_pytorch.md#missing"

# Where names are asked for: modules of the package, and the class Tensor.
SPACES = (
    "", "Tensor", "autograd", "cuda", "func", "linalg", "nn", "nn.functional", "nn.init",
    "nn.modules", "nn.utils", "optim", "optim.lr_scheduler", "sparse", "utils", "utils.data",
)  # fmt: skip

# By name, or by how a name begins or ends (`*`): what does the work here.
INSTEAD = {
    "airy_ai": "use SciPy on .numpy(), or write it with autograd.op",
    "bessel_*": "use SciPy on .numpy(), or write it with autograd.op",
    "*_bessel_*": "use SciPy on .numpy(), or write it with autograd.op",
    "*_polynomial_*": "use its recurrence, in tensors",
    "hfft2": "use hfft along each axis", "hfftn": "use hfft along each axis",
    "ihfft2": "use ihfft along each axis", "ihfftn": "use ihfft along each axis",
    "register_custom_op_symbolic": "use onnx.export",
    "Wishart": "draw the factor from Normal and Chi2 (Bartlett)",
    "LKJCholesky": "draw the rows from Beta (onion method)",
    "ao": "keep float32; states of 16 bits save memory (optim, state_dtype=)",
    "as_strided_*": "index, or write to a copy",
    "classes": "write the operation with autograd.op or in Python",
    "complex32": "use complex64",
    "cudnn_*": "call the function of nn.functional",
    "compile": "a step is one fused kernel, and @update_rule compiles yours",
    "compiler": "a step is one fused kernel, and @update_rule compiles yours",
    "cond": "write `if`",
    "CUDAGraph": "cuda.make_graphed(step) captures a whole training step",
    "export": "store state_dict() with save()",
    "fake_quantize_*": "keep float32",
    "float8_*": "use float16 for storage, float32 for computation",
    "from_file": "use from_numpy(numpy.memmap(...))",
    "futures": "use concurrent.futures",
    "fx": "training.draw_graph and training.summary show a model",
    "graph": "cuda.make_graphed(step) captures a whole training step",
    "graph_pool_handle": "cuda.make_graphed(step) has memory of its own",
    "is_current_stream_capturing": "cuda.make_graphed(step) captures a whole training step",
    "load": "make the model from its class, and fetch weights: hub.load_state_dict_from_url",
    "library": "write the operation with autograd.op",
    "make_graphed_callables": "cuda.make_graphed(step) captures a whole training step",
    "masked": "use masked_fill, or where",
    "miopen_*": "call the function of nn.functional",
    "mkldnn*": "call the function of nn.functional",
    "model_zoo": "load weights with load()",
    "monitor": "use training.MetricsLog",
    "nccl": "distributed.init_process_group('nccl')",
    "nested": "pad, with a mask (nn.utils.rnn.pad_sequence)",
    "nvtx": "use a profiler of your system",
    "package": "store state_dict() with save()",
    "profiler": "use cProfile, or `python -m tinygrad_opt` for what is installed",
    "profiler*": "use cProfile",
    "qat": "keep float32",
    "quantization": "keep float32",
    "quantize*": "keep float32",
    "quantizable": "keep float32",
    "quantized": "keep float32",
    "quantized_*": "keep float32",
    "qint*": "use int8",
    "quint*": "use uint8",
    "q_*": "keep float32",
    "Stream": "work on the GPU is in one order already",
    "streams": "work on the GPU is in one order already",
    "current_stream": "call cuda.synchronize() to wait",
    "default_stream": "call cuda.synchronize() to wait",
    "sparse_*": "use sparse_coo_tensor",
    "to_sparse_*": "use to_sparse(), which lists coordinates",
    "to_mkldnn": "leave it out: kernels run on tensors as they are",
    "storage": "use untyped_storage(), or the array in .array",
    "*Storage": "use the array in .array",
    "ScriptModule": "jit.script returns the module itself",
    "sym_*": "use Python's numbers and operators",
    "Sym*": "use Python's numbers",
    "uint16": "use int32", "uint32": "use int64", "uint64": "use int64",
    "while_loop": "write `while`",
    "datapipes": "use Dataset, IterableDataset and DataLoader",
    "*DataPipe": "use Dataset, IterableDataset and DataLoader",
    "symeig": "use linalg.eigh",
    "eig": "use linalg.eigh for symmetric matrices",
    "lstsq": "use linalg.lstsq",
    "solve": "use linalg.solve",
    "matrix_rank": "use linalg.matrix_rank",
    "geqrf": "use linalg.qr", "orgqr": "use linalg.qr", "ormqr": "use linalg.qr",
    "lobpcg": "use linalg.eigh", "svd_lowrank": "use linalg.svd", "pca_lowrank": "use linalg.svd",
    "triangular_solve": "use linalg.solve_triangular",
    "stft": "frame the signal with unfold, and use fft",
    "istft": "use fft",
    "*_copy": "use the function without _copy, and clone() the result",
    "NLLLoss2d": "use NLLLoss", "Container": "use Module",
    "CrossMapLRN2d": "use LocalResponseNorm",
    "legacy_contiguous_format": "use contiguous_format",
    "range": "use arange, whose end is left out",
    "overrides": "subclass Module; Tensor has no __torch_function__",
    "functionalize": "the function is called as it is",
    "linearize": "use func.vjp",
    "map2_": "compute with tensors", "ipu": "use .cpu()", "xpu": "use .cpu()",
}  # fmt: skip


@functools.cache
def _names() -> dict[str, frozenset[str]]:
    from .pytorch_names import NAMES

    return {space: frozenset(names.split()) for space, names in NAMES.items()}


def is_pytorchs(space: str, name: str) -> bool:
    """Whether PyTorch has a public name there."""
    return name in _names().get(space, ())


def instead(name: str) -> str | None:
    """What to use instead of a name of PyTorch's; None if nothing is known."""
    if name in INSTEAD:
        return INSTEAD[name]
    for pattern, advice in INSTEAD.items():
        if "*" in pattern and fnmatchcase(name, pattern):
            return advice
    return None


def text(space: str, name: str) -> str:
    """What is said of a name that is not there; of PyTorch's, where to read on and what to use."""
    full = f"{space}.{name}" if space else name
    if not is_pytorchs(space, name):
        where = f"tinygrad_opt.{space}" if space else "tinygrad_opt"
        return f"module {where!r} has no attribute {name!r}"
    advice = instead(name)
    return f"{full} is not part of tinygrad_opt: see {PAGE}" + (
        f"; instead, {advice}" if advice else ""
    )
