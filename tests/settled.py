"""Waiting for what is compiled beside a test, which would count as the test's own memory."""

from tinygrad_opt.kernels.pool import ahead


def settled():
    """Wait until nothing is made any more."""
    while (thread := ahead._thread) is not None:
        thread.join()
