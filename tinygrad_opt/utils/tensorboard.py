"""`SummaryWriter`, as `torch.utils.tensorboard`: over tensorboardX's, with this package's tensors.

    pip install 'tinygrad_opt[tensorboard]'

It is loaded when somebody asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.tensor import Tensor
from ..optional import need
from .tensorboard_graph import graph_of

__all__ = ["SummaryWriter"]


class SummaryWriter:
    """Writes scalars, histograms, images and so on where TensorBoard reads them.

    The arguments and methods are those of tensorboardX's writer, which does the work: `add_scalar`,
    `add_scalars`, `add_histogram`, `add_image(s)`, `add_figure`, `add_text`, `add_embedding`,
    `add_pr_curve`, `add_graph`, `add_video`, `flush`, `close` ... Tensors of this package are
    taken everywhere, in lists and dictionaries too. Raises ImportError without tensorboardX.
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

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False,
        use_strict_trace: bool = True,
    ) -> None:  # fmt: skip
        """The operations of a model, by running it on `input_to_model`: a Tensor, or several.

        `verbose` prints them; `use_strict_trace` changes nothing. Raises ValueError without an
        input, RuntimeError for a model that reads elements of its tensors.
        """
        if input_to_model is None:
            raise ValueError("add_graph: give the model's input: add_graph(model, images)")
        several = isinstance(input_to_model, (tuple, list))
        graph = graph_of(model, tuple(input_to_model) if several else (input_to_model,))
        if verbose:
            print(graph)
        events = need("tensorboardX.proto.event_pb2", "tensorboard", "SummaryWriter")
        event = events.Event(graph_def=graph.SerializeToString())
        self._writer._get_file_writer().add_event(event)

    def add_scalar(
        self, tag: str, scalar_value: Any, global_step: int | None = None,
        walltime: float | None = None, new_style: bool = False, double_precision: bool = False,
    ) -> None:  # fmt: skip
        """A number, or a Tensor of one element; the last two arguments change nothing."""
        self._writer.add_scalar(tag, _plain(scalar_value), global_step, walltime)

    def add_hparams(
        self, hparam_dict: dict[str, Any], metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, Any] | None = None, run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:  # fmt: skip
        """Settings of a run, and what came of them; `hparam_domain_discrete` is not written."""
        self._writer.add_hparams(_plain(hparam_dict), _plain(metric_dict), run_name, global_step)

    def add_tensor(self, *args: Any, **kwargs: Any) -> None:
        """Not offered: raises NotImplementedError."""
        raise NotImplementedError(
            "SummaryWriter.add_tensor: tensors are not written; use add_histogram or add_image"
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
