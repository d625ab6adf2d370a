"""An earlier name of what stands in `tinygrad_opt/arrays/`."""

from .arrays.device import Device, device_of, is_available, to_device
from .arrays.namespace import Namespace, is_writable
from .arrays.xp import array_namespace, xp, xp_of

__all__ = ["Device", "Namespace", "array_namespace", "device_of", "is_available", "is_writable",
           "to_device", "xp", "xp_of"]  # fmt: skip
