"""Files that are whole or absent when written, and ordinary and small when read."""

import errno
import json
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

_PREFIX, _SUFFIX = ".ddpm_np-", ".tmp"  # of a file that is being written
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}


def write_atomically(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """Calls ``write`` with an open binary file, which appears at ``path`` only when it is complete.

    The content is written to a file beside it, flushed to the disk, and renamed. An OSError names
    ``path``.
    """
    path = Path(path)
    temporary = path.with_name(f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}")
    try:
        try:
            with open(temporary, "xb") as file:  # with the permissions that the umask leaves
                write(file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C too: no half file stays behind
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """A text file in UTF-8. What UTF-8 lacks, as in a path of other bytes, becomes an escape."""
    write_atomically(path, lambda file: file.write(text.encode("utf-8", "backslashreplace")))


def remove_temporary(folder: Path) -> None:
    """Removes what killed processes left half written. Nobody else may be writing there."""
    for path in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def open_regular(path: str | os.PathLike[str], *, limit: int) -> IO[bytes]:
    """The file, open for reading. ValueError if it is no ordinary file or has more bytes."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # before it is opened, which waits on a pipe
        raise ValueError(f"{os.fspath(path)} must be an ordinary file")
    file = open(path, "rb")
    size = os.fstat(file.fileno()).st_size
    if size > limit:
        file.close()
        raise ValueError(f"{os.fspath(path)} must have at most {limit} bytes, got {size}")
    return file


def read_json(path: str | os.PathLike[str], *, limit: int = 10**8) -> Any:
    """The content of a JSON file. ValueError, naming the file, if it is none."""
    with open_regular(path, limit=limit) as file:
        try:
            return json.loads(file.read().decode("utf-8"))
        except (ValueError, RecursionError):
            raise ValueError(f"{os.fspath(path)} must be a JSON file, but is damaged") from None


def disk_failed(error: OSError) -> bool:
    """Whether the disk is at fault, full or broken, and not the name that was asked for."""
    return error.errno in _DISK


def _sync_folder(folder: Path) -> None:
    """Makes the rename outlive a power failure, where the system can sync a folder."""
    if os.name == "nt":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder that may be written but not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_FOLDER_SYNC:
            raise
    finally:
        os.close(handle)
