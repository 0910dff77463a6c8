"""Drawing in a process of its own: what draws holds up every other thread of its process, for tenths of a second.

python -m sojourn.charts.drawing    reads specifications, one a line, and writes each as an SVG in a JSON string
"""

import atexit
import json
import signal
import subprocess
import sys
import threading

from sojourn import show
from sojourn.charts.looks import Spec
from sojourn.errors import SojournError


class Drawer:
    """Draws, one picture at a time, in a process that begins with the first and ends with ours."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def svg(self, spec: Spec) -> bytes:
        """*spec* as an SVG. Raises `SojournError` where it cannot be drawn."""
        line = show.dumps(spec).encode() + b"\n"
        with self._lock:
            answer = self._asked(line) or self._asked(line)  # another one, where the first was killed
        if not answer:
            raise SojournError("drawing", "this chart could not be drawn: the process that draws ended")
        drawn: str = json.loads(answer)
        return drawn.encode()

    def close(self) -> None:
        """End the process; the next picture begins another."""
        process, self._process = self._process, None
        if process is not None:
            process.communicate()

    def _asked(self, line: bytes) -> bytes:
        """What the process answers; nothing where it ended over it."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except OSError:
            answer = b""
        if not answer.endswith(b"\n"):
            self._process.kill()
            self.close()
            return b""
        return answer


def main() -> None:
    """Draw until there is nothing more to read: also when the process that asks is gone."""
    from sojourn.charts import files

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    for line in sys.stdin.buffer:
        drawn = files.rendered(json.loads(line), ".svg", "")
        sys.stdout.write(json.dumps(drawn.decode()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
