"""Checkpoints of a whole training run: to be interrupted at any moment and to go on bit for bit."""

from __future__ import annotations

import copy
import os
import re
import warnings
from pathlib import Path
from typing import Any

from ..arrays import random
from ..serialization import CheckpointError, load, save

__all__ = ["CheckpointError", "Checkpoints", "take_over"]

_FILE = re.compile(r"step-(\d+)\.safetensors")


class Checkpoints:
    """A folder of checkpoints: the state of all parts of a run, and of the random generator.

    folder: made if it is not there.  keep: how many of the newest files stay; None for all.
    parts: by name, whatever has `state_dict()` and `load_state_dict()`: model, optimizer,
    scheduler, data loader, averaged model.

    A checkpoint is one safetensors file, written aside and renamed into place, so that an
    interrupted save costs nothing. PyTorch finds the weights in it as "model.<name>".

    >>> import tempfile
    >>> from tinygrad_opt import nn, optim
    >>> model = nn.Linear(2, 1)
    >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
    >>> checkpoints = Checkpoints(tempfile.mkdtemp(), model=model, optimizer=optimizer)
    >>> _ = checkpoints.save(step=10, epoch=2)
    >>> checkpoints.restore()
    {'step': 10, 'epoch': 2}
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, keep: int | None = 3, **parts: Any
    ) -> None:
        if keep is not None and keep < 1:
            raise ValueError(f"Checkpoints: keep must be at least 1, or None for all, got {keep}")
        for name, part in parts.items():
            if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
                raise TypeError(
                    f"Checkpoints: {name} must have state_dict() and load_state_dict(), but is a "
                    f"{type(part).__name__}. Plain values go to save(step, name=value)"
                )
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keep = keep
        self.parts = parts

    def save(self, step: int, **values: Any) -> Path:
        """Writes a checkpoint, removes those beyond `keep`, and returns the file's path.

        values: anything else to find again at `restore`: epoch, best loss.
        """
        content = {
            **{name: part.state_dict() for name, part in self.parts.items()},
            "random": random.state_of(random.current()),
            "values": {"step": step, **values},
        }
        path = self._path(step)
        save(content, path)
        for old in self.steps()[: -self.keep] if self.keep else ():
            if old != step:
                self._path(old).unlink(missing_ok=True)
        for left in self.folder.glob(".step-*.tmp"):  # of a process that was killed while writing
            left.unlink(missing_ok=True)
        return path

    def restore(self, step: int | None = None) -> dict[str, Any] | None:
        """Puts all parts where the newest checkpoint (or that of `step`) found them.

        Returns the values given to `save`, "step" among them; None if there is no checkpoint yet.
        A newest file that is damaged is passed over with a warning.
        Raises CheckpointError if none can be read, FileNotFoundError for a `step` that is not
        there, and what a part raises that the state does not fit; then no part has changed.
        """
        content = self.read(step)
        return None if content is None else take_over(content, self.parts)

    def read(self, step: int | None = None) -> dict[str, Any] | None:
        """What the newest checkpoint holds, or that of `step`; None if there is none yet.

        Raises as `restore` does for what cannot be read.
        """
        content: dict[str, Any] | None
        content = self._newest() if step is None else load(self._path(step))
        return content

    def steps(self) -> list[int]:
        """The steps there are checkpoints of, in order."""
        names = (_FILE.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match.group(1)) for match in names if match)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.safetensors"

    def _newest(self) -> Any:
        """The content of the newest file that can be read; None if there is none at all."""
        error: CheckpointError | None = None
        for step in reversed(self.steps()):
            try:
                content = load(self._path(step))
            except CheckpointError as damaged:
                error = error or damaged
                warnings.warn(f"{damaged}; trying the one before", stacklevel=3)
            else:
                return content
        if error is not None:
            raise error
        return None


def take_over(content: dict[str, Any], parts: dict[str, Any]) -> dict[str, Any]:
    """Put all parts where a checkpoint found them; the values that were saved beside them.

    A part that gathers its state from several processes comes last, and cannot be put back.
    """
    missing = [name for name in (*parts, "random", "values") if name not in content]
    if missing:
        raise CheckpointError(
            f"the checkpoint has no {', '.join(missing)}; it has {', '.join(content)}"
        )
    last = [name for name, part in parts.items() if hasattr(part, "consolidate_state_dict")]
    first = [name for name in parts if name not in last]
    before = {name: copy.deepcopy(parts[name].state_dict()) for name in first}
    done: list[str] = []
    try:
        for name in (*first, *last):
            if name in before:
                done.append(name)
            parts[name].load_state_dict(content[name])
    except BaseException:
        for name in done:
            parts[name].load_state_dict(before[name])
        raise
    random.set_rng_state(content["random"])
    values: dict[str, Any] = content["values"]
    return values
