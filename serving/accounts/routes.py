"""The routes under ``/account``: sign in with a password or a provider, the account, sign out."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from secrets import token_urlsafe
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec
from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from itsdangerous import BadData, URLSafeTimedSerializer

from schemas.access.accounts import Account
from schemas.access.audit import AuditRecord
from schemas.access.scopes import PUBLIC, needs
from schemas.access.sessions import LoginSession
from schemas.errors import FreshetError
from schemas.http.access.audit import AuditLog
from schemas.http.access.callers import address_of
from schemas.http.access.session_cookie import SessionCookie, cookies_of
from schemas.http.body import read_body
from schemas.http.problems import ProblemError, as_response
from schemas.ports import Clock
from serving.accounts.pages import HEADERS, page, style
from serving.accounts.provider import Provider
from serving.accounts.sign_in import SignIn, SignInRefused, TooManyTries

_FLOW: Final = "freshet_sign_in"
_FLOW_SECONDS: Final = 600
"""Time for a sign-in, from its page to its end."""
_FORM: Final = 4_096
"""Bytes of a form."""
_FIELDS: Final = 20
_ENCODE: Final = msgspec.json.Encoder().encode
_FOREIGN: Final = "This form did not come from the page, or the page is older than ten minutes. Please try again."


class AccountParts(NamedTuple):
    """What the routes use."""

    sign_in: SignIn
    cookie: SessionCookie
    flows: URLSafeTimedSerializer
    """Signs the cookie of a sign-in that has begun: its form's token, and what a provider must bring back."""
    accounts: Callable[[], dict[str, Account]]
    audit: AuditLog
    clock: Clock
    site_url: str
    """The address of the site as browsers see it, for the way back from the provider."""
    provider: Provider | None
    secure: bool


def build_account_router(parts: AccountParts) -> APIRouter:
    """The routes under ``/account``. They check by themselves who calls, so they are public."""
    router = APIRouter(prefix="/account", include_in_schema=False)
    pages = _AccountPages(parts)
    for path, method, endpoint in (
        ("", "GET", pages.account),
        ("/sign-in", "GET", pages.form),
        ("/sign-in", "POST", pages.check_password),
        ("/provider", "GET", pages.to_provider),
        ("/callback", "GET", pages.from_provider),
        ("/sign-out", "POST", pages.sign_out),
        ("/static/account.css", "GET", pages.style),
    ):
        router.add_api_route(path, needs(PUBLIC)(_answered(endpoint)), methods=[method])
    return router


def build_no_account_router(why: str) -> APIRouter:
    """The routes of a process in which nobody can sign in: each answers why."""
    router = APIRouter(prefix="/account", include_in_schema=False)

    @needs(PUBLIC)
    async def nobody_signs_in() -> Response:
        return as_response(ProblemError(404, "no-sign-in", why))

    for path in ("", "/sign-in"):
        router.add_api_route(path, nobody_signs_in)
    return router


