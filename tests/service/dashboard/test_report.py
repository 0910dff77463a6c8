"""`sojourn report`: one file that needs nothing else."""

import re
from pathlib import Path

from tests.service.dashboard.html import elements
from tests.store.places import Place


def test_a_report_is_one_file(published: Place, tmp_path: Path) -> None:
    """No script, no form, nothing that is loaded; a part for each view, with its pictures inside."""
    target = tmp_path / "report.html"
    done = published.call("report", "-o", target)
    assert (done.status, done.out.strip()) == (0, str(target))
    text = target.read_text(encoding="utf-8")
    found = elements(text)
    for tag, attributes in found:
        assert tag not in ("script", "link", "form", "iframe")
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "#").startswith(("data:image/svg+xml;base64,", "#")), attributes
    ids = {attributes["id"] for _, attributes in found if "id" in attributes}
    assert {attributes["href"][1:] for tag, attributes in found if tag == "a"} <= ids
    assert {"overview", "sessions", "orders", "activity", "fleet"} <= ids
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)[^<]*\.(?:css|js|png|svg)", text)
    assert sum(tag == "img" for tag, _ in found) >= 10


def test_a_report_of_nothing_says_what_to_begin_with(fresh: Place, tmp_path: Path) -> None:
    """And writes no file."""
    done = fresh.call("report", "-o", tmp_path / "report.html")
    assert done.status == 1
    assert "sojourn run webshop FILE" in done.err
    assert not (tmp_path / "report.html").exists()


def test_a_report_that_cannot_be_written_is_refused(published: Place, tmp_path: Path) -> None:
    """The ending, and the folder, are told."""
    done = published.call("report", "-o", tmp_path / "report.pdf")
    assert (done.status, ".html" in done.err) == (2, True)
    done = published.call("report", "-o", tmp_path / "nowhere" / "report.html")
    assert (done.status, "[out_unusable]" in done.err) == (2, True)
