"""A lock on the folder of a run, so that two processes never write to it at once.

It is a lock of the operating system on the file ``run.lock``. The system releases it when the
process ends, however it ends, so that a killed run blocks nobody.
"""

import os
import shlex
import socket
import sys
from contextlib import suppress
from pathlib import Path

from ddpm_np._console import Failed, Refused

NAME = "run.lock"


class FolderLock:
    """The lock on a folder, held from the call until :meth:`release` or the end of the process.

    Refused where another process holds it; ``argument`` is the option that named the folder. A
    folder may be moved, and made again by another process, or its lock file deleted. So
    :meth:`check` comes before each file that is written.
    """

    def __init__(self, folder: Path, argument: str) -> None:
        self._path = folder / NAME
        while True:
            # never through a link, which may lead to somebody's file
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._handle = os.open(self._path, flags, 0o666)
            if not _lock(self._handle):
                holder = os.read(self._handle, 100).decode("utf-8", "replace").splitlines()
                os.close(self._handle)
                by = holder[0] if holder else "another process"
                raise Refused(f"argument {argument}: {folder} is in use by {by}")
            if self._is_in_place():
                break
            os.close(self._handle)  # its holder has just removed the file: take the next one
        with suppress(OSError):  # a full disk: the text is only for the message
            os.ftruncate(self._handle, 0)
            os.write(self._handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())

    def check(self) -> None:
        """Raises Failed where the file in its place is not the one that is held."""
        if self._is_in_place():
            return
        text = f"{self._path} is not the lock of this run any more"
        with suppress(OSError):  # Linux tells where the file is now
            now = os.readlink(f"/proc/self/fd/{self._handle}")
            if os.path.exists(now):
                folder = shlex.quote(os.path.dirname(now))
                text += f"; continue with: python -m ddpm_np run --resume --out {folder}"
        raise Failed(f"{text}; stopped, so that no two processes write to one folder")

    def release(self) -> None:
        """Gives the lock back and removes its file; a second call does nothing."""
        if self._handle < 0:
            return
        ours = self._is_in_place()  # never somebody else's file
        handle, self._handle = self._handle, -1
        if sys.platform == "win32":  # an open file cannot be removed there
            os.close(handle)
        if ours:
            with suppress(OSError):
                self._path.unlink()
        if sys.platform != "win32":
            os.close(handle)

    def _is_in_place(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self._handle), os.stat(self._path))
        except OSError:  # it is gone, or its folder is
            return False


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> bool:
        """Whether this process got the lock: on a byte far out, as a locked byte cannot be read."""
        os.lseek(handle, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(handle, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(handle: int) -> bool:
        """Whether this process got the lock."""
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
