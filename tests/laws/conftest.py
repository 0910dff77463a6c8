"""How long the laws are tried: `ci` is bounded and the same every time; `SOJOURN_LAWS=20` tries 20 times as much."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.laws.effort import EFFORT

settings.register_profile(
    "ci",
    derandomize=EFFORT == 1,
    deadline=None,  # two cores are shared with other tests
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("ci")


@pytest.fixture(autouse=True, scope="session")
def plans_of_the_tests_alone(tmp_path_factory):
    """Compiled plans are kept for this session only: the user's cache folder is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
