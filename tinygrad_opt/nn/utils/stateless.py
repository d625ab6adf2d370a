"""`functional_call` under its older name; see `tinygrad_opt.func`."""

from ...func.stateless import functional_call

__all__ = ["functional_call"]
