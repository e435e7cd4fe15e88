"""Reads what a request brings to say who calls and from which page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qs

from starlette.types import Scope

from schemas.access.signing import SCHEME, RequestSignature, parse_signature
from schemas.http.problems import ProblemError

_BEARER: Final = b"bearer "
_SIGNED: Final = SCHEME.lower().encode() + b" "


class Brought(NamedTuple):
    """The headers that matter to access; None for those that are missing."""

    bearer: str | None
    signature: RequestSignature | None
    origin: str | None
    host: bytes
    wanted_method: str | None
    """The method that the preflight of a browser asks for."""
    user_token: str | None
    is_plain_text: bool


def read_brought(headers: Mapping[bytes, bytes]) -> Brought:
    """Returns what a request brings; raises ProblemError (401) for a signature that cannot be read."""
    authorization, origin = headers.get(b"authorization"), _text(headers, b"origin")
    bearer, signature = (None, None) if authorization is None else _credential(authorization)
    return Brought(
        bearer,
        signature,
        None if origin is None else origin.lower(),
        headers.get(b"host", b""),
        _text(headers, b"access-control-request-method"),
        _text(headers, b"freshet-user-token"),
        headers.get(b"content-type", b"")[:10].lower() == b"text/plain",
    )


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def key_in_address(scope: Scope) -> str | None:
    """The value of ``?key=``; None if the address has none."""
    return next(iter(_in_query(scope, "key")), None)


def users_in_query(scope: Scope) -> list[str]:
    """The values of ``?user_id=``."""
    return _in_query(scope, "user_id")


def _in_query(scope: Scope, name: str) -> list[str]:
    query: bytes = scope["query_string"]
    return parse_qs(query.decode("utf-8", "replace")).get(name, []) if name.encode() in query else []


def _credential(authorization: bytes) -> tuple[str | None, RequestSignature | None]:
    start = authorization[: len(_SIGNED)].lower()
    if start.startswith(_BEARER):
        return authorization[len(_BEARER) :].strip().decode("latin-1"), None
    if start != _SIGNED:
        # Another scheme: an unknown key is refused where one is needed.
        return "", None
    signature = parse_signature(authorization.decode("latin-1"))
    if signature is None:
        detail = f"the signature cannot be read: send '{SCHEME} key=…, timestamp=…, nonce=…, signature=…'"
        raise ProblemError(401, "signature", detail, headers={"WWW-Authenticate": SCHEME})
    return None, signature
