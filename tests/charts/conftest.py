from pathlib import Path
from typing import Any

import pytest

from sojourn import charts
from tests.charts.publishing import (
    TRANSITIONS,
    devices,
    experiments,
    hourly,
    publish,
    published,
    sessions,
    user_activity,
)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with everything that charts read."""
    folder = tmp_path_factory.mktemp("charts") / "home"
    store = published(folder, "devices", devices(60))
    activity = {"hourly_activity": hourly(50), "user_activity": user_activity(50), "transitions": TRANSITIONS}
    publish(store, "activity", activity)
    publish(store, "pageviews", {"hourly_activity": hourly(50, 1), "experiments": experiments(6)})
    publish(store, "webshop", {"sessions": sessions(500)})
    return folder


@pytest.fixture
def drawn(tmp_path: Path) -> Any:
    """Draws a chart of tables: `drawn("repairs", "devices", {...})` is its specification."""

    def specification(name: str, pipeline: str, tables: dict[str, str]) -> dict[str, Any]:
        return charts.specification(name, published(tmp_path / "home", pipeline, tables), pipeline)

    return specification
