"""The machine that the figures belong to."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

LIBRARIES = (
    "sojourn", "duckdb", "msgspec", "pyarrow", "ibis-framework", "adbc-driver-postgresql", "pandas", "polars",
    "pyspark", "chdb", "retentioneering",
)  # fmt: skip


def describe() -> dict[str, str]:
    """CPU, cores, memory, system, Python and libraries, as text."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "CPU": f"{_cpu()}, {cores} cores",
        "memory": f"{memory / 1e9:.1f} GB",
        "system": f"{_system()}, kernel {platform.release()}, {platform.machine()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": ", ".join(f"{name} {_version(name)}" for name in LIBRARIES),
    }


def stolen() -> tuple[int, int]:
    """Ticks that the host took from this virtual machine, and all ticks; two readings tell a share."""
    try:
        ticks = [int(tick) for tick in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0, 0
    return ticks[7], sum(ticks)


def commit() -> str:
    """The commit that was measured, with a word where files differ from it."""
    command = ["git", "describe", "--always", "--dirty"]
    told = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return told.stdout.strip() or "unknown"


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.mac_ver()[0]}".strip()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
