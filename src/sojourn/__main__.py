"""The `sojourn` command, also as `python -m sojourn`."""

import signal
import sys


def main() -> None:
    """Run the command; Ctrl-C before it has begun, and after it is done, just ends the process."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from sojourn.cli import main as command

    sys.exit(command())


if __name__ == "__main__":
    main()
