"""Errors for people: what went wrong, where, and what would work. Each has a stable code."""


class SojournError(Exception):
    """A failure that is told in one sentence. *code* is stable; *exit_status* is the process's."""

    exit_status = 1

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UsageError(SojournError):
    """The command or the pipeline file is wrong: nothing was started."""

    exit_status = 2


class TooManyQuarantinedError(SojournError):
    """More records broke the contract than ``--max-quarantined`` allows: nothing was published."""

    exit_status = 3
