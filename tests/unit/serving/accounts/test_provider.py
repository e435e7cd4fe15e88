"""Signing in with an OpenID Connect provider: a real one, on loopback."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey

from schemas.access import accounts


def go_to_provider(browser, next_path: str = "/console") -> str:
    """The address of this site that the provider sends the browser back to."""
    to_provider = browser.get("/account/provider", params={"next": next_path})
    assert to_provider.status_code == 302
    return httpx.get(to_provider.headers["location"]).headers["location"]


def test_a_person_whom_the_provider_knows_is_signed_in_and_the_account_is_bound(site_with_provider, openid):
    site, browser = site_with_provider, site_with_provider.browser()
    answer = browser.get(go_to_provider(browser))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    assert browser.get("/whoami").json() == {"who": "bert"}
    assert site.accounts["bert"].identity == f"{openid.issuer} 42"
    assert [record.action for record in site.audited] == ["signed in with the provider"]


def test_a_bound_account_is_not_opened_by_another_subject_with_its_address(site_with_provider, openid):
    browser = site_with_provider.browser()
    browser.get(go_to_provider(browser))
    openid.person = {"sub": "43", "email": "anna@shop.example", "email_verified": True}
    other = site_with_provider.browser()
    answer = other.get(go_to_provider(other))
    assert answer.status_code == 401
    assert "There is no account for anna@shop.example." in answer.text


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_the_provider_has_not_verified_opens_nothing(site_with_provider, openid, verified):
    openid.person = {"sub": "42", "email": "anna@shop.example", "email_verified": verified}
    browser = site_with_provider.browser()
    assert browser.get(go_to_provider(browser)).status_code == 401
    assert not site_with_provider.accounts["bert"].identity


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"aud": "another client"},
        {"iss": "https://evil.example"},
        {"exp": 1_000_000},
        {"sub": ""},
    ],
)
def test_an_id_token_for_another_purpose_is_refused(site_with_provider, openid, claims):
    openid.claims = claims
    browser = site_with_provider.browser()
    assert browser.get(go_to_provider(browser)).status_code == 401
    assert browser.get("/whoami").json() == {"who": None}


def test_an_id_token_that_somebody_else_signed_is_refused(site_with_provider, openid):
    openid.signing_key = RSAKey.generate_key(2048, {"kid": "1"})
    browser = site_with_provider.browser()
    assert browser.get(go_to_provider(browser)).status_code == 401


def test_the_way_back_works_only_in_the_browser_that_began_and_only_once(site_with_provider):
    browser = site_with_provider.browser()
    callback = go_to_provider(browser)
    assert site_with_provider.browser().get(callback).status_code == 401
    assert browser.get(callback).status_code == 303
    assert browser.get(callback).status_code == 401


def test_a_changed_state_is_refused(site_with_provider):
    browser = site_with_provider.browser()
    callback = go_to_provider(browser)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    assert browser.get(callback.replace(state, state[::-1])).status_code == 401


def test_a_disabled_account_is_refused(site_with_provider):
    site = site_with_provider
    site.accounts["bert"] = accounts.disabled(site.accounts["bert"], site.now)
    browser = site.browser()
    assert browser.get(go_to_provider(browser)).status_code == 401


def test_a_person_who_declines_at_the_provider_gets_the_form_with_a_sentence(site_with_provider):
    answer = site_with_provider.browser().get("/account/callback?error=access_denied&state=x")
    assert answer.status_code == 401
    assert "did not succeed" in answer.text


def test_a_provider_that_is_away_is_a_503_with_a_sentence(site_with_provider, openid):
    openid.close()
    answer = site_with_provider.browser().get("/account/provider")
    assert answer.status_code == 503
    assert "did not succeed" in answer.json()["detail"]


def test_a_provider_that_calls_itself_otherwise_is_not_trusted(site_with_provider, openid):
    openid.issuer = openid.issuer.replace("127.0.0.1", "localhost")
    answer = site_with_provider.browser().get("/account/provider")
    assert answer.status_code == 503
    assert "FRESHET_OIDC_ISSUER" in answer.json()["detail"]


def test_a_site_without_a_provider_says_so(site):
    assert site.browser().get("/account/provider").status_code == 404
    assert "/account/provider" not in site.browser().get("/account/sign-in").text
