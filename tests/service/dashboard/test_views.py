"""Every view answers: with data, with filters, and without any."""

import re
import shutil
from html import unescape
from pathlib import Path

import httpx
import pytest

from tests.service.dashboard.html import check_page, check_picture, elements, values
from tests.service.serving import serving
from tests.service.shops import publish_visits
from tests.store.places import Place

VIEWS = ("/", "/sessions", "/orders", "/activity", "/fleet", "/experiments", "/live", "/quarantine")

FILTERED = (
    "/sessions?from=2024-03-02&to=2024-03-02",
    "/sessions?referrer=(direct)",
    "/sessions?referrer=it%27s.example",
    "/sessions?referrer=nowhere.example&from=1999-01-01",
    "/sessions?pipeline=pageviews",
    "/orders?from=2024-03-03",
    "/orders?referrer=nowhere.example",
    "/activity?pipeline=pageviews",
    "/activity?site=nowhere.example&activity=x",
    "/activity?from=2030-01-01",
    "/fleet?fleet=3-9",
    "/fleet?to=2000-01-01",
    "/quarantine?reason=bad_time",
    "/quarantine?pipeline=webshop&reason=invalid_json",
    "/quarantine?pipeline=nowhere&page=7",
)


def text(answer: httpx.Response) -> str:
    """What a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


@pytest.mark.parametrize("path", VIEWS + FILTERED)
def test_a_view_is_a_page_that_runs_nothing_of_others(client: httpx.Client, path: str) -> None:
    """It is told what to run and load; its pictures are there, and do nothing either."""
    answer = client.get(path)
    assert answer.status_code == 200
    check_page(answer)
    for address in [*values(answer.text, "img", "src"), *values(answer.text, "source", "srcset")]:
        if address.startswith("/charts/"):
            picture = client.get(address)
            assert picture.status_code == 200
            assert picture.headers["content-type"] == "image/svg+xml"
            check_picture(picture.content)


@pytest.mark.parametrize("path", VIEWS)
def test_without_data_a_view_says_what_to_do(fresh: Place, path: str) -> None:
    """Nothing has run yet: the command to begin with stands there."""
    with serving(fresh.open()) as client:
        answer = client.get(path)
    assert answer.status_code == 200
    check_page(answer)
    if path not in ("/quarantine", "/live"):
        assert "sojourn run " in answer.text


def test_links_lead_somewhere(client: httpx.Client) -> None:
    """Every link of every view, but those that load a file, is a page of ours."""
    seen: set[str] = set()
    for view in VIEWS:
        for address in values(client.get(view).text, "a", "href"):
            if address.startswith("/") and address not in seen:
                seen.add(address)
                if len(seen) < 80:
                    assert client.get(address).status_code == 200, address
    assert any(address.startswith("/sessions/") for address in seen)


def test_orders_are_those_of_the_metric(client: httpx.Client) -> None:
    """The figure of the webshop: 2 visits, 47.5 minutes; three orders of two buyers."""
    told = text(client.get("/orders"))
    assert "Orders 3 2 first orders" in told
    assert "Visits before an order 2 median; half lie from 1.5 to 2" in told
    assert "Minutes before the first order 47.5" in told
    assert "Sessions with an order 50.0" in told


def test_filters_choose_orders_not_the_visits_before_them(client: httpx.Client) -> None:
    """On the third day one order came after two visits, although the first of them was a day earlier."""
    told = text(client.get("/orders?from=2024-03-03"))
    assert "Orders 1 0 first orders" in told
    assert "Visits before an order 2 " in told


def test_what_there_is_to_choose_from_stays(client: httpx.Client) -> None:
    """Whatever was chosen, all referrers can be chosen next."""
    options = re.compile(r'<select name="referrer">(.*?)</select>', re.DOTALL)
    every, some = (options.findall(client.get(path).text)[0] for path in ("/orders", "/orders?from=2030-01-01"))
    assert every == some
    assert "it&#39;s.example" in every


def test_filters_narrow_tables_and_their_form_keeps_them(client: httpx.Client) -> None:
    """Two of the six sessions came from there; what was chosen stands in the form and in the pictures' addresses."""
    answer = client.get("/sessions?referrer=it%27s.example&from=2024-03-03")
    assert "Sessions 2 " in text(answer)
    assert ("input", {"type": "date", "name": "from", "value": "2024-03-03"}) in elements(answer.text)
    assert ("option", {"value": "it's.example", "selected": ""}) in elements(answer.text)
    assert all(
        "referrer=it%27s.example" in address for address in values(answer.text, "img", "src") if "charts" in address
    )


