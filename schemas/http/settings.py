"""The settings that all HTTP processes share, beside those of all processes."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from schemas.configuration.settings import SharedSettings, comma_separated
from schemas.values.pseudonyms import Pseudonyms

MIN_SECRET: Final = 32
"""Fewest characters of a secret of the site."""


def _networks(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        ip_network(text, strict=False)
    return texts


def _long_enough(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < MIN_SECRET:
        raise ValueError(f"must have at least {MIN_SECRET} characters: make one with `openssl rand -hex 32`")
    return secret


def _site_url(url: str) -> str:
    parts = urlsplit(url)
    if url and (parts.scheme not in {"http", "https"} or not parts.netloc or parts.path.strip("/") or parts.query):
        raise ValueError("write scheme and host without a path, such as https://shop.example")
    return url.rstrip("/")


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(comma_separated)]


class HttpSettings(SharedSettings):
    """Who may call an HTTP process, and how it is reached."""

    insecure: bool = False
    """Whether access is not checked at all: whoever reaches the port may read, write and delete everything."""
    access_secret: Annotated[SecretStr, AfterValidator(_long_enough)] = SecretStr("")
    """The site's secret, at least 32 characters, the same in all processes: what signed requests and tokens of users are checked with. Embedded, one is made in the data folder."""
    id_pepper: Annotated[SecretStr, AfterValidator(_long_enough)] = SecretStr("")
    """A secret, at least 32 characters, the same in all processes: ids of users, guests and sessions are kept as pseudonyms under it (HMAC-SHA-256). It can be set on a new site only, and never changed. Better in a file: `FRESHET_ID_PEPPER_FILE`."""
    user_tokens: bool = False
    """Whether reading about a user with a public key (one with origins) needs a signed token of that user."""
    cors_origins: Names = ()
    """Origins whose pages may call, beside those of the keys; `*` for all. They still need a key."""
    allowed_hosts: Names = ()
    """Names by which a process on loopback without keys may be called, beside `localhost` and `127.0.0.1`."""
    trusted_proxies: Annotated[Names, AfterValidator(_networks)] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` names the client."""
    public_url: Annotated[str, AfterValidator(_site_url)] = ""
    """The address of the online API as browsers see it, such as `https://shop.example`. People sign in over TLS alone, except on this machine."""
    session_hours: Annotated[float, Field(gt=0, le=720)] = 12.0
    """Hours after which a person must sign in again."""
    docs: bool = False
    """Whether `/docs` and `/openapi.json` are served."""

    @property
    def pseudonyms(self) -> Pseudonyms | None:
        """The site's pseudonyms; None if it keeps ids as they are."""
        pepper = self.id_pepper.get_secret_value()
        return Pseudonyms(pepper.encode(), self.placeholder_ids) if pepper else None
