"""Records of somebody who wants the dashboard to run code, to load from elsewhere, or to fall apart."""

import json
from pathlib import Path
from typing import Any

SCRIPT = "<script>window.marked=1</script>"
IMAGE = '"><img src=x onerror=window.marked=1>'
ADDRESS = "javascript:window.marked=1"
CLOSING = "</title></textarea></style><svg onload=window.marked=1>"
QUOTES = "';window.marked=1//\\';window.marked=1//"
PLACES = "{{7*7}}${7*7}{% raw %}%00%0a"
BACKWARDS = "\u202eלאמש\u2066 ימין"
LONG = "long" * 150
FAR = "https://elsewhere.example/pixel.png"

TEXTS = (SCRIPT, IMAGE, ADDRESS, CLOSING, QUOTES, PLACES, BACKWARDS, LONG, FAR)

FILE = "<img src=x onerror=window.marked=1> '\"&amp; \u202egpj.jsonl"
"""A name of a file; no slash fits in one."""

SESSION = f"{IMAGE}/../..?a=1#b {SCRIPT}"
"""A session's id, as a source may give it."""


def write_all(folder: Path) -> dict[str, list[Path]]:
    """Files for the ready pipelines, by pipeline."""
    lines: dict[str, list[Any]] = {"webshop": [], "activity": [], "pageviews": [], "live": []}
    for at, text in enumerate(TEXTS):
        for copy in range(4):
            number, clock = 10 * at + copy, f"10:{at:02}:{copy:02}"
            page = f"https://shop.example/{text}" if copy % 2 else text
            event = {"customer-id": text, "timestamp": f"2024-03-0{copy + 1}T{clock}", "page": page}
            referrer = (f"https://{text}/", text, f"https://seekwell.example/?q={text}", None)[copy]
            kind = "placed_order" if copy == 2 else text
            lines["webshop"].append({"id": number, "type": kind, "event": {**event, "referrer": referrer}})
            lines["activity"].append(
                {
                    "event_id": f"{text} {copy}",
                    "user": {"id": text},
                    "action": text,
                    "url": f"https://{text}/{text}" if copy % 2 else text,
                    "timestamp": f"0{copy + 1}/03/2024 {clock}",
                }
            )
            session = f"{SESSION} {at}" if copy < 3 else text
            view = {"sessionId": session, "url": page, "timestamp": f"2024-03-01T{clock}", "userId": text}
            lines["pageviews"].append({**view, "experiments": text if at % 2 else f"{SCRIPT}:{text}"})
        lines["webshop"].append({"id": text, "type": text, "event": {"timestamp": text, "customer-id": text}})
        lines["activity"].append({"event_id": text, "action": text, "timestamp": text, text: text})
        lines["pageviews"].append({"sessionId": text, "url": [text], "timestamp": text})
    return {name: [_written(folder / f"{name} {FILE}", rows)] for name, rows in lines.items() if rows}


def _written(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows) + f"{SCRIPT}\n")
    return path
