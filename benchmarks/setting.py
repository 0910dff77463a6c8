"""What a person chose for this run of the benchmarks."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Setting:
    """*work* is a folder for what the contenders write; *scale* shrinks the inputs for a quick look."""

    work: Path
    rounds: int = 5
    scale: float = 1.0

    def lines(self, full: int) -> int:
        """So many records instead of *full*."""
        return max(500, int(full * self.scale))
