"""The lock that keeps two processes from appending to one file at the same time."""

from __future__ import annotations

import errno
import sys

# Cluster file systems mounted without lock support answer with one of these.
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


def lock(fd: int) -> None:
    """Wait for the exclusive lock on an open file; it ends when the descriptor is closed or the process dies.

    Where the file system or the platform has no such locks nothing happens: one writer is still safe there.
    """
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
