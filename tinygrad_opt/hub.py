"""Weights from the network, as `torch.hub`. It is loaded at first use.

Files are kept where PyTorch keeps them, so what one has fetched the other finds. Nothing in them is
ever executed; repositories, whose code would be, are not fetched.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import Request, urlopen

from .serialization import load as _load

__all__ = ["download_url_to_file", "get_dir", "load_state_dict_from_url", "set_dir"]

_HASH = re.compile(r"-([a-f0-9]{8,})\.")  # as in resnet18-f37072fd.pth
_chosen: Path | None = None


def get_dir() -> str:
    """The folder: that of `set_dir`, or hub/ in $TORCH_HOME, which is ~/.cache/torch by default."""
    if _chosen is not None:
        return str(_chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch") / "hub")


def set_dir(d: str | os.PathLike[str]) -> None:
    """Keeps files in the folder `d` from now on, in this process."""
    global _chosen
    _chosen = Path(d).expanduser()


def download_url_to_file(
    url: str, dst: str | os.PathLike[str], hash_prefix: str | None = None, progress: bool = True
) -> None:
    """Fetches `url` into the file `dst`, which is whole or not there.

    hash_prefix: with what the SHA-256 of the file has to begin. progress: accepted.
    Raises urllib.error.URLError where it cannot be fetched, RuntimeError for another hash.
    """
    target, digest = Path(dst).expanduser(), hashlib.sha256()
    request = Request(url, headers={"User-Agent": "tinygrad_opt.hub"})
    with (
        urlopen(request) as source,
        tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as part,
    ):
        try:
            while block := source.read(1 << 17):
                part.write(block)
                digest.update(block)
            part.close()
            if hash_prefix and not digest.hexdigest().startswith(hash_prefix):
                raise RuntimeError(
                    f"{url}: the file's SHA-256 is {digest.hexdigest()}, and should begin with "
                    f"{hash_prefix}: it is another file, or was damaged on the way"
                )
            shutil.move(part.name, target)
        finally:
            Path(part.name).unlink(missing_ok=True)


def load_state_dict_from_url(
    url: str, model_dir: str | os.PathLike[str] | None = None, map_location: Any = None,
    progress: bool = True, check_hash: bool = False, file_name: str | None = None,
    weights_only: bool = False,
) -> Any:  # fmt: skip
    """What `load` reads from the file at `url`, which is fetched if it is not there yet.

    model_dir: where it is kept (default: checkpoints/ in `get_dir()`). file_name: its name there
    (default: the URL's). check_hash: hold it against the hash in its name, as in name-f37072fd.pth.
    map_location: as for `load`. progress, weights_only: accepted; nothing in it is ever executed.
    Raises urllib.error.URLError where it cannot be fetched, RuntimeError for another hash,
    CheckpointError for a file that `load` does not read.
    """
    folder = Path(get_dir()) / "checkpoints" if model_dir is None else Path(model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (file_name or Path(urlparse(url).path).name)
    if not file.exists():
        print(f'Downloading: "{url}" to {file}')
        found = _HASH.search(file.name) if check_hash else None
        download_url_to_file(url, file, found[1] if found else None, progress)
    return _load(file, map_location=map_location)
