"""Signing in with a password, sessions, and forms of other sites."""

from __future__ import annotations

import pytest
from starlette.responses import Response

from schemas.access import accounts
from schemas.access.accounts import Role
from schemas.access.sessions import LoginSession, SessionSigner
from schemas.http.access.session_cookie import SessionCookie
from serving.accounts.routes import next_of
from tests.unit.serving.accounts.conftest import ORIGIN, PASSWORD, SECRET, csrf_token_in, sign_in


def test_the_right_password_opens_a_session_that_says_who_calls(site):
    browser = site.browser()
    answer = sign_in(browser, next="/console")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert browser.get("/whoami").json() == {"who": "anna"}
    account = browser.get("/account", headers={"Accept": "application/json"}).json()
    assert (account["name"], account["role"]) == ("anna", "editor")
    assert [record.action for record in site.audited] == ["signed in"]


@pytest.mark.parametrize(
    ("name", "password"), [("anna", "another long one"), ("nobody", PASSWORD), ("", ""), ("ä\0", "x")]
)
def test_a_wrong_name_and_a_wrong_password_are_refused_in_the_same_words(site, name, password):
    browser = site.browser()
    answer = sign_in(browser, name, password)
    assert answer.status_code == 401
    assert "The name or the password is not right." in answer.text
    assert browser.get("/whoami").json() == {"who": None}
    assert [record.action for record in site.audited] == ["sign-in refused"]


def test_what_was_typed_as_a_name_is_not_audited_unless_it_is_one(site):
    sign_in(site.browser(), "my secret passphrase", "x")
    assert site.audited[0].actor == ""


def test_a_disabled_account_is_refused_and_its_session_ends(site):
    browser = site.browser()
    sign_in(browser)
    site.accounts["anna"] = accounts.disabled(site.accounts["anna"], site.now)
    assert browser.get("/whoami").json() == {"who": None}
    assert sign_in(site.browser()).status_code == 401


def test_a_session_ends_after_its_lifetime(site):
    browser = site.browser()
    sign_in(browser)
    site.now += 3_599
    assert browser.get("/whoami").json() == {"who": "anna"}
    site.now += 1
    assert browser.get("/whoami").json() == {"who": None}


def test_a_change_in_a_session_needs_its_token(site):
    browser = site.browser()
    sign_in(browser)
    token = browser.get("/account", headers={"Accept": "application/json"}).json()["csrf_token"]
    assert browser.post("/whoami").status_code == 403
    assert browser.post("/whoami", headers={"X-CSRF-Token": "0" * 64}).status_code == 403
    assert browser.post("/whoami", headers={"X-CSRF-Token": token}).json() == {"who": "anna"}
    other = site.browser()
    sign_in(other)
    assert other.post("/whoami", headers={"X-CSRF-Token": token}).status_code == 403


def test_a_form_that_another_site_sends_signs_nobody_in(site):
    browser = site.browser()
    form = {"name": "anna", "password": PASSWORD}
    assert browser.post("/account/sign-in", data={**form, "csrf_token": "guessed"}).status_code == 403
    token = csrf_token_in(browser.get("/account/sign-in").text)
    foreign = {"Origin": "https://evil.example"}
    assert browser.post("/account/sign-in", data={**form, "csrf_token": token}, headers=foreign).status_code == 403
    own = {"Origin": ORIGIN}
    assert browser.post("/account/sign-in", data={**form, "csrf_token": token}, headers=own).status_code == 303
    # A token that was shown to another browser is worth nothing here.
    assert site.browser().post("/account/sign-in", data={**form, "csrf_token": token}).status_code == 403


def test_a_body_that_is_no_small_form_is_refused(site):
    browser = site.browser()
    assert browser.post("/account/sign-in", json={"name": "anna"}).status_code == 415
    assert browser.post("/account/sign-in", data={"name": "a" * 5_000}).status_code == 413
    many = "&".join(f"f{number}=1" for number in range(100))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert browser.post("/account/sign-in", content=many, headers=form).status_code == 400


def test_an_address_that_tries_too_often_waits_and_another_does_not(site):
    browser = site.browser()
    answers = [sign_in(browser, password="wrong wrong wrong") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [401] * 10 + [429]
    assert int(answers[-1].headers["retry-after"]) == 30
    site.ticks += 30
    assert sign_in(browser).status_code == 303


def test_signing_out_ends_the_session_in_this_browser_and_needs_its_token(site):
    browser = site.browser()
    sign_in(browser)
    assert browser.post("/account/sign-out", data={"csrf_token": "x"}).status_code == 403
    page = browser.get("/account").text
    assert browser.post("/account/sign-out", data={"csrf_token": csrf_token_in(page)}).status_code == 303
    assert browser.get("/whoami").json() == {"who": None}
    assert browser.get("/account").headers["location"] == "/account/sign-in"


def test_all_sessions_of_an_account_end_together(site):
    browsers = [site.browser(), site.browser()]
    for browser in browsers:
        sign_in(browser)
    site.now += 10
    site.accounts["anna"] = accounts.without_sessions(site.accounts["anna"], site.now)
    assert [browser.get("/whoami").json()["who"] for browser in browsers] == [None, None]


def test_the_pages_have_no_script_and_forbid_it(site):
    answer = site.browser().get("/account/sign-in")
    assert "<script" not in answer.text
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy


def test_what_was_typed_is_escaped_on_the_page(site):
    answer = sign_in(site.browser(), '"><script>alert(1)</script>', "x")
    assert "<script>" not in answer.text


def test_the_cookie_is_out_of_reach_of_scripts(site):
    answer = sign_in(site.browser())
    cookie = next(value for value in answer.headers.get_list("set-cookie") if value.startswith("freshet_session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


def test_over_tls_the_cookie_belongs_to_this_host_alone(site):
    cookie = SessionCookie(SessionSigner(SECRET), dict, lambda: 0.0, 3_600.0, secure=True)
    response = Response()
    cookie.set(response, LoginSession("s", "anna", 0.0))
    text = response.headers["set-cookie"]
    assert text.startswith("__Host-freshet_session=")
    assert "Secure" in text
    assert "Path=/" in text


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "",
        "/a\nb",
    ],
)
def test_a_sign_in_never_leads_to_another_site(path):
    assert next_of(path) == "/account"


def test_a_sign_in_leads_back_to_where_it_began():
    assert next_of("/console/items?query=a&b=%2F") == "/console/items?query=a&b=%2F"


def test_a_role_changes_what_a_signed_in_person_may_do_at_once(site):
    browser = site.browser()
    sign_in(browser)
    site.accounts["anna"] = accounts.with_role(site.accounts["anna"], Role.VIEWER)
    assert browser.get("/account", headers={"Accept": "application/json"}).json()["role"] == "viewer"
