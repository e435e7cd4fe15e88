"""Signs people in with an OpenID Connect provider: authorization code flow with PKCE (RFC 7636), by Authlib."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import Response

from schemas.errors import FreshetError

if TYPE_CHECKING:
    from authlib.integrations.starlette_client import StarletteOAuth2App

_METADATA: Final = "/.well-known/openid-configuration"
_SECONDS: Final = 10.0
"""Longest wait for the provider."""
_ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures that an id token may have. All are asymmetric, so nobody but the provider can make one."""

_log = structlog.get_logger(__name__)


class ProviderFailed(FreshetError):
    """The provider cannot be reached, or what it answered cannot be trusted."""


class ProviderSettings(NamedTuple):
    """The provider, and how it knows this site."""

    issuer: str
    client_id: str
    client_secret: str


class Identity(NamedTuple):
    """Who signed in, as the provider says."""

    issuer: str
    subject: str
    verified_email: str
    """Empty if the provider has not verified the address."""


class Provider:
    """The OpenID Connect provider of a site. ``request.session`` keeps state, nonce and verifier between the two calls."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._client: StarletteOAuth2App | None = None

    @property
    def name(self) -> str:
        """The provider's host, for the page."""
        return urlsplit(self._settings.issuer).netloc

    async def redirect(self, request: Request, callback: str) -> Response:
        """The response that sends the browser to the provider; raises ProviderFailed."""
        try:
            client = await self._ready_client()
            redirect: Response = await client.authorize_redirect(request, callback)
        except ProviderFailed:
            raise
        except Exception as error:
            raise self._failed(error) from error
        return redirect

    async def identity(self, request: Request) -> Identity:
        """Who came back from the provider; raises ProviderFailed.

        Authlib checks the state, then the id token: its signature, issuer, audience, times and nonce.
        """
        try:
            client = await self._ready_client()
            token = await client.authorize_access_token(request)  # type: ignore[no-untyped-call]  # a gap of the stubs
        except ProviderFailed:
            raise
        except Exception as error:
            raise self._failed(error) from error
        claims = token.get("userinfo")
        if not claims or not claims.get("sub"):
            raise ProviderFailed("the provider sent no id token: the scope openid must be allowed for this client")
        email = str(claims.get("email") or "") if claims.get("email_verified") is True else ""
        return Identity(str(claims["iss"]), str(claims["sub"]), email)

    async def _ready_client(self) -> StarletteOAuth2App:
        # Authlib takes a quarter of a second to import, which only sites with a provider pay.
        if self._client is None:
            self._client = _client(self._settings)
        metadata: dict[str, Any] = await self._client.load_server_metadata()
        if metadata.get("issuer") != self._settings.issuer:
            self._client = None
            raise ProviderFailed(
                f"the provider calls itself {metadata.get('issuer')!r}: set FRESHET_OIDC_ISSUER to exactly that, if it is right"
            )
        offered = metadata.get("id_token_signing_alg_values_supported") or ["RS256"]
        metadata["id_token_signing_alg_values_supported"] = [name for name in offered if name in _ALGORITHMS]
        return self._client

    def _failed(self, error: Exception) -> ProviderFailed:
        """The failure as one sentence. The reason stands in the log, because it may hold parts of tokens."""
        _log.warning("sign_in_failed", provider=self.name, reason=f"{type(error).__name__}: {error}")
        return ProviderFailed(f"signing in with {self.name} did not succeed; try again, or ask who runs this site")


def _client(settings: ProviderSettings) -> StarletteOAuth2App:
    from authlib.integrations.starlette_client import OAuth  # noqa: PLC0415 - see above

    registry = OAuth()
    registry.register(
        "provider",
        client_id=settings.client_id,
        client_secret=settings.client_secret,
        server_metadata_url=settings.issuer.rstrip("/") + _METADATA,
        client_kwargs={"scope": "openid email", "code_challenge_method": "S256", "timeout": _SECONDS},
    )
    client: StarletteOAuth2App = registry.create_client("provider")  # type: ignore[no-untyped-call]  # a gap of the stubs
    return client
