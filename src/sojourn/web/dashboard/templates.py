"""Templates: HTML with places to fill; whatever is filled in is text, never HTML."""

import json
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import jinja2
from markupsafe import Markup

from sojourn import __version__

NOTHING = "\u2013"
"""What stands in a page where there is no value: a dash."""


def filled(name: str, /, **given: Any) -> str:
    """The template *name* with what is *given*."""
    return _environment().get_template(name).render(**given)


def count(number: int | None) -> str:
    """`1,234`; a dash for nothing."""
    return NOTHING if number is None else f"{number:,}"


def decimal(number: float | None, places: int = 1) -> str:
    """`1,234.5`; whole numbers without places."""
    if number is None:
        return NOTHING
    return f"{number:,.0f}" if number == int(number) else f"{number:,.{places}f}"


def percent(share: float | None, places: int = 1) -> str:
    """A share, 0 to 1, as `12.3 %`."""
    return NOTHING if share is None else f"{100 * share:.{places}f}\u202f%"


def lasting(seconds: float | None) -> str:
    """`0 s`, `45 s`, `4.5 min`, `1.2 h`."""
    if seconds is None:
        return NOTHING
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.1f}\u202f{unit}"
    return f"{seconds:.3g}\u202fs"


def instant(moment: datetime | str | None) -> str:
    """`1 Mar 2024, 09:30:05` in UTC."""
    if moment is None:
        return NOTHING
    given = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return f"{day(given)}, {given:%H:%M:%S}"


def heading(text: str) -> str:
    """`Landing page` of `landing_page`."""
    words = text.replace("_", " ")
    return words[:1].upper() + words[1:]


def day(given: date | None) -> str:
    """`1 Mar 2024`."""
    return NOTHING if given is None else f"{given.day} {given:%b %Y}"


def change(number: float | None) -> str:
    """A number with its sign; nothing for none."""
    if number is None:
        return ""
    sign = "+" if number > 0 else "\u2212" if number < 0 else "±"
    return f"{sign}{decimal(abs(number), 2)}"


def ours(text: str) -> Markup:
    """HTML or a style sheet of ours as it is: a file, or a template filled in, where all data is escaped already."""
    return Markup(text)


def clock(microseconds: int) -> str:
    """`09:30:05.250` of an instant in microseconds since 1970, UTC."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03d}"


def probability(p: float | None) -> str:
    """`0.034`, or that it is below `0.001`."""
    if p is None:
        return ""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def plain(value: Any) -> str:
    """Any value as one reads it in a table."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return day(value)
    if isinstance(value, int | float | None):
        return decimal(value, 3)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("sojourn.web.dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    filters = (count, decimal, percent, lasting, instant, day, change, clock, probability, plain, heading, ours)
    environment.filters |= {function.__name__: function for function in filters}
    environment.globals["version"] = __version__
    return environment
