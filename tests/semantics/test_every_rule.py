"""Every rule has a test named for it."""

import re
from pathlib import Path

HERE = Path(__file__).parent
LATER = {
    "8.3": "a service that is killed at random moments is a test of its own",
}


def test_every_rule_of_the_semantics_has_a_test_named_for_it() -> None:
    """The rules are the numbered headings of docs/semantics.md; what waits for a later pipeline is named here."""
    page = (HERE.parent.parent / "docs" / "semantics.md").read_text(encoding="utf-8")
    rules = set(re.findall(r"^#+ (\d+\.\d+) ", page, re.MULTILINE))
    source = "".join(path.read_text(encoding="utf-8") for path in HERE.glob("test_*.py"))
    tested = {f"{major}.{minor}" for major, minor in re.findall(r"^def test_(\d+)_(\d+)_", source, re.MULTILINE)}
    assert tested | set(LATER) == rules
    assert tested & set(LATER) == set()
