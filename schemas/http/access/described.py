"""What the OpenAPI document says of access, from the rules that the check of access applies."""

from __future__ import annotations

from typing import Any, Final

from schemas.access.decision import USER_HEADER
from schemas.access.scopes import MEANINGS, AccessRule, Scope
from schemas.access.signing import SCHEME
from schemas.http.access.session_cookie import CSRF_HEADER, NAME, SAFE_METHODS
from schemas.http.api import Problem
from schemas.http.problems import MEDIA_TYPE

_SCOPES: Final = " ".join(f"`{scope}`: {meaning}" for scope, meaning in MEANINGS.items())
SCHEMES: Final[dict[str, dict[str, str]]] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": f"A key of the site, with one of the scopes of the operation. It may also be the name of HTTP Basic. {_SCOPES}",
    },
    "keyInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "A key that may do nothing but send events. For beacons, which have no headers.",
    },
    "signature": {
        "type": "http",
        "scheme": SCHEME,
        "description": "A signature with the secret of a key, which then need not travel; docs/access.md has a recipe.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": NAME,
        "description": "The session of a person; over TLS the cookie's name begins with __Host-. The role gives the scopes.",
    },
    "csrf": {
        "type": "apiKey",
        "in": "header",
        "name": CSRF_HEADER,
        "description": "What a change in a session needs beside it: `csrf_token` of GET /account.",
    },
    "modelsToken": {"type": "http", "scheme": "bearer", "description": "The token of FRESHET_MODELS_TOKEN."},
}
"""The ways in which a caller says who it is, by name."""
MODELS_TOKEN: Final[list[dict[str, list[str]]]] = [{"modelsToken": []}]
"""What an operation needs that checks the token of models by itself."""

_STATUSES: Final = {
    401: ("NoKey", "Without a key of this site, a signature or a session that counts, or without the user's token"),
    403: ("NotAllowed", "Beyond the scopes of the key or the role, or from a page that may not use it"),
    421: ("NotThisName", "A site without keys answers to the names of its own machine alone"),
    429: ("TooMany", "Too many from this client: see Retry-After"),
    503: ("NotNow", "Busy or away, or the keys are not known yet: see Retry-After"),
}
"""Problems that the check of access answers itself: by status, their name among the components, and their meaning."""
_TOKEN: Final = {
    "name": USER_HEADER,
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "A token of the user, signed by the site, where the key needs one.",
}


def components() -> dict[str, Any]:
    """The components that ``describe`` refers to."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    responses = {name: {"description": meaning, "content": content} for name, meaning in _STATUSES.values()}
    return {"securitySchemes": SCHEMES, "responses": responses}


def describe(operation: dict[str, Any], method: str, rule: AccessRule, *, is_open: bool) -> None:
    """Adds to an operation who may call it, and what others are answered. ``is_open``: nobody is asked for a key now."""
    own: list[dict[str, list[str]]] = operation.get("security", [])
    operation["security"] = own or security_of(rule, method, is_open=is_open)
    if rule.of_user or rule.beacons:
        operation["parameters"] = [*operation.get("parameters", ()), _TOKEN]
    responses = operation["responses"]
    for status, (name, _) in _STATUSES.items():
        responses.setdefault(str(status), {"$ref": f"#/components/responses/{name}"})


def security_of(rule: AccessRule, method: str, *, is_open: bool) -> list[dict[str, list[str]]]:
    """The security requirements of a route with this rule, of which one suffices; none if everybody may call it."""
    if rule.is_public:
        return []
    beside: dict[str, list[str]] = {} if method in SAFE_METHODS else {"csrf": []}
    requirements: list[dict[str, list[str]]] = [{}] if is_open else []
    for scope in sorted(map(str, rule.scopes - {Scope.ADMIN})) or [str(Scope.ADMIN)]:
        requirements += [{"key": [scope]}, {"signature": [scope]}, {"session": [scope], **beside}]
        requirements += [{"keyInAddress": [scope]}] if rule.beacons else []
    return requirements
