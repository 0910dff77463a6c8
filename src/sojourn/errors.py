"""Errors for people: what went wrong, where, and what would work. Each has a stable code."""

import errno
import signal


class SojournError(Exception):
    """A failure that is told in one sentence. *code* is stable; *exit_status* is the process's."""

    exit_status = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)  # both: an error of a reading process comes to us as its arguments
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class UsageError(SojournError):
    """The command or the pipeline file is wrong: nothing was started."""

    exit_status = 2


class TooManyQuarantinedError(SojournError):
    """More records broke the contract than ``--max-quarantined`` allows: nothing was published."""

    exit_status = 3


class InterruptedRunError(SojournError):
    """A person or the system ended us by a signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("interrupted", "interrupted")
        self.exit_status = 128 + signal_number


def as_ours(error: BaseException) -> SojournError:
    """*error* as one of ours, for what may befall any command: a signal, a full disk, too little memory."""
    if isinstance(error, SojournError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return InterruptedRunError(error.args[0] if error.args else signal.SIGINT)
    if isinstance(error, MemoryError):
        return SojournError("memory", "the memory is not enough; give less to read at once")
    where = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return disk_full(where)
    return SojournError("io", f"{(error.strerror if isinstance(error, OSError) else None) or error}{where}")


def disk_full(where: str = "") -> SojournError:
    """There is no room left; *where* names the file in parentheses, if it is known."""
    return SojournError("disk_full", f"the disk is full{where}; make room and try again")
