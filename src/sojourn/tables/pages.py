"""Pages: what is viewed, where sessions begin and end."""

import ibis
import ibis.expr.types as ir

from sojourn.pipeline import Pipeline
from sojourn.tables.order import is_page_view
from sojourn.tables.sessions import by_key


def pages(events: ir.Table, pipeline: Pipeline) -> ir.Table:
    """Views of each page. Grain: url (a path with a leading slash, no query).

    Columns: url, views, users, sessions, entries, exits, bounces. A session enters at its first
    page view and leaves at its last; it bounces at its only one.
    """
    views = by_key(events, pipeline)
    views = views.filter(is_page_view(views))
    session = ibis.window(group_by=views.session_key)
    views = views.mutate(
        is_entry=views.place == views.place.min().over(session),
        is_exit=views.place == views.place.max().over(session),
    )
    return views.group_by(views.url_page.name("url")).aggregate(
        views=views.count(),
        users=views.actor.nunique(),
        sessions=views.session_key.nunique(),
        entries=views.is_entry.cast("int64").sum(),
        exits=views.is_exit.cast("int64").sum(),
        bounces=(views.is_entry & views.is_exit).cast("int64").sum(),
    )
