"""Decides on a request: who calls, or why the request is refused."""

from __future__ import annotations

from typing import Final, NamedTuple

from schemas.access.keys import AccessKey
from schemas.access.principal import ANONYMOUS, INSECURE, LOOPBACK, NO_SPEAKER, Principal, Speaker
from schemas.access.scopes import AccessRule, Scope
from schemas.access.signing import parse_user_token, signing_secret
from schemas.access.view import AccessView

AUTHORIZATION: Final = "'Authorization: Bearer KEY'"
USER_HEADER: Final = "Freshet-User-Token"


class Credentials(NamedTuple):
    """What a request brings to say who calls. A signature is checked before, because it needs the body."""

    bearer: str | None = None
    """The key's text in the Authorization header."""
    in_address: str | None = None
    """The key's text in ``?key=``; looked at only where the route's rule allows it."""
    origin: str | None = None
    """The Origin header, in lower case."""
    signed_by: str | None = None
    """The id of the key whose signature is right."""
    user_token: str | None = None
    person: Principal | None = None
    """The person of a session, once the session is checked."""


class AccessPolicy(NamedTuple):
    """What the site's settings say of access."""

    insecure: bool = False
    """True: access is not checked."""
    loopback: bool = False
    """True if only this machine can reach the process; it is open as long as the site never had a key."""
    user_tokens: bool = False
    """True: with a public key, a call about one user needs a token of that user."""
    site_secret: bytes = b""
    """Derives the secrets of signatures; empty: nothing can be signed."""


class Refusal(NamedTuple):
    """Why a request is refused: status, a code for programs, and a sentence that says what to do."""

    status: int
    code: str
    sentence: str


NOT_A_KEY: Final = Refusal(
    401, "unknown-key", "this key is not one of this site; `freshet keys list` shows the ids of its keys"
)


def everybody(view: AccessView, policy: AccessPolicy) -> Principal | None:
    """The principal of all requests where nobody is asked for a key; None where keys count."""
    if policy.insecure:
        return INSECURE
    return LOOPBACK if policy.loopback and view.is_known and not view.had_keys else None


def decide(
    rule: AccessRule,
    credentials: Credentials,
    view: AccessView,
    policy: AccessPolicy,
    now: float,
    user_ids: frozenset[str] = frozenset(),
) -> Principal | Refusal:
    """Returns who calls, or why not. ``user_ids`` are the users whose data the request names; see ``needs_user_token``."""
    if (principal := everybody(view, policy)) is not None:
        return principal
    if not view.is_known:
        return ANONYMOUS if rule.is_public else _UNKNOWN
    if credentials.person is not None and credentials.bearer is None and credentials.signed_by is None:
        return _within(rule, credentials.person)
    key = _key_of(rule, credentials, view)
    if rule.is_public:
        return _principal(key) if isinstance(key, AccessKey) and key.is_live(now) else ANONYMOUS
    if isinstance(key, Refusal):
        return key
    refusal = _fault_of(key, credentials, now)
    speaker = _speaker(credentials, rule, view, policy, now) if needs_user_token(key, policy) else None
    if refusal is None and speaker is not None and not all(map(speaker.is_for, user_ids)):
        refusal = _WRONG_TOKEN if parse_user_token(credentials.user_token or "") else _NO_TOKEN
    return refusal or _within(rule, _principal(key, speaker if key.needs_user_token else None))


def needs_user_token(key: AccessKey, policy: AccessPolicy) -> bool:
    """True if a call about one user needs a token of that user, with this key."""
    return key.needs_user_token or (policy.user_tokens and key.is_public)


def _key_of(rule: AccessRule, credentials: Credentials, view: AccessView) -> AccessKey | Refusal:
    if credentials.signed_by is not None:
        return view.keys.get(credentials.signed_by) or NOT_A_KEY
    text = credentials.bearer
    if text is None and rule.beacons:
        text = credentials.in_address
    if text is None:
        return _NO_KEY
    return view.find(text) or NOT_A_KEY


def _fault_of(key: AccessKey, credentials: Credentials, now: float) -> Refusal | None:
    if not key.is_live(now):
        how = "was revoked" if key.revoked_at is not None else "has expired"
        return Refusal(401, "key-ended", f"the key {key.id} {how}; use another one")
    in_address = credentials.bearer is None and credentials.signed_by is None
    if in_address and not key.only_sends_events:
        return Refusal(
            403, "key-in-address", f"the key {key.id} may do more than send events, so send it as {AUTHORIZATION}"
        )
    if key.origins and credentials.origin not in key.origins:
        whence = f"of {credentials.origin}" if credentials.origin else "without an Origin header"
        return Refusal(
            403, "origin", f"the key {key.id} is for pages of {', '.join(key.origins)}, not for one {whence}"
        )
    return None


def _speaker(credentials: Credentials, rule: AccessRule, view: AccessView, policy: AccessPolicy, now: float) -> Speaker:
    """The token that a request brought, if a live key signed it that may do by itself what the rule asks."""
    token = parse_user_token(credentials.user_token or "")
    signer = None if token is None else view.keys.get(token.key_id)
    if signer is None or not signer.is_live(now) or not _principal(signer).may(rule) or not policy.site_secret:
        return NO_SPEAKER
    return Speaker(token, signing_secret(policy.site_secret, signer.id), now)


def _within(rule: AccessRule, principal: Principal) -> Principal | Refusal:
    if principal.may(rule):
        return principal
    needed = " or ".join(sorted(rule.scopes - {Scope.ADMIN})) or Scope.ADMIN
    has = ", ".join(sorted(principal.scopes)) or "none"
    who = f"the key {principal.who}" if principal.kind == "key" else principal.who
    return Refusal(403, "scope", f"this needs the scope {needed}; {who} has {has}")


def _principal(key: AccessKey, speaker: Speaker | None = None) -> Principal:
    return Principal(key.id, "key", frozenset(key.scopes), key.is_public, speaker)


_UNKNOWN: Final = Refusal(
    503, "keys-unknown", "the keys of this site are not known yet, because the log does not answer"
)
_NO_KEY: Final = Refusal(401, "no-key", f"this needs a key: send {AUTHORIZATION}; `freshet keys create` makes one")
_NO_TOKEN: Final = Refusal(
    401, "no-user-token", f"with this key the call needs a token of the user: send it as '{USER_HEADER}: TOKEN'"
)
_WRONG_TOKEN: Final = Refusal(
    401, "user-token", "the user's token is expired, signed by an unknown key, or of another user"
)
