"""Tables that a library works out from what SQL has made, when a run is built. Each is imported only for its own."""

from collections.abc import Callable

import pyarrow as pa

from sojourn.pipeline import Pipeline

Ask = Callable[[str], pa.Table]
"""The rows of an SQL query."""


def fleet_projection(ask: Ask, pipeline: Pipeline) -> pa.Table:
    """Fleets to come, from those that were."""
    from sojourn.projection import project

    return project(ask("from fleet_daily"), ask("from fleet_rolling_28d"), pipeline.fleet.window_days)


def experiments(ask: Ask, pipeline: Pipeline) -> pa.Table:
    """Variants compared, from what their users add up to."""
    from sojourn.statistics.experiments import readout

    return readout(ask("from _experiment_sums").to_pylist(), ask("from _experiment_spread").to_pylist(), pipeline)


def referrer_differences(ask: Ask, _: Pipeline) -> pa.Table:
    """Referrers compared, from the ranks of their sessions."""
    from sojourn.statistics.referrers import differences

    return differences(ask("from _referrer_ranks").to_pylist())


MADE = {"referrer_differences": referrer_differences, "experiments": experiments, "fleet_projection": fleet_projection}
"""The tables by name."""
