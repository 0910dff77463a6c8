"""Where tokens are needed, a person gives one on a page; the browser's cookie then counts for looking alone."""

from collections.abc import Iterator
from http.cookies import SimpleCookie

import httpx
import pytest

from sojourn.store.readings import Limits
from sojourn.web.access import Access, read_tokens
from sojourn.web.app import make_app
from sojourn.web.service import Service
from tests.service.dashboard.html import check_page, values
from tests.service.serving import running
from tests.store.places import Place

TOKENS = "good:read, writer:ingest, narrow:read:visit-1, all"


@pytest.fixture
def asking(published: Place) -> Iterator[httpx.Client]:
    """A client of a service with tokens, as a browser that has none yet."""
    store = published.open()
    app = make_app(Service(store, access=Access(read_tokens(TOKENS, "test"))))
    with store.kept_open(Limits()), running(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_who_has_no_token_is_asked_for_one(asking: httpx.Client) -> None:
    """No page, picture or file tells anything; the form leads back to where one was."""
    for path in ("/", "/sessions?from=2024-03-01", "/charts/session_lengths.svg", "/quarantine.jsonl", "/live"):
        answer = asking.get(path)
        assert answer.status_code == 401
        check_page(answer)
        assert [path] == [at for at in values(answer.text, "input", "value") if at]


def test_what_can_be_asked_is_told_to_all(asking: httpx.Client) -> None:
    """It says nothing of the data."""
    for path in ("/docs", "/openapi.json"):
        assert asking.get(path).status_code == 200


def test_a_good_token_is_kept_in_a_cookie(asking: httpx.Client) -> None:
    """No script reads it, no other site sends it; one is led back."""
    answer = asking.post("/sign-in", data={"token": " good ", "to": "/sessions?from=2024-03-01"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/sessions?from=2024-03-01"
    cookie = SimpleCookie(answer.headers["set-cookie"])["sojourn_token"]
    assert (cookie["httponly"], cookie["samesite"], cookie["secure"], cookie["path"]) == (True, "strict", "", "/")
    page = asking.get("/sessions")
    assert page.status_code == 200
    assert "Sign out" in page.text


def test_over_tls_the_cookie_is_for_tls_alone(asking: httpx.Client) -> None:
    """As a proxy on this machine tells."""
    answer = asking.post("/sign-in", data={"token": "good"}, headers={"X-Forwarded-Proto": "https"})
    assert SimpleCookie(answer.headers["set-cookie"])["sojourn_token"]["secure"] is True


@pytest.mark.parametrize(
    ("token", "said"), [("wrong", "not known"), ("writer", "may ingest"), ("narrow", "alone"), ("", "needed")]
)
def test_a_token_that_may_not_read_all_is_refused(asking: httpx.Client, token: str, said: str) -> None:
    """It says why, and keeps nothing."""
    answer = asking.post("/sign-in", data={"token": token, "to": "/orders"})
    assert answer.status_code == 401
    assert said in answer.text
    assert "set-cookie" not in answer.headers
    check_page(answer)


@pytest.mark.parametrize(
    "to", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
def test_nobody_is_led_elsewhere(asking: httpx.Client, to: str) -> None:
    """After signing in one stays here."""
    answer = asking.post("/sign-in", data={"token": "good", "to": to})
    assert answer.headers["location"] == "/"


def test_signing_out_forgets_the_token(asking: httpx.Client) -> None:
    """The next page asks again."""
    asking.post("/sign-in", data={"token": "good"})
    assert asking.get("/").status_code == 200
    assert asking.post("/sign-out").status_code == 303
    assert asking.get("/").status_code == 401


def test_the_cookie_counts_for_looking_alone(asking: httpx.Client) -> None:
    """Even of a token that may do everything: other sites' pages can make a browser send it along."""
    asking.post("/sign-in", data={"token": "all"})
    assert asking.get("/v1/tables").status_code == 200
    assert asking.get("/").status_code == 200
    access = Access(read_tokens(TOKENS, "test"))
    scope = {"type": "http", "method": "GET", "headers": [(b"cookie", b"a=b; sojourn_token=all")]}
    assert access.denied(scope, "read") is None
    for other in ({"method": "POST"}, {"type": "websocket"}, {"method": "DELETE"}):
        assert access.denied({**scope, **other}, "read") is not None
    assert access.denied(scope, "ingest") is not None


def test_forms_of_other_sites_are_refused(asking: httpx.Client) -> None:
    """A browser says where a form comes from."""
    for path in ("/sign-in", "/sign-out"):
        answer = asking.post(path, data={"token": "good"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 403


def test_who_comes_from_another_site_can_go_on(asking: httpx.Client) -> None:
    """A browser does not send the cookie with a shared link's first request: the page says so."""
    answer = asking.get("/orders?from=2024-03-01", headers={"Sec-Fetch-Site": "cross-site"})
    assert "/orders?from=2024-03-01" in list(values(answer.text, "a", "href"))


def test_a_long_form_is_refused(asking: httpx.Client) -> None:
    """Nobody's token is that long."""
    assert asking.post("/sign-in", data={"token": "x" * 10_000}).status_code == 400


def test_without_tokens_there_is_nothing_to_sign_in_to(client: httpx.Client) -> None:
    """The form leads on."""
    assert client.post("/sign-in", data={"token": "x", "to": "/orders"}).headers["location"] == "/orders"
