"""`SummaryWriter`, as `torch.utils.tensorboard`: over tensorboardX's, with this package's tensors.

    pip install 'tinygrad_opt[tensorboard]'

It is loaded when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.tensor import Tensor
from ..optional import need

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Writes scalars, histograms, images and so on where TensorBoard reads them.

    The arguments and methods are those of tensorboardX's writer, which does the work: `add_scalar`,
    `add_scalars`, `add_histogram`, `add_image(s)`, `add_figure`, `add_text`, `add_embedding`,
    `add_pr_curve`, `add_hparams`, `add_video`, `flush`, `close` ... Tensors of this package are
    taken everywhere, in lists and dictionaries too. `add_graph` is not offered: `draw_graph` draws.
    Raises ImportError without tensorboardX, NotImplementedError for `add_graph`.
    """

    def __init__(
        self, log_dir: Any = None, comment: str = "", purge_step: int | None = None,
        max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = "", **kwargs: Any,
    ) -> None:  # fmt: skip
        module = need("tensorboardX", "tensorboard", "SummaryWriter")
        self._writer = module.SummaryWriter(
            logdir=None if log_dir is None else str(log_dir), comment=comment,
            purge_step=purge_step, max_queue=max_queue, flush_secs=flush_secs,
            filename_suffix=filename_suffix, **kwargs,
        )  # fmt: skip

    @property
    def log_dir(self) -> str:
        """The folder that is written to."""
        return self._writer.logdir

    def get_logdir(self) -> str:
        """The folder that is written to."""
        return self.log_dir

    def add_graph(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: raises NotImplementedError."""
        raise NotImplementedError(
            "SummaryWriter.add_graph traces PyTorch's modules only; use tinygrad_opt.draw_graph"
        )

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name == "_writer":  # before __init__ has set it: in copies
            raise AttributeError(name)
        method = getattr(self._writer, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            return method(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

        call.__name__, call.__doc__ = name, method.__doc__
        return call

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._writer.close()


def _plain(value: Any) -> Any:
    """The value with arrays in the place of Tensors, numbers where they are 0-d."""
    if isinstance(value, Tensor):
        return value.item() if value.ndim == 0 else value.detach().cpu().numpy()
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(map(_plain, value))
    return value
