"""A stand-in for CuPy over NumPy memory: the device code of the library runs without a GPU.

It is as strict as CuPy 14 where it matters, and offers no name, keyword or method that CuPy lacks
(the tables below were checked against `dir` and the signatures of CuPy 14.2):

- results are device arrays, 0-d ones too; nothing becomes a NumPy array unasked;
- a NumPy array next to a device array is a TypeError, except as an index or in `asarray`;
- integer index arrays wrap around where NumPy raises; views of broadcasts can be written to;
- floating-point errors give no warnings;
- in the capture of a graph (`standin_graphs.py`) nothing is computed, and what CuPy cannot capture
  is refused.

The array class derives from that of numba-cuda's simulator, so that kernels accept it. The real
one is `cupy.ndarray`; this one is called FakeCUDAArray because the kernels look for that name.
"""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import standin_graphs as graphs
from numba.cuda.simulator import kernel as simulator
from numba.cuda.simulator.cudadrv import devicearray

from tinygrad_opt.arrays import element_types

# What CuPy has, of what the library calls: name -> the keywords it takes there.
FUNCTIONS = {
    "amax": "a axis out keepdims", "amin": "a axis out keepdims", "angle": "z deg",
    "arange": "start stop step dtype",
    "array": "obj dtype copy order subok ndmin blocking",
    "argmax": "a axis dtype out keepdims", "argmin": "a axis dtype out keepdims",
    "argsort": "a axis kind", "ascontiguousarray": "a dtype", "bincount": "x weights minlength",
    "broadcast_to": "array shape", "cumprod": "a axis dtype out",
    "diagonal": "a offset axis1 axis2",
    "isin": "element test_elements assume_unique invert", "may_share_memory": "a b max_work",
    "moveaxis": "a source destination", "nan_to_num": "x copy nan posinf neginf",
    "prod": "a axis dtype out keepdims", "repeat": "a repeats axis", "roll": "a shift axis",
    "sinc": "x",
    "clip": "a a_min a_max out",
    "concatenate": "tup axis out dtype casting", "copy": "a order", "cumsum": "a axis dtype out",
    "dot": "a b out", "eye": "N M k dtype order", "empty": "shape dtype order",
    "expand_dims": "a axis", "flip": "a axis",
    "full": "shape fill_value dtype order", "full_like": "a fill_value dtype order subok shape",
    "isclose": "a b rtol atol equal_nan",
    "max": "a axis out keepdims", "mean": "a axis dtype out keepdims",
    "meshgrid": "indexing sparse copy", "nonzero": "a", "ones": "shape dtype order",
    "ones_like": "a dtype order subok shape", "ravel_multi_index": "multi_index dims mode order",
    "result_type": "", "round": "a decimals out", "searchsorted": "a v side sorter",
    "stack": "tup axis out dtype casting",
    "sum": "a axis dtype out keepdims", "swapaxes": "a axis1 axis2",
    "tril": "m k", "triu": "m k", "take": "a indices axis out",
    "take_along_axis": "a indices axis", "transpose": "a axes",
    "unique": "ar return_index return_inverse return_counts axis",
    "tri": "N M k dtype", "where": "condition x y", "zeros": "shape dtype order",
    "zeros_like": "a dtype order subok shape",
}  # fmt: skip
LINALG = {
    "cholesky": "a", "det": "a", "eig": "a", "eigh": "a UPLO", "eigvalsh": "a UPLO", "inv": "a",
    "pinv": "a rcond",
    "qr": "a mode", "slogdet": "a", "solve": "a b", "svd": "a full_matrices compute_uv",
}  # fmt: skip
FFT = dict.fromkeys(("fft", "ifft", "irfft", "rfft"), "a n axis norm")
UFUNCS = [
    "conj", "conjugate", "frexp", "ldexp",
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cosh", "exp2",
    "fmod", "gcd", "hypot", "lcm", "left_shift", "logaddexp", "logaddexp2", "logical_xor",
    "right_shift", "signbit", "sinh", "tan", "trunc",
    "abs", "absolute", "add", "bitwise_and", "bitwise_or", "bitwise_xor", "ceil", "copysign", "cos",
    "divide", "equal", "exp", "expm1", "floor", "floor_divide", "greater", "greater_equal",
    "invert", "isfinite", "isinf", "isnan", "less", "less_equal", "log", "log10", "log1p", "log2",
    "logical_and", "logical_not", "logical_or", "matmul", "maximum", "minimum", "multiply",
    "negative", "not_equal", "power", "remainder", "sign", "sin", "sqrt", "square", "subtract",
    "tanh", "true_divide",
]  # fmt: skip
METHODS = {
    "all": "axis out keepdims", "any": "axis out keepdims", "argmax": "axis out dtype keepdims",
    "argmin": "axis out dtype keepdims", "astype": "dtype order casting subok copy",
    "clip": "min max out", "copy": "order", "cumsum": "axis dtype out", "dot": "b out",
    "max": "axis out keepdims", "mean": "axis dtype out keepdims", "min": "axis out keepdims",
    "nonzero": "", "prod": "axis dtype out keepdims", "ravel": "order",
    "repeat": "repeats axis", "reshape": "order copy",
    "squeeze": "axis", "sum": "axis dtype out keepdims", "swapaxes": "axis1 axis2",
    "transpose": "", "view": "dtype type",
}  # fmt: skip
OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide",
    "floordiv": "floor_divide", "mod": "remainder", "pow": "power", "matmul": "matmul",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor",
}  # fmt: skip
COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip


