"""The pages of an account, and the headers that all of them carry."""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Final

from fastapi.responses import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

_STYLE: Final = files("serving.accounts").joinpath("static", "account.css").read_bytes()
_POLICY: Final = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Headers of all answers under ``/account``. The pages have no script at all."""

_TEMPLATES: Final = Environment(loader=PackageLoader("serving.accounts"), autoescape=True, undefined=StrictUndefined)


def page(template: str, status: int = 200, **values: Any) -> Response:
    """A page of this template."""
    html = _TEMPLATES.get_template(template).render(**values)
    return Response(html.encode("utf-8", "replace"), status, HEADERS, "text/html; charset=utf-8")


def style() -> Response:
    """The style sheet of the pages."""
    return Response(_STYLE, headers={**HEADERS, "Cache-Control": "public, max-age=3600"}, media_type="text/css")
