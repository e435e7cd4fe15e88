"""The OpenAPI document of every process says of each operation what the check of access does."""

from __future__ import annotations

import itertools

import pytest

from schemas.access.decision import AccessPolicy, Credentials, Refusal, decide
from schemas.access.keys import ENTROPY_BYTES, make_key
from schemas.access.scopes import PUBLIC, AccessRule, Scope
from schemas.access.view import AccessView
from schemas.http.access.described import MODELS_TOKEN, SCHEMES
from schemas.http.access.rules import rule_of_route
from tests.unit.architecture.applications import applications

KEYS = {scope: make_key(bytes([number]) * ENTROPY_BYTES, [scope], 0.0) for number, scope in enumerate(Scope)}
VIEW = AccessView(log_id="log", keys={key.record.id: key.record for key in KEYS.values()}, had_keys=True)


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    with applications(tmp_path_factory.mktemp("site")) as made:
        yield made


def operations(app):
    rules = {
        (r.path_format, m): rule_of_route(r)
        for r in app.state.rules.routes
        if hasattr(r, "path_format")
        for m in r.methods
    }
    for path, by_method in app.openapi()["paths"].items():
        for method, operation in by_method.items():
            yield f"{method.upper()} {path}", operation, rules[path, method.upper()]


def scopes_that_open(rule: AccessRule, **credential) -> set[str]:
    """The scopes with which the check of access lets a request in."""
    name = next(iter(credential))
    opened = set()
    for scope, key in KEYS.items():
        text = key.record.id if name == "signed_by" else key.text
        decided = decide(rule, Credentials(**{name: text}), VIEW, AccessPolicy(), 1.0)
        if not isinstance(decided, Refusal):
            opened.add(str(scope))
    return opened


def test_each_operation_names_just_the_scopes_that_open_it(apps):
    seen = 0
    for app in apps.values():
        for name, operation, rule in operations(app):
            if rule == PUBLIC:
                assert operation["security"] in ([], MODELS_TOKEN), name
                continue
            documented: dict[str, set[str]] = {}
            for requirement in operation["security"]:
                for scheme, scopes in requirement.items():
                    documented.setdefault(scheme, set()).update(scopes)
            for scheme, credential in (("key", "bearer"), ("signature", "signed_by"), ("keyInAddress", "in_address")):
                opening = scopes_that_open(rule, **{credential: ""})
                assert documented.get(scheme, set()) | {"admin"} == opening | {"admin"}, (name, scheme)
            seen += 1
    assert seen > 40


def test_every_operation_documents_what_the_check_answers(apps):
    for app in apps.values():
        document = app.openapi()
        for name, operation, _ in operations(app):
            assert {"400", "401", "403", "421", "429", "503"} <= operation["responses"].keys(), name
            if "requestBody" in operation:
                assert "415" in operation["responses"], name
        for response, scheme in itertools.product(document["components"]["responses"].values(), SCHEMES):
            assert list(response["content"]) == ["application/problem+json"]
            assert scheme in document["components"]["securitySchemes"]


def test_a_change_in_a_session_documents_its_token(apps):
    for name, operation, rule in operations(apps["embedded"]):
        of_sessions = [requirement for requirement in operation["security"] if "session" in requirement]
        assert bool(of_sessions) == (not rule.is_public), name
        assert all(("csrf" in requirement) != name.startswith("GET ") for requirement in of_sessions), name