def _raw(x):
    """The NumPy array behind a device array; CuPy's TypeError for what it does not take."""
    if isinstance(x, FakeCUDAArray):
        return x._ary
    if isinstance(x, (list, tuple)):
        return type(x)(_raw(part) for part in x)
    if isinstance(x, (int, float, complex, str, np.generic, np.dtype, type)) or x is None:
        return x
    if isinstance(x, element_types.dtype):
        return x.dtype  # what NumPy takes it for, whom CuPy asks
    raise TypeError(f"Unsupported type {type(x)}")


def _device(y, *sources):
    """What NumPy returned as CuPy returns it: device arrays, which know whose memory they view."""
    if isinstance(y, (tuple, list)):
        return tuple(_device(part, *sources) for part in y)
    if not isinstance(y, (np.ndarray, np.generic)):
        return y
    for source in sources:
        if isinstance(source, FakeCUDAArray):
            if y is source._ary:
                return source
            if isinstance(y, np.ndarray) and np.may_share_memory(y, source._ary):
                return FakeCUDAArray(y, source if source.base is None else source.base)
    return FakeCUDAArray(np.asarray(y))


def _called(function, keywords, args, kwargs):
    unknown = kwargs.keys() - set(keywords.split())
    if unknown:
        raise TypeError(f"{function.__name__}() got an unexpected keyword argument {min(unknown)}")
    if function in LIBRARY_CALLS:
        graphs.refuse_library(LIBRARY_CALLS[function])
    if function in TRANSFERS:
        graphs.refuse_transfer(TRANSFERS[function])
    raw = [_raw(x) for x in args]
    with np.errstate(all="ignore"):
        y = graphs.call(function, raw, {name: _raw(x) for name, x in kwargs.items()})
    return _device(y, *args, *kwargs.values())


LIBRARY_CALLS = dict.fromkeys((np.dot, np.matmul, np.ndarray.dot), "cuBLAS")
LIBRARY_CALLS |= dict.fromkeys([getattr(np.linalg, name) for name in LINALG], "cuSOLVER")
# The host has to know how many there are; and what is made of numbers of the host.
TRANSFERS = dict.fromkeys((np.nonzero, np.unique, np.ndarray.nonzero), "D2H") | {np.array: "H2D"}


