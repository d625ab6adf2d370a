"""What scripts set and ask of PyTorch's libraries: kept and told back, for there is nothing to set.

`torch.backends.cudnn.benchmark = True` stands at the head of many scripts. Kernels here are this
project's own, in one version and the same from run to run, so a flag changes nothing; those that
ask what there is get a true answer.
"""

from __future__ import annotations

import platform
from types import SimpleNamespace

from . import cuda, cudnn, mps

__all__ = ["cpu", "cuda", "cudnn", "cusparselt", "mha", "mkl", "mkldnn", "mps", "openmp"]

mkl = SimpleNamespace(is_available=lambda: False)
mkldnn = SimpleNamespace(
    is_available=lambda: False, enabled=True, deterministic=False, allow_tf32=True
)
openmp = SimpleNamespace(is_available=lambda: False)
cusparselt = SimpleNamespace(is_available=lambda: False, version=lambda: None)
cpu = SimpleNamespace(get_cpu_capability=platform.machine)
mha = SimpleNamespace(get_fastpath_enabled=lambda: True, set_fastpath_enabled=lambda value: None)
