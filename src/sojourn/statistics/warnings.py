"""What stands against a row of the readout, in plain words."""

from sojourn.show import counted
from sojourn.statistics.results import Result, Variant

FEW = 30
"""Users that a variant needs not to be called small."""

SURE = 0.05
"""An adjusted p-value below it is not put down to chance."""

SKEWED = 0.001
"""A sample ratio with a p-value below it is wrong; the bound is low, as it is looked at in every experiment."""


def warnings(row: Result, control: Variant | None, multiple: Variant | None, shares: float | None) -> str | None:
    """The sentences for one row, separated by semicolons; None where there is nothing to say.

    *multiple* are the users that are left out, *shares* is the p-value of the sample ratio.
    """
    is_compared = row.found is not None
    told = [
        _small(row.variant, control if is_compared else None),
        _suspect(row.variant, "the"),
        _suspect(control, "the control's") if is_compared else None,
        "users are not split as declared (sample ratio, p < 0.001)" if shares is not None and shares < SKEWED else None,
        f"{counted(multiple.users, 'user')} with several variants left out" if multiple and is_compared else None,
        _unseen(row, control),
    ]
    return "; ".join(sentence for sentence in told if sentence) or None


def _small(variant: Variant, control: Variant | None) -> str | None:
    """Too few users to build on."""
    if control is None:
        return f"small sample: {counted(variant.users, 'user')}" if variant.users < FEW else None
    if min(variant.users, control.users) >= FEW:
        return None
    return f"small sample: {counted(variant.users, 'user')} against {control.users:,}"


def _suspect(variant: Variant | None, whose: str) -> str | None:
    """Sessions at the rate of a machine."""
    if variant is None or not variant.sum("suspect"):
        return None
    return f"{variant.sum('suspect'):,} of {whose} {counted(variant.sum('sessions'), 'session')} are suspect"


def _unseen(row: Result, control: Variant | None) -> str | None:
    """What could not be seen: the power of the comparison, where it has shown no difference."""
    if row.found is None or control is None:
        return None
    if row.found.low is None:
        if not row.variant.users or not control.users:
            return "nothing to compare: a variant has no users"
        is_few = min(row.variant.users, control.users) < 2
        return f"no interval: {'a variant has one user' if is_few else 'all users of a variant are alike'}"
    if row.found.least is None or (row.p_adjusted is not None and row.p_adjusted < SURE):
        return None
    users = counted(row.variant.users + control.users, "user")
    if row.goal_users is not None and row.found.least >= 1:
        return f"with {users} no difference could be seen"
    return f"with {users} only differences above {_short(row.found.least)} could be seen"


def _short(number: float) -> str:
    """Two digits that count."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"