def _functions(module, table):
    """The functions of a table, by those of a module of NumPy."""

    def made(name):
        def function(*args, **kwargs):
            return _called(getattr(module, name), table[name], args, kwargs)

        return function

    return {name: made(name) for name in table}


class Ufunc:
    """An element-wise function; few of NumPy's ufunc methods are there."""

    def __init__(self, name):
        self.numpy = getattr(np, name)

    def __call__(self, *args, **kwargs):
        return _called(self.numpy, "out casting dtype", args, kwargs)

    def at(self, a, indices, b=None):
        if self.numpy not in (np.add, np.subtract, np.maximum, np.minimum):
            raise NotImplementedError(f"`{self.numpy.__name__}.at` is not supported yet")
        if a.dtype not in (np.int32, np.float16, np.float32, np.float64, np.uint32, np.uint64):
            raise TypeError(f"atomic operations on {a.dtype} are not supported")
        index = _unpacked(indices)
        graphs.write(lambda x, y: self.numpy.at(x, _wrapped(x, index), y), a._ary, _raw(b))

    def reduce(self, array, axis=0, dtype=None, out=None, keepdims=False):
        if self.numpy not in (np.add, np.multiply):
            raise NotImplementedError(f"`{self.numpy.__name__}.reduce` is not supported yet")
        method = array.sum if self.numpy is np.add else array.prod
        return method(axis, dtype, out, keepdims)


def _wrapped(array, index):
    """An index for NumPy: host and device arrays alike, integer arrays wrapped around."""
    parts, axis = [], 0
    tuple_ = index if isinstance(index, tuple) else (index,)
    taken = sum(_axes(part) for part in tuple_)
    for part in tuple_:
        part = part._ary if isinstance(part, FakeCUDAArray) else part
        if isinstance(part, list):
            part = np.asarray(part)
        if isinstance(part, np.ndarray) and part.dtype.kind in "iu" and axis < array.ndim:
            part = part % max(array.shape[axis], 1)
        elif isinstance(part, np.ndarray) and part.dtype.kind == "f":
            raise IndexError("arrays used as indices must be of integer or boolean type")
        parts.append(part)
        axis += array.ndim - taken if part is Ellipsis else _axes(part)
    return tuple(parts) if isinstance(index, tuple) else parts[0]


def _unpacked(index):
    """An index with the memory of its device arrays, whose values are looked at later."""
    if isinstance(index, tuple):
        return tuple(map(_unpacked, index))
    return index._ary if isinstance(index, FakeCUDAArray) else index


def _is_advanced(index):
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, (list, np.ndarray, FakeCUDAArray)) for part in parts)


def _axes(part):
    """How many axes a part of an index takes."""
    if part is None or part is Ellipsis:
        return 0
    dtype = getattr(part, "dtype", None)
    return part.ndim if dtype is not None and dtype.kind == "b" else 1


class PooledMemory:
    """Memory that CuPy took from its own pool."""


class UnownedMemory:
    """Memory that belongs to another library."""