class _AccountPages:
    def __init__(self, parts: AccountParts) -> None:
        self._parts = parts

    async def account(self, request: Request) -> Response:
        """Who is signed in: as a page, or as JSON for whoever asks for that."""
        session, account = self._signed_in(request)
        as_json = "application/json" in request.headers.get("accept", "")
        if session is None or account is None:
            if as_json:
                raise ProblemError(401, "signed-out", "nobody is signed in: open /account/sign-in in a browser")
            return RedirectResponse("/account/sign-in", 303, HEADERS)
        token = self._parts.cookie.csrf_token(session)
        if as_json:
            body = {"name": account.name, "role": account.role, "scopes": sorted(account.scopes), "csrf_token": token}
            return Response(_ENCODE(body), headers=HEADERS, media_type="application/json")
        return page("account.html", name=account.name, role=account.role, csrf_token=token)

    async def form(self, request: Request) -> Response:
        """The form for name and password."""
        return self._form(next_of(request.query_params.get("next", "")))

    async def check_password(self, request: Request) -> Response:
        """Signs in with name and password."""
        self._check_same_origin(request)
        form = await _form_of(request)
        next_path, name = next_of(form.get("next", "")), form.get("name", "")
        token = self._flow(request).get("csrf_token", "")
        if not token or not hmac.compare_digest(token.encode(), form.get("csrf_token", "").encode("utf-8", "replace")):
            return self._form(next_path, 403, name, _FOREIGN)
        try:
            session = await self._parts.sign_in.with_password(name, form.get("password", ""), address_of(request.scope))
        except TooManyTries as refused:
            return self._form(next_path, 429, name, str(refused), {"Retry-After": str(refused.seconds)})
        except SignInRefused as refused:
            await self._note(request, name, "sign-in refused")
            return self._form(next_path, 401, name, str(refused))
        return await self._signed_in_at(request, session, next_path, "signed in")

    async def to_provider(self, request: Request) -> Response:
        """Sends the browser to the provider."""
        provider = self._provider()
        request.scope["session"] = state = {"next": next_of(request.query_params.get("next", ""))}
        redirect = await provider.redirect(request, f"{self._parts.site_url}/account/callback")
        redirect.headers.update(HEADERS)
        return self._with_flow(redirect, state)

    async def from_provider(self, request: Request) -> Response:
        """Signs in who comes back from the provider."""
        request.scope["session"] = flow = self._flow(request)
        next_path = next_of(str(flow.get("next", "")))
        try:
            identity = await self._provider().identity(request)
            session = await self._parts.sign_in.with_identity(identity)
        except FreshetError as refused:
            await self._note(request, "", "sign-in refused")
            return self._form(next_path, 401, "", _sentence(refused))
        return await self._signed_in_at(request, session, next_path, "signed in with the provider")

    async def sign_out(self, request: Request) -> Response:
        """Ends the session in this browser."""
        session, account = self._signed_in(request)
        form = await _form_of(request)
        if session is not None and not self._parts.cookie.has_csrf_token(session, form.get("csrf_token", "")):
            raise ProblemError(403, "csrf", "sign out with the button of the page /account")
        response = RedirectResponse("/account/sign-in", 303, HEADERS)
        self._parts.cookie.remove(response)
        if account is not None:
            await self._note(request, account.name, "signed out")
        return response

    async def style(self, request: Request) -> Response:  # noqa: ARG002 - the signature of an endpoint
        """The style sheet."""
        return style()

    def _check_same_origin(self, request: Request) -> None:
        """Raises ProblemError (403) for a form that a page of another site sends."""
        origin = request.headers.get("origin")
        own = {self._parts.site_url, f"{request.url.scheme}://{request.headers.get('host', '')}"}
        if origin is not None and origin not in own:
            raise ProblemError(403, "origin", "this form belongs to another site")

    def _form(
        self, next_path: str, status: int = 200, name: str = "", fault: str = "", headers: dict[str, str] | None = None
    ) -> Response:
        token, provider = token_urlsafe(24), self._parts.provider
        shown = page(
            "sign_in.html",
            status,
            csrf_token=token,
            next=next_path,
            name=name[:64],
            fault=fault,
            provider=provider.name if provider else "",
        )
        shown.headers.update(headers or {})
        return self._with_flow(shown, {"csrf_token": token})

    async def _signed_in_at(self, request: Request, session: LoginSession, next_path: str, action: str) -> Response:
        response = RedirectResponse(next_path, 303, HEADERS)
        self._parts.cookie.set(response, session)
        response.delete_cookie(_FLOW, path="/account")
        await self._note(request, session.account, action)
        return response

    def _signed_in(self, request: Request) -> tuple[LoginSession | None, Account | None]:
        session = self._parts.cookie.session_of(request.scope)
        account = self._parts.accounts().get(session.account) if session else None
        counts = session is not None and account is not None and account.accepts_session(session.began_at)
        return (session, account) if counts else (None, None)

    def _provider(self) -> Provider:
        if self._parts.provider is None:
            raise ProblemError(404, "no-provider", "this site has no provider: set FRESHET_OIDC_ISSUER and its client")
        return self._parts.provider

    def _flow(self, request: Request) -> dict[str, Any]:
        try:
            flow = self._parts.flows.loads(cookies_of(request.scope).get(_FLOW, ""), max_age=_FLOW_SECONDS)
        except BadData:
            return {}
        return flow if isinstance(flow, dict) else {}

    def _with_flow(self, response: Response, flow: dict[str, Any]) -> Response:
        text = str(self._parts.flows.dumps(flow))
        response.set_cookie(
            _FLOW, text, _FLOW_SECONDS, path="/account", secure=self._parts.secure, httponly=True, samesite="lax"
        )
        return response

    async def _note(self, request: Request, name: str, action: str) -> None:
        known = name.strip().lower() in self._parts.accounts()
        await self._parts.audit(
            AuditRecord(
                at=self._parts.clock(),
                actor_kind="person" if known else "anonymous",
                # A name that is no account's may be a password in the wrong field.
                actor=name.strip().lower() if known else "",
                action=action,
                address=address_of(request.scope),
            )
        )


def next_of(path: str) -> str:
    """The path to go to after a sign-in: one of this site, or the account's page. Another site's address would be a trap."""
    parts = urlsplit(path)
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return path if is_local and path.isprintable() and "\\" not in path else "/account"


def sign_in_address(next_path: str) -> str:
    """The address of the form, from which a person comes back to ``next_path``."""
    return "/account/sign-in?" + urlencode({"next": next_path})


async def _form_of(request: Request) -> dict[str, str]:
    """The first value of each field of a form; raises ProblemError: 400, 413 or 415."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise ProblemError(415, "content-type", "send a form: application/x-www-form-urlencoded")
    body = await read_body(request.stream(), _FORM, f"a form may have {_FORM} bytes")
    try:
        fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise ProblemError(400, "form", f"a form has at most {_FIELDS} fields") from error
    return {name: values[0] for name, values in fields.items()}


def _answered(endpoint: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """The endpoint with its problems as answers."""

    async def answered(request: Request) -> Response:
        try:
            response: Response = await endpoint(request)
        except ProblemError as problem:
            return as_response(problem)
        except FreshetError as error:
            return as_response(ProblemError(503, "provider", str(error), headers={"Retry-After": "5"}))
        return response

    return answered


def _sentence(error: FreshetError) -> str:
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."
