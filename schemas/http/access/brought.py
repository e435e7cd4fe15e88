"""Reads what a request brings to say who calls and from which page."""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Scope

from schemas.access.signing import SCHEME, RequestSignature, parse_signature
from schemas.http.problems import ProblemError

_SINGLE: Final = frozenset(
    {
        *(b"authorization", b"host", b"origin", b"content-type", b"content-encoding"),
        *(b"freshet-user-token", b"x-csrf-token", b"access-control-request-method"),
    }
)
"""Headers that say who calls, from where, or what the body is. A proxy and this process could each take another one of two."""
_BEARER: Final = b"bearer "
_BASIC: Final = b"basic "
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


def refuse_repeated(headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Raises ProblemError (400) if a header that may come once came twice."""
    names = Counter(name for name, _ in headers)
    repeated = next((name for name in sorted(_SINGLE) if names[name] > 1), None)
    if repeated is not None:
        raise ProblemError(400, "repeated-header", f"the header {repeated.decode().title()} came twice; send it once")


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")


def key_in_address(scope: Scope) -> str | None:
    """The value of ``?key=``; None if the address has none."""
    return next(iter(_in_query(scope, "key")), None)


def user_token_in_address(scope: Scope) -> str | None:
    """The value of ``?user_token=``; None if the address has none."""
    return next(iter(_in_query(scope, "user_token")), None)


def users_in_query(scope: Scope) -> list[str]:
    """The values of ``?user_id=``."""
    return _in_query(scope, "user_id")


def _in_query(scope: Scope, name: str) -> list[str]:
    query: bytes = scope["query_string"]
    if name.encode() not in query and b"%" not in query:
        return []
    # Read as the routes read it: a name may be percent-encoded.
    return [value for key, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True) if key == name]


def _basic_name(encoded: bytes) -> str:
    """The name of HTTP Basic, in which Segment's libraries send a key, without a password; empty for anything else."""
    try:
        name, _, password = b64decode(encoded.strip(), validate=True).partition(b":")
    except ValueError:
        return ""
    return "" if password else name.decode("latin-1")


def _credential(authorization: bytes) -> tuple[str | None, RequestSignature | None]:
    start = authorization[: len(_SIGNED)].lower()
    if start.startswith(_BEARER):
        return authorization[len(_BEARER) :].strip().decode("latin-1"), None
    if start.startswith(_BASIC):
        return _basic_name(authorization[len(_BASIC) :]), None
    if start != _SIGNED:
        # Another scheme: an unknown key is refused where one is needed.
        return "", None
    signature = parse_signature(authorization.decode("latin-1"))
    if signature is None:
        detail = f"the signature cannot be read: send '{SCHEME} key=…, timestamp=…, nonce=…, signature=…'"
        raise ProblemError(401, "signature", detail, headers={"WWW-Authenticate": SCHEME})
    return None, signature