class FakeCUDAArray(devicearray.FakeCUDAArray):
    """`cupy.ndarray`, on NumPy memory that views share."""

    __module__ = "cupy"
    __array_priority__ = 100
    __hash__ = None

    def __init__(self, ary, base=None, foreign=False):
        super().__init__(ary)
        self.base, self.foreign = base, foreign
        if base is None:
            graphs.owned(self)

    def __getattr__(self, name):  # the simulator's class would pass on anything NumPy has
        raise AttributeError(f"'cupy.ndarray' object has no attribute {name!r}")

    dtype = property(lambda self: self._ary.dtype)
    shape = property(lambda self: self._ary.shape)
    ndim = property(lambda self: self._ary.ndim)
    size = property(lambda self: self._ary.size)
    strides = property(lambda self: self._ary.strides)
    itemsize = property(lambda self: self._ary.itemsize)
    nbytes = property(lambda self: self._ary.nbytes)
    T = property(lambda self: _device(self._ary.T, self))
    real = property(lambda self: _device(self._ary.real, self))
    device = property(lambda self: SimpleNamespace(id=0))

    @property
    def imag(self):
        """A view; of real numbers new zeros."""
        y = self._ary.imag
        return _device(y, self) if self.dtype.kind == "c" else _device(y.copy())

    @property
    def data(self):
        """The memory: an address, and who owns it (another library's: `UnownedMemory`)."""
        owner = self if self.base is None else self.base
        mem = UnownedMemory() if owner.foreign else PooledMemory()
        return SimpleNamespace(ptr=self._ary.ctypes.data, mem=mem)

    @property
    def flags(self):
        flags = self._ary.flags
        return SimpleNamespace(
            c_contiguous=flags.c_contiguous, f_contiguous=flags.f_contiguous, owndata=flags.owndata
        )

    @property
    def __cuda_array_interface__(self):
        return {**self._ary.__array_interface__, "version": 3, "stream": 1}

    def __dlpack__(self, **how):
        known = {name: value for name, value in how.items() if name not in ("stream", "dl_device")}
        return self._ary.__dlpack__(**known)

    def __dlpack_device__(self):
        return (2, 0)  # kDLCUDA

    def get(self):
        return self._on_host().copy()

    def item(self):
        return self._on_host().item()

    def tolist(self):
        return self._on_host().tolist()

    def _on_host(self):
        if simulator._get_kernel_context() is None:
            graphs.refuse_transfer("D2H")
        return self._ary

    def fill(self, value):
        value = value._ary if isinstance(value, FakeCUDAArray) else np.asarray(value)
        if value.shape:
            raise ValueError("non-scalar numpy.ndarray cannot be used for fill")
        graphs.write(self._ary.fill, value)

    def __getitem__(self, index):
        if simulator._get_kernel_context() is not None:
            return self._ary[index]  # inside a kernel an element is a scalar
        parts = index if isinstance(index, tuple) else (index,)
        if any(getattr(part, "dtype", np.dtype(int)).kind == "b" for part in parts):
            graphs.refuse_transfer("D2H")  # how many there are
        index = _unpacked(index)
        return _device(
            graphs.call(lambda x: self._at(x, _wrapped(x, index)), [self._ary], {}), self
        )

    @staticmethod
    def _at(ary, index):
        """What lies at an index; a view even of a single element, as in CuPy."""
        y = ary[index]
        if isinstance(y, np.generic) and not _is_advanced(index):
            y = ary[(*index, ...) if isinstance(index, tuple) else (index, ...)]
        return y

    def __setitem__(self, index, value):
        if simulator._get_kernel_context() is None:
            if not _is_advanced(index) and not isinstance(value, FakeCUDAArray):
                return self[index].fill(value)
            index = _unpacked(index)
            value = value._ary if isinstance(value, FakeCUDAArray) else value
            graphs.write(lambda x, y: x.__setitem__(_wrapped(x, index), y), self._ary, value)
            return
        self._ary[index] = value

    def __array__(self, dtype=None, copy=None):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. "
            "Please use `.get()` to construct a NumPy array explicitly."
        )

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        function = getattr(sys.modules["cupy"], ufunc.__name__, None)
        if method != "__call__":
            function = getattr(function, method, None)
        known = (int, float, complex, np.generic, np.ndarray, FakeCUDAArray)
        if function is None or not all(isinstance(x, known) for x in inputs):
            return NotImplemented
        if "out" in kwargs:
            kwargs["out"] = kwargs["out"][0]
        if ufunc.__name__ in COMPARISONS.values():
            inputs = [x.item() if isinstance(x, np.ndarray) and not x.ndim else x for x in inputs]
        return function(*inputs, **kwargs)

    def __array_function__(self, func, types, args, kwargs):
        function = getattr(sys.modules["cupy"], func.__name__, None)
        if function is None or not all(issubclass(t, (np.ndarray, FakeCUDAArray)) for t in types):
            return NotImplemented
        return function(*args, **kwargs)

    def __reduce__(self):
        return asarray, (self.get(),)

    def __len__(self):
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return len(self._ary)

    def __iter__(self):
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(len(self)))

    def __bool__(self):
        return bool(self._on_host())

    def __int__(self):
        return int(self._on_host())

    def __float__(self):
        return float(self._on_host())

    def __format__(self, spec):
        return format(self._on_host(), spec)

    def __neg__(self):
        return np.negative(self)

    def __abs__(self):
        return np.abs(self)

    def __invert__(self):
        return np.invert(self)


