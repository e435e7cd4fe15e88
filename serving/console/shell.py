"""The files of the console under ``/console``: one page, its scripts and styles. They hold no data of the site."""

from __future__ import annotations

from hashlib import blake2b
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from schemas.access.scopes import PUBLIC, needs
from schemas.http.access.callers import principal_of
from schemas.http.problems import ProblemError, as_response

_TYPES: Final = {
    ".js": "text/javascript",
    ".json": "application/json",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: https:; connect-src 'self';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
}
_STATIC: Final = files("serving.console").joinpath("static")
_OFF: Final = "The console is off. Switch it on with FRESHET_CONSOLE=true."


def build_shell_router() -> APIRouter:
    """The routes of the page and its files. Who is not signed in where keys count is sent to the form."""
    shell, version = _STATIC.joinpath("console.html").read_bytes(), _version()
    shell = shell.replace(b"{version}", version.encode())
    router = APIRouter(include_in_schema=False)

    @router.get("/console")
    @router.get("/console/")
    @needs(PUBLIC)
    async def console(request: Request) -> Response:
        if principal_of(request.scope).kind == "anonymous":
            return RedirectResponse("/account/sign-in?" + urlencode({"next": "/console"}), 303, _HEADERS)
        return Response(shell, headers={**_HEADERS, "Cache-Control": "no-store"}, media_type="text/html; charset=utf-8")

    @router.get("/console/static/{version}/{name:path}")
    @needs(PUBLIC)
    async def static(version: str, name: str) -> Response:  # noqa: ARG001 - it only changes the address
        return _file(name)

    return router


def build_no_shell_router() -> APIRouter:
    """The route of a process without a console: it says how to switch it on."""
    router = APIRouter(include_in_schema=False)

    @router.get("/console")
    @needs(PUBLIC)
    async def console() -> Response:
        return as_response(ProblemError(404, "switched-off", _OFF))

    return router


def _file(name: str) -> Response:
    """A file of the console; its address changes with its content."""
    content = _CONTENTS.get(name)
    if content is None:
        return as_response(ProblemError(404, "unknown-file", "There is no such file."))
    headers = {**_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}
    return Response(content, headers=headers, media_type=_TYPES[PurePosixPath(name).suffix])


def _contents() -> dict[str, bytes]:
    folders = {"": _STATIC, "pages/": _STATIC.joinpath("pages"), "vendor/": _STATIC.joinpath("vendor")}
    return {
        prefix + file.name: file.read_bytes()
        for prefix, folder in folders.items()
        for file in folder.iterdir()
        if PurePosixPath(file.name).suffix in _TYPES
    }


def _version() -> str:
    digest = blake2b(digest_size=6)
    for name in sorted(_CONTENTS):
        digest.update(name.encode() + b"\0" + _CONTENTS[name])
    return digest.hexdigest()


_CONTENTS: Final = _contents()
"""The files by name. A request never names a path of the file system."""
