"""The command line of the samples."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sojourn.samples import PIPELINES, stream, write


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a sample as the arguments say; gives the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sojourn.samples", description="Write seeded sample data.")
    parser.add_argument("pipeline", choices=PIPELINES)
    parser.add_argument("--lines", type=int, default=20_000, help="how many lines (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other data (default: %(default)s)")
    parser.add_argument("--clean", action="store_true", help="no broken lines, no duplicates")
    parser.add_argument(
        "-o",
        dest="out",
        type=Path,
        help="the file to write, for devices also a list of servers beside it (default: events to standard output)",
    )
    chosen = parser.parse_args(arguments)
    if chosen.lines < 0:
        parser.error("--lines must be 0 or more")
    how = {"lines": chosen.lines, "seed": chosen.seed, "dirty": not chosen.clean}
    try:
        if chosen.out:
            write(chosen.pipeline, chosen.out, **how)
        else:
            stream(chosen.pipeline, sys.stdout.buffer, **how)
            sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        where = chosen.out or "standard output"
        print(f"Cannot write the sample to {where}: {error.strerror or error}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