def _method(name):
    def method(self, *args, **kwargs):
        bound = getattr(np.ndarray, name)
        return _called(bound, METHODS[name], (self, *args), kwargs)

    return method


def _defers(x, y):
    """Whether `x op y` is left to y, as CuPy decides it: Tensors have the higher priority."""
    if hasattr(y, "__array_ufunc__"):
        return y.__array_ufunc__ is None
    return getattr(y, "__array_priority__", 0) > x.__array_priority__


def _operator(ufunc, reflected=False):
    def operator(self, other):
        if _defers(self, other):
            return NotImplemented
        return ufunc(other, self) if reflected else ufunc(self, other)

    return operator


def _in_place(ufunc):
    return lambda self, other: ufunc(self, other, out=self)


for _name in METHODS:
    setattr(FakeCUDAArray, _name, _method(_name))
for _name, _ufunc in OPERATORS.items():
    setattr(FakeCUDAArray, f"__{_name}__", _operator(getattr(np, _ufunc)))
    setattr(FakeCUDAArray, f"__r{_name}__", _operator(getattr(np, _ufunc), reflected=True))
    if _name != "matmul":
        setattr(FakeCUDAArray, f"__i{_name}__", _in_place(Ufunc(_ufunc)))
for _name, _ufunc in COMPARISONS.items():
    setattr(FakeCUDAArray, f"__{_name}__", _operator(getattr(np, _ufunc)))


def asarray(a, dtype=None):
    """The one way in: a copy of host memory, or the device array itself."""
    if isinstance(a, FakeCUDAArray):
        return a if dtype in (None, a.dtype) else a.astype(dtype)
    if hasattr(a, "__cuda_array_interface__"):
        interface = SimpleNamespace(__array_interface__=a.__cuda_array_interface__, owner=a)
        return asarray(FakeCUDAArray(np.asarray(interface), foreign=True), dtype)
    graphs.refuse_transfer("H2D")
    return FakeCUDAArray(np.array(a, dtype))


def asnumpy(a):
    """The one way out, beside `get`: a copy in host memory."""
    return a.get() if isinstance(a, FakeCUDAArray) else np.asarray(a)


def from_dlpack(array):
    """Another library's array on the device, its memory shared."""
    found = np.from_dlpack(OnHost(array))
    if not found.flags.writeable:  # NumPy's before 2.2; CuPy's can be written
        told = found.__array_interface__
        told = {**told, "data": (told["data"][0], False)}
        found = np.asarray(SimpleNamespace(__array_interface__=told, memory=found))
    return FakeCUDAArray(found, foreign=True)


class OnHost:
    """What NumPy is told of a stand-in's memory; older ones ask the class, not the instance."""

    def __init__(self, array):
        self._array = array

    def __dlpack__(self, **how):
        return self._array.__dlpack__(**how)

    def __dlpack_device__(self):
        return (1, 0)  # kDLCPU


def _where(condition, *choices):
    if isinstance(condition, bool):
        raise AttributeError("'bool' object has no attribute 'astype'")
    return _called(np.where, FUNCTIONS["where"], (condition, *choices), {})


