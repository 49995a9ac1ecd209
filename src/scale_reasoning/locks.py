"""Locks of files, on POSIX and on Windows. The system ends a lock with its process, however that ends."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":  # not tried: SCALE has never run there
    import errno
    import msvcrt

    def lock(file: IO[bytes]) -> None:
        """Locks an open file. Raises BlockingIOError if another process has locked it, OSError if it cannot be."""
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(errno.EWOULDBLOCK, "another process has locked it") from error

    def unlock(file: IO[bytes]) -> None:
        """Ends the lock of `lock`. Raises OSError."""
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def lock(file: IO[bytes]) -> None:
        """Locks an open file. Raises BlockingIOError if another process has locked it, OSError if it cannot be."""
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def unlock(file: IO[bytes]) -> None:
        """Ends the lock of `lock`. Raises OSError."""
        fcntl.flock(file, fcntl.LOCK_UN)