def test_a_view_names_what_it_shows(client: httpx.Client) -> None:
    """The pipeline, the run, and the time of it."""
    run = client.get("/v1/tables/webshop/sessions").json()["run_id"]
    told = text(client.get("/sessions"))
    assert f"Pipeline webshop Run {run}" in told


def test_several_pipelines_can_be_chosen(client: httpx.Client) -> None:
    """Those that publish what the view shows, and no others."""
    answer = client.get("/sessions")
    form = answer.text[answer.text.index('name="pipeline"') :].split("</select>")[0]
    assert re.findall(r"<option[^>]*>(\w+)<", form) == ["webshop", "pageviews"]


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/sessions?from=yesterday", 400, "is no day"),
        ("/sessions?from=2024-02-30", 400, "is no day"),
        ("/sessions?from=2024-03-02&to=2024-03-01", 400, "before it begins"),
        ("/sessions?to=9999-12-31", 400, "is no day"),
        ("/sessions?referrer=%00", 400, "NUL"),
        ("/sessions?pipeline=nowhere", 404, "there are webshop, pageviews"),
        ("/sessions?pipeline=%00", 404, "there are webshop, pageviews"),
        ("/orders?pipeline=pageviews", 404, "there are webshop"),
        ("/sessions/nowhere", 404, "no session nowhere"),
        ("/sessions/%00", 404, "no session"),
        ("/quarantine?reason=whim", 400, "no such reason"),
        ("/quarantine?page=x", 400, "a page is a number"),
        ("/charts/nowhere.svg", 400, "no chart nowhere"),
        ("/charts/sessions_over_time.svg?pipeline=live", 404, "there are webshop, pageviews"),
        ("/static/nowhere.css", 404, "no file"),
    ],
)
def test_a_mistake_is_told_on_a_page(client: httpx.Client, path: str, status: int, said: str) -> None:
    """What is wrong, and what there is."""
    answer = client.get(path)
    assert answer.status_code == status
    check_page(answer)
    assert said in text(answer)


def test_a_session_shows_its_events_in_order(client: httpx.Client, published: Place) -> None:
    """They lie in the home, whichever the store."""
    row = published.rows("select session_id from webshop.sessions where actor = 'user-1' and session_number = 2")[0]
    answer = client.get(f"/sessions/{row['session_id']}")
    check_page(answer)
    told = text(answer)
    assert "Session of user-1" in told
    assert re.search(r"0 s 09:00:00.000 3 page_view 20.0 min 09:20:00.000 4 placed_order", told)
    assert "(this one)" in told


def test_a_session_by_key_shows_its_events(client: httpx.Client, published: Place) -> None:
    """The source names the session."""
    row = published.rows("select session_id, events from pageviews.sessions order by events desc, session_id limit 1")[
        0
    ]
    answer = client.get(f"/sessions/{row['session_id']}?pipeline=pageviews")
    assert answer.text.count('<td class="wrap">') % row["events"] == 0
    assert answer.text.count('<td class="wrap">') >= row["events"]


def test_where_no_events_lie_the_page_says_so(published: Place, tmp_path: Path) -> None:
    """The tables are in the database, the home on another machine; or the home lost its events."""
    row = published.rows("select session_id from webshop.sessions limit 1")[0]
    if published.url is None:
        home = shutil.copytree(published.home, tmp_path / "home", ignore=lambda _, names: {"events"} & set(names))
    else:
        home = tmp_path / "other"
    with serving(Place(Path(home), published.url).open()) as client:
        answer = client.get(f"/sessions/{row['session_id']}")
    check_page(answer)
    assert "this service's home has none of them" in text(answer)
    assert "09:20:00" not in text(answer)


