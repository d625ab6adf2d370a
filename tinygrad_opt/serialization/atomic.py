"""Writing a file so that whoever looks finds the old one or the new one, never a part."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import uuid
from pathlib import Path

__all__ = ["replace"]


def replace(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, make sure it is on the disk, and rename it into place.

    The other name is nobody else's, so that threads and processes may save to one path. Raises
    OSError (FileNotFoundError, PermissionError, ...) that names `path`.
    """
    try:
        path = path.resolve()  # a link stays one: what it points to is replaced
        mode = _mode_of(path)
        if mode is not None and not stat.S_ISREG(mode):
            path.write_bytes(data)  # a pipe or a device is there to be written to
            return
        temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.tmp")
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                with contextlib.suppress(OSError):  # a file system without permissions
                    temporary.chmod(stat.S_IMODE(mode))
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        if error.errno is None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error
    with contextlib.suppress(OSError, AttributeError):  # not on every system; the file is whole
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _mode_of(path: Path) -> int | None:
    """The type and permissions of the file there; None if there is none yet.

    Raises PermissionError for a file that may not be written to, IsADirectoryError for a folder:
    a rename would replace the one and fail strangely at the other.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return mode
