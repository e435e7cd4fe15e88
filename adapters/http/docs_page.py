"""The page ``/docs``: Swagger UI 5.35.0 (swagger-ui-dist, Apache-2.0), served by the process itself, without the internet.

In ``swagger/`` are its files as published, without their source maps, with their licences, and our page and start script.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

from schemas.access.scopes import PUBLIC, needs
from schemas.http.problems import ProblemError, as_response

_FOLDER: Final = files("adapters.http").joinpath("swagger")
_TYPES: Final = {
    "docs.js": "text/javascript",
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon-32x32.png": "image/png",
    "LICENSE.txt": "text/plain",
    "NOTICE.txt": "text/plain",
    "THIRD-PARTY.txt": "text/plain",
}
# Swagger UI writes styles into its elements, so those cannot be forbidden.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


def build_docs_router(title: str) -> APIRouter:
    """The routes of the page and its files, for everybody: whoever switches the description on shows it to everybody."""
    page = _FOLDER.joinpath("docs.html").read_text(encoding="utf-8").replace("{title}", title)
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    @needs(PUBLIC)
    async def docs() -> Response:
        return Response(page, headers=_HEADERS, media_type="text/html; charset=utf-8")

    @router.get("/docs/static/{name}")
    @needs(PUBLIC)
    async def static(name: str) -> Response:
        if name not in _TYPES:
            return as_response(ProblemError(404, "unknown-file", "There is no such file of the description."))
        return Response(_FOLDER.joinpath(name).read_bytes(), headers=_HEADERS, media_type=_TYPES[name])

    return router
