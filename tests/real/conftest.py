"""The briefs' own files are not ours to ship: `SOJOURN_REAL_DATA` names the folder that holds them, if it is here."""

import os
from pathlib import Path

import pytest

from tests.command import Home

collect_ignore_glob = [] if os.environ.get("SOJOURN_REAL_DATA") else ["test_*.py"]


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the real files."""
    return Path(os.environ["SOJOURN_REAL_DATA"])


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of this module's own."""
    return Home(tmp_path_factory.mktemp("real"))
