"""Opening the store that a command names."""

import os
from pathlib import Path

from sojourn.errors import UsageError
from sojourn.store.base import Store
from sojourn.store.embedded import Embedded


def open_store(home: str | None, url: str | None) -> Store:
    """The store at *url*, or the embedded one; *home* defaults to `SOJOURN_HOME` or ``./sojourn-data``."""
    folder = Path(home or os.environ.get("SOJOURN_HOME") or "sojourn-data").absolute()
    if folder.exists() and not folder.is_dir():
        raise UsageError("home_unusable", f"the home {folder} is a file; name a folder with --home")
    if "?" in str(folder):
        raise UsageError("home_unusable", f"the home {folder} has a ? in its path; name a folder without")
    if url is None:
        return Embedded(folder)
    if not url.startswith(("postgresql://", "postgres://")):
        raise UsageError("bad_store", "a store is a URL such as postgresql://user:password@host:5432/database")
    from sojourn.store.postgres import Postgres  # its driver is slow to import

    return Postgres(folder, url)
