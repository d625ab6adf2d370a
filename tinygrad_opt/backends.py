"""What scripts set and ask of PyTorch's libraries: kept and told back, for there is nothing to set.

`torch.backends.cudnn.benchmark = True` stands at the head of many scripts. Kernels here are this
project's own, in one version and the same from run to run, so a flag changes nothing; those that
ask what there is get a true answer. A name that PyTorch does not have is an AttributeError.
"""

from __future__ import annotations

import contextlib
import platform
from collections.abc import Iterator
from typing import Any

from .arrays import device

__all__ = ["cpu", "cuda", "cudnn", "cusparselt", "mha", "mkl", "mkldnn", "mps", "openmp"]


class Flags:
    """Flags by PyTorch's names, which are kept and change nothing; and answers, by `answers`."""

    def __init__(self, name: str, answers: dict[str, Any] | None = None, **flags: Any) -> None:
        self.__dict__.update(_name=name, _flags=flags, _answers=answers or {})

    def __getattr__(self, name: str) -> Any:
        if name in self._answers:
            return self._answers[name]
        if name in self._flags:
            return self._flags[name]
        raise AttributeError(self._unknown(name))

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self._flags:
            raise AttributeError(self._unknown(name))
        self._flags[name] = value

    def _unknown(self, name: str) -> str:
        known = ", ".join(sorted([*self._flags, *self._answers]))
        return f"torch.backends.{self._name} has no {name!r} here; it has {known}"

    def __dir__(self) -> list[str]:
        return [*self._flags, *self._answers]

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value!r}" for name, value in self._flags.items())
        return f"<flags of torch.backends.{self._name}, which change nothing here: {values}>"

    @contextlib.contextmanager
    def flags(self, **values: Any) -> Iterator[None]:
        """Other values within a `with` block; names that there are none of are taken as well."""
        before = dict(self._flags)
        self._flags.update({name: v for name, v in values.items() if name in before})
        try:
            yield
        finally:
            self._flags.update(before)


def _answer(value: Any) -> Any:
    return lambda *args: value


_no, _none = _answer(False), _answer(None)


cudnn = Flags(
    "cudnn", {"is_available": device.is_available, "version": _none, "is_acceptable": _no},
    enabled=True, benchmark=False, deterministic=False, allow_tf32=True, benchmark_limit=10,
    fp32_precision="none",
)  # fmt: skip
mps = Flags("mps", {"is_available": _no, "is_built": _no, "is_macos_or_newer": _no,
                    "is_macos13_or_newer": _no})  # fmt: skip
mkl = Flags("mkl", {"is_available": _no})
mkldnn = Flags("mkldnn", {"is_available": _no}, enabled=True, deterministic=False, allow_tf32=True)
openmp = Flags("openmp", {"is_available": _no})
cusparselt = Flags("cusparselt", {"is_available": _no, "version": _none})
cpu = Flags("cpu", {"get_cpu_capability": platform.machine})
mha = Flags("mha", {"get_fastpath_enabled": _answer(True), "set_fastpath_enabled": _none})


class _Cuda(Flags):
    """The flags of products and attention on a GPU."""

    @contextlib.contextmanager
    def sdp_kernel(self, **which: bool) -> Iterator[None]:
        """There is one kernel of attention: the choice changes nothing."""
        yield


_matmul = Flags(
    "cuda.matmul", allow_tf32=False, allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True, allow_fp16_accumulation=False,
    fp32_precision="none",
)  # fmt: skip
_switches = {
    f"{verb}_{which}_sdp{end}": _answer(True) if end else _none
    for which in ("flash", "mem_efficient", "math", "cudnn")
    for verb, end in (("enable", ""),)
}
_switches |= {
    f"{which}_sdp_enabled": _answer(which == "math")
    for which in ("flash", "mem_efficient", "math", "cudnn")
}
cuda = _Cuda(
    "cuda", {"is_built": device.is_available, "matmul": _matmul, **_switches},
    preferred_linalg_library="default",
)  # fmt: skip
