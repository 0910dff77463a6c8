"""Pictures for a page: without the title, which is text there, and with its colours and width."""

import copy
import re
from typing import Any

from sojourn.charts import looks
from sojourn.charts.looks import Spec

WIDE, NARROW, HEIGHT = 620, 400, 350
"""Units on a page, and on a phone: nearly the pixels that there are, so that text is as large as it is meant to be."""

_DARK = {
    "#222222": "#e6e8eb",
    "#5a5a5a": "#a3abb5",
    "#e4e4e4": "#343b45",
    "#9a9a9a": "#6b7480",
    "#b34a00": "#ff9d5c",
    "white": "transparent",
}
_COLOUR = re.compile(r"#[0-9a-f]{6}")
_LEAST = 105  # brightness, of 255, that is told from a dark ground


def on_page(spec: Spec, *, is_dark: bool = False, is_narrow: bool = False) -> Spec:
    """A copy of *spec* for a page of ours, light or dark, wide or narrow."""
    shown = {**copy.deepcopy({name: part for name, part in spec.items() if name not in ("datasets", "title")})}
    shown |= {"background": "transparent", "padding": {"left": 6, "right": 8, "top": 6, "bottom": 2}}
    _resize(shown, NARROW if is_narrow else WIDE)
    if is_narrow:
        _squeeze(shown)
    _pile(shown, 3 if is_narrow else None)
    if is_dark:
        shown = _darkened(shown)
    return {**shown, "datasets": spec["datasets"]}


def _resize(part: Spec, width: int) -> None:
    """Give the picture, or each of its panels, this *width* less what it leaves for axes."""
    for panel in part.get("vconcat", [part]):
        panel["width"] -= looks.WIDTH - width
        if panel["height"] <= looks.HEIGHT:  # else it has rows that need it
            panel["height"] = min(panel["height"], HEIGHT)


def _squeeze(part: Any) -> None:
    """Leave a narrow picture its room: legends beside it go above it, and words along both axes are cut."""
    for each in part if isinstance(part, list) else []:
        _squeeze(each)
    if isinstance(part, dict):
        legend, encoding = part.get("legend"), part.get("encoding", {})
        if isinstance(legend, dict) and legend.get("orient") == "right":
            legend |= {"orient": "top", "direction": "horizontal", "gradientLength": 200}
        if "labelAngle" in (encoding.get("x", {}).get("axis") or {}):
            encoding["x"]["axis"] |= {"labelAngle": -60, "labelLimit": 90}
            encoding["y"]["axis"]["labelLimit"] = 120
        for name, each in part.items():
            if name != "config":
                _squeeze(each)


def _pile(part: Any, columns: int | None) -> None:
    """Give legends above a picture the room that they need: their title on a line of its own, and so many columns."""
    for each in part if isinstance(part, list) else []:
        _pile(each, columns)
    if isinstance(part, dict):
        if isinstance(part.get("legend"), dict) and part["legend"].get("orient") == "top":
            part["legend"] |= {"titleOrient": "top"} | ({"columns": columns} if columns else {})
        for name, each in part.items():
            if name != "config":
                _pile(each, columns)


def _darkened(part: Any) -> Any:
    if isinstance(part, dict):
        return {name: _darkened(each) for name, each in part.items()}
    if isinstance(part, list):
        return [_darkened(each) for each in part]
    if isinstance(part, str):
        return _DARK.get(part) or (_lit(part) if _COLOUR.fullmatch(part) else part)
    return part


def _lit(colour: str) -> str:
    """The colour itself, or as much white added as makes it stand out of the dark."""
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    brightness = 0.299 * parts[0] + 0.587 * parts[1] + 0.114 * parts[2]
    if brightness >= _LEAST:
        return colour
    share = (_LEAST - brightness) / (255 - brightness)
    return "#" + "".join(f"{round(part + (255 - part) * share):02x}" for part in parts)
