"""URLs as text: host, first two levels, page. No text is an error; null gives null."""

import ibis.expr.types as ir

from sojourn.tables.order import ascii_lower

_AUTHORITY = r"^([A-Za-z][A-Za-z0-9+.-]*:)?//"


def level1(url: ir.Value) -> ir.Value:
    """The host without user, port and one leading `www.`, in lower case; null for a path."""
    host = ascii_lower(_authority(_bare(url)).re_replace(r"(?s)^.*@", ""))
    host = host.re_replace(r"(?s)^(\[[^\]]*\]).*$|^([^:]*):.*$", r"\1\2")
    return host.re_replace(r"^www\.", "").nullif("")


def level2(url: ir.Value) -> ir.Value:
    """The first non-empty path segment, as written."""
    return _path(url).re_extract(r"^/*([^/]+)", 1).nullif("")


def level3(url: ir.Value) -> ir.Value:
    """The second non-empty path segment, as written."""
    return _path(url).re_extract(r"^/*[^/]+/+([^/]+)", 1).nullif("")


def page(url: ir.Value) -> ir.Value:
    """The path with a leading slash and without query, fragment, or trailing slash."""
    return _path(url).re_replace(r"(?s)^/?(.*?)/*$", r"/\1")


def _bare(url: ir.Value) -> ir.Value:
    """Without surrounding white space, query and fragment."""
    return url.strip().re_extract(r"^[^?#]*", 0)


def _authority(bare: ir.Value) -> ir.Value:
    """The text where user, host and port stand; empty for a path."""
    return bare.re_extract(r"^(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/]*)|([^/]*\.[^/]*))", 0).re_replace(_AUTHORITY, "")


def _path(url: ir.Value) -> ir.Value:
    """What follows the host; the whole of a text without one."""
    return _bare(url).re_replace(r"^(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*|[^/]*\.[^/]*)", "")
