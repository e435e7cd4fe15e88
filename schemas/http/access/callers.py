"""Who sent a request, for routes and limits: the principal of the check, and the name of the client that limits count."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv6Address
from typing import Final

from starlette.types import Scope

from schemas.access.principal import LOOPBACK, Principal
from schemas.access.scopes import AccessRule
from schemas.http.problems import ProblemError

_PRINCIPAL: Final = "freshet.principal"
_BEACON: Final = "freshet.beacon"
_LONGEST: Final = 64
"""Characters of an address that are kept: a proxy that is trusted by mistake hands on what a client makes up."""
_HOST_BITS: Final = 64
"""Bits of an IPv6 address that its owner chooses at will."""


def set_principal(scope: Scope, principal: Principal) -> None:
    """Hands the principal on to the route."""
    scope[_PRINCIPAL] = principal


def principal_of(scope: Scope) -> Principal:
    """Who calls. In an application that was built without the check, everybody may do everything."""
    principal: Principal = scope.get(_PRINCIPAL, LOOPBACK)
    return principal


def require(scope: Scope, rule: AccessRule) -> None:
    """Raises ProblemError (403) if the caller may not do what this rule asks; for routes that answer more than one thing."""
    principal = principal_of(scope)
    if not principal.may(rule):
        detail = f"this needs the scope {' or '.join(sorted(rule.scopes))}"
        raise ProblemError(403, "scope", detail)


def allow_plain_text(scope: Scope) -> None:
    """Lets the body of a request be text/plain: browsers send beacons so."""
    scope[_BEACON] = True


def may_be_plain_text(scope: Scope) -> bool:
    """True if the body of this request may be text/plain."""
    return _BEACON in scope


def address_of(scope: Scope) -> str:
    """The client's address; of IPv6 the network of its site, because a client has as many addresses there as it likes."""
    client = scope.get("client")
    host: str = client[0][:_LONGEST] if client else ""
    return _network(host) if ":" in host else host


def _network(host: str) -> str:
    try:
        address = IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return host
    return str(address.ipv4_mapped or IPv6Address(int(address) >> _HOST_BITS << _HOST_BITS))