def _broadcast_to(array, shape):
    view = np.broadcast_to(_raw(array), shape)
    writable = np.lib.stride_tricks.as_strided(array._ary, view.shape, view.strides)
    return _device(writable, array)


def _diagonal(a, offset=0, axis1=0, axis2=1):
    view = np.diagonal(a._ary, offset, axis1, axis2)
    view.flags.writeable = True  # as CuPy's is
    return _device(view, a)


def _special(function):
    """A function of `cupyx.scipy.special`, by the library's own for the host."""

    def on_device(*args):
        return _device(graphs.call(function, [_raw(x) for x in args], {}))

    return on_device


def _number(n):
    """The order of polygamma: CuPy compares it with 0 and selects by that, so an array."""
    if not isinstance(n, np.ndarray):
        raise AttributeError(f"{type(n).__name__!r} object has no attribute 'astype'")
    return int(n)


def _as_strided(x, shape=None, strides=None):
    return _device(np.lib.stride_tricks.as_strided(x._ary, shape, strides), x)


class Device:
    """`cupy.cuda.Device`: this machine has one, number 0."""

    def __init__(self, device=None):
        if device not in (None, 0):
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        self.id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


_run_kernel = simulator.FakeCUDAKernel.__call__


def _launched(kernel, *args):
    """A launch of a kernel; in a capture it is noted, with the memory of its arrays."""
    if kernel._device or simulator._get_kernel_context() is not None:
        return _run_kernel(kernel, *args)
    grid, block = kernel.grid_dim, kernel.block_dim
    raw = [x._ary if isinstance(x, FakeCUDAArray) else x for x in args]

    def launch():
        given = [FakeCUDAArray(x, base=x) if isinstance(x, np.ndarray) else x for x in raw]
        _run_kernel(kernel[grid, block], *given)

    if graphs.state.calls is not None:
        return graphs.write(launch)
    graphs.flush()
    return _run_kernel(kernel, *args)


def install():
    """Make `import cupy` and `import cupyx` find the stand-in, in this process."""
    from tinygrad_opt.kernels import cublas
    from tinygrad_opt.kernels.fused import bessel, gamma
    from tinygrad_opt.kernels.fused import special as host

    simulator.FakeCUDAKernel.__call__ = _launched
    cublas._found = graphs.Cublas
    cupy = ModuleType("cupy")
    vars(cupy).update(_functions(np, FUNCTIONS))
    vars(cupy).update({name: Ufunc(name) for name in UFUNCS})
    vars(cupy).update(
        ndarray=FakeCUDAArray, asarray=asarray, asnumpy=asnumpy, broadcast_to=_broadcast_to,
        diagonal=_diagonal, from_dlpack=from_dlpack, where=_where,
        float32=np.float32, float64=np.float64,
        lib=SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=_as_strided)),
        fft=SimpleNamespace(**_functions(np.fft, FFT)),
        linalg=SimpleNamespace(**_functions(np.linalg, LINALG)),
        cuda=SimpleNamespace(Device=Device, **graphs.CUDA),
    )  # fmt: skip
    special = ModuleType("cupyx.scipy.special")
    special.erf, special.erfc = _special(host.erf), _special(host.erfc)
    special.erfinv, special.gammaln = _special(host.erfinv), _special(host.lgamma)
    special.polygamma = _special(lambda n, x: host.polygamma(x, _number(n)))
    for name in ("erfcx", "i0", "i0e", "i1", "i1e", "log_ndtr", "ndtri", "zeta"):
        setattr(special, name, _special(getattr(bessel, name)))
    special.gammainc, special.gammaincc = _special(gamma.igamma), _special(gamma.igammac)
    sys.modules["cupy"] = cupy
    for name in ("cupyx", "cupyx.scipy"):
        sys.modules[name] = ModuleType(name)
    sys.modules["cupyx.scipy.special"] = special
    return cupy
