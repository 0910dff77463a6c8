"""A specification as the content of a file."""

import vl_convert

from sojourn import show
from sojourn.charts.looks import Spec

VERSION = "6.4"
"""Of Vega-Lite: the one that Altair writes for, out of those that are shipped with vl-convert."""

DENSITY = 2
"""Pixels of a PNG per unit of the picture: sharp on today's screens."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<script>{library}</script>
</head>
<body>
<div id="chart"></div>
<script>vegaEmbed("#chart", {spec}, {{"renderer": "svg", "actions": {{"editor": false}}}});</script>
</body>
</html>
"""


def rendered(spec: Spec, ending: str, title: str) -> bytes:
    """*spec* as the content of a `.png`, `.svg`, `.html` or `.json` file. The title is ours, and plain text."""
    text = show.dumps(spec)
    if ending == ".png":
        return vl_convert.vegalite_to_png(text, vl_version=VERSION, scale=DENSITY)
    if ending == ".svg":
        return vl_convert.vegalite_to_svg(text, vl_version=VERSION).encode()
    if ending == ".html":
        library = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", VERSION)
        # within a string of JavaScript \u003c is <, but no tag begins with it: names from data stay text
        return _PAGE.format(title=title, library=library, spec=text.replace("<", "\\u003c")).encode()
    return f"{text}\n".encode()