def test_numbers_are_told_as_people_read_them(client: httpx.Client) -> None:
    """Headings begin with a capital, times are no ISO, shares are percentages, and numbers stand on the right."""
    told = text(client.get("/sessions"))
    assert "From Sessions Count 1 Mar 2024, 09:00 without an order 1 1 Mar 2024, 09:00 with an order 1 2 Mar" in told
    assert "Sessions Share of the referrer's (direct): 4 sessions, median 25.0 min 30 min 3 75.0 % " in told
    for path in VIEWS:
        page = client.get(path).text
        assert not re.search(r"<td[^>]*>\d{4}-\d\d-\d\d", page), path
        headings = re.findall(r"<th scope=\"col\"[^>]*>([^<]*)", page)
        assert {heading for heading in headings if heading[:1].islower()} <= {"p", "p, adjusted"}, path
        if path in ("/fleet", "/activity"):
            assert re.search(r'<th scope="col" class="n">(Devices|Events)</th>', page)


def test_what_a_good_run_has_to_say_is_no_fault(fresh: Place, tmp_path: Path) -> None:
    """The second one brought nothing new."""
    for _ in range(2):
        publish_visits(fresh, tmp_path)
    with serving(fresh.open()) as client:
        page = client.get("/").text
    assert '<p class="note">nothing that was read is new' in page
    assert 'class="fault"' not in page


def test_what_filters_do_not_touch_is_told_beside_it(client: httpx.Client) -> None:
    """Steps from page to page, and the test of referrers."""
    steps = "filters do not touch these steps"
    assert steps not in text(client.get("/activity"))
    figure = client.get("/activity?from=2022-01-01").text.partition('id="transitions"')[2]
    assert steps in figure.partition("</figcaption>")[0]
    assert "Over all sessions: filters do not touch this test" in text(client.get("/sessions?from=2024-03-01"))


def test_a_browser_is_told_on_a_page_that_nothing_is_there(client: httpx.Client) -> None:
    """With the way to what is; who asks the API gets JSON."""
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    answer = client.get("/nowhere", headers=browser)
    assert answer.status_code == 404
    check_page(answer)
    assert '<a href="/sessions">Sessions</a>' in answer.text
    for path, headers in (("/nowhere", {}), ("/v1/nowhere", browser), ("/nowhere", {"Accept": "application/json"})):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"
    assert client.post("/sessions", headers=browser).json()["code"] == "bad_method"


def test_quarantined_records_show_why(client: httpx.Client) -> None:
    """The offending value is marked; bytes that are no UTF-8 are spelled out."""
    answer = client.get("/quarantine?pipeline=webshop&reason=bad_time")
    assert "<mark>yesterday</mark>" in answer.text
    assert "<mark>\\xff</mark>" in client.get("/quarantine?pipeline=webshop&reason=invalid_utf8").text


def test_the_quarantine_can_be_taken_away_whole(client: httpx.Client) -> None:
    """As `sojourn quarantine export` writes it."""
    answer = client.get("/quarantine.jsonl?pipeline=webshop")
    assert len(answer.text.splitlines()) == 3
    assert answer.headers["content-disposition"] == 'attachment; filename="quarantine.jsonl"'


def test_pages_of_samples_hold_every_record_once(client: httpx.Client) -> None:
    """The next page goes on where this one ends."""
    total = client.get("/v1/quarantine?limit=1000").json()["records"]
    shown, address = 0, "/quarantine"
    while address:
        answer = client.get(address)
        shown += answer.text.count('<article class="card sample">')
        address = next((found["href"] for tag, found in elements(answer.text) if found.get("rel") == "next"), "")
    assert shown == len(total)


def test_a_picture_that_has_not_changed_is_not_sent_again(client: httpx.Client) -> None:
    """Its tag is of the run and of what was chosen."""
    first = client.get("/charts/session_lengths.svg")
    again = client.get("/charts/session_lengths.svg", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["content-security-policy"]
    other = client.get("/charts/session_lengths.svg?theme=dark", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert other.content != first.content


def test_files_of_ours_are_kept_for_good_under_their_own_address(client: httpx.Client) -> None:
    """The address changes with the content."""
    sheet = next(values(client.get("/").text, "link", "href"))
    assert "immutable" in client.get(sheet).headers["cache-control"]
    assert client.get("/static/style.css").headers["cache-control"] == "no-cache"
