"""Files that are one JSON document: recognised by their beginning, before their lines fill the quarantine."""

import json

from sojourn.errors import SojournError, UsageError
from sojourn.reading.inputs import Input, open_input
from sojourn.reading.sources import BOM, Task
from sojourn.reading.unpacking import decompressed, read_up_to

_HEAD = 1 << 20


def head(source: Input) -> bytes:
    """The first mebibyte of a file's content."""
    if source.path is None or source.is_pipe:
        raise UsageError("not_a_file", "name a file; what comes through a pipe cannot be looked at and then read")
    with open_input(source.path, source.name) as file:
        return read_up_to((decompressed(file) if source.is_compressed else file), _HEAD, source.name)


def refuse_documents(given: Input | Task) -> None:
    """Raise when a file is one JSON document over many lines, which no line of can be a record.

    What comes through a pipe is looked at in the *task* that begins it.
    """
    if isinstance(given, Task):
        source, begin = given.input, (given.content or b"")[:_HEAD]
    else:
        source, begin = given, b"" if given.path is None or given.is_pipe else head(given)
    what = _document(begin.removeprefix(BOM))
    if what is not None:
        convert = f"jq -c '{'.[]' if 'array' in what else '.'}'"
        name, example = source.name, f"{convert} {source.name} > events.jsonl"
        if source.is_compressed:
            example = f"{'zstd -dc' if name.endswith('.zst') else 'gunzip -c'} {name} | {convert} > events.jsonl"
        if source.path is None or source.is_pipe:
            name, example = "standard input" if source.path is None else name, f"... | {convert} | sojourn ..."
        raise SojournError(
            f"json_{what.split()[-1]}",
            f"{name} is {what}, not one object per line; convert it first, for example with: {example}",
        )


def _document(head: bytes) -> str | None:
    text = head.decode("utf-8", "replace").lstrip()
    first, _, rest = text.partition("\n")
    try:
        value = json.loads(first)
        one_line = isinstance(value, list) and bool(value) and all(isinstance(part, dict) for part in value)
        return "one big JSON array" if one_line and not rest.strip() else None
    except ValueError:
        pass
    except RecursionError:
        return None
    if text.startswith("[") and text[1:].lstrip()[:1] in ("{", ""):
        return "one big JSON array"
    if text.startswith("{"):
        try:
            _, end = json.JSONDecoder().raw_decode(text)
        except (ValueError, RecursionError):
            return None
        return "pretty-printed JSON objects" if "\n" in text[:end] else None
    return None
