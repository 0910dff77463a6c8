"""`sojourn report`: the dashboard's views as one file to mail, which needs no server, no network and no script."""

import base64
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sojourn.errors import SojournError, UsageError
from sojourn.loading import to_begin
from sojourn.store.base import Store
from sojourn.web.dashboard import figures, frame, overview, pages, templates
from sojourn.web.dashboard.asked import Asked, asked
from sojourn.web.dashboard.figures import Figure
from sojourn.web.dashboard.views import VIEWS, View


def write(store: Store, target: Path) -> None:
    """Write the report of what *store* publishes to *target*. Raises `SojournError` where nothing is published."""
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError("unknown_ending", f"a report is a page; name a file that ends with .html, not {target.name}")
    text = made(store, datetime.now(UTC))
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError("out_unusable", f"cannot write {target}: {error.strerror}") from error


def made(store: Store, now: datetime) -> str:
    """The report as HTML, told to be made at *now*."""
    runs = overview.content(store)
    if not runs["runs"]:
        raise SojournError("not_published", f"nothing has run yet; begin with: {to_begin('webshop')}")
    views = [found for found in (_section(store, view) for view in VIEWS.values()) if found is not None]
    style = pages.asset_text("style.css")
    return templates.filled("report.html", style=style, views=views, now=now, is_report=True, **runs)


def _section(store: Store, view: View) -> dict[str, Any] | None:
    """What the template of *view* shows; None where nothing is published for it."""
    try:
        with asked(store, view.scope, {}) as found:
            given = {**frame.frame(found, view.scope), **view.content(found)}
            drawn = [_drawn(found, figure) for figure in given["figures"]]
    except SojournError as error:
        if error.code != "not_published":
            raise
        return None
    body = templates.filled(f"body/{view.name}.html", **{**given, "figures": drawn, "is_report": True})
    return {**given, "body": templates.ours(body), "view": view.name, "title": view.title}


def _drawn(found: Asked, figure: Figure) -> Figure:
    """The figure with its pictures inside."""
    if figure.is_empty:
        return figure
    light, dark = (figures.svg(found, figure.name, is_dark=is_dark) for is_dark in (False, True))
    return replace(figure, sources=(_data(light), _data(dark)))


def _data(picture: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(picture).decode()}"
