"""The page at `/` is a few built files of this package, which ask this API and no other host.

Source: `page/`, see its README; the files here are made from it.
"""

import hashlib
from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter, Request, Response

from read_api.edge.problems import Problem

router = APIRouter(include_in_schema=False)

_FOLDER = Path(__file__).parent / "page"

# named here: what the operating system thinks of .js differs, and nosniff makes a wrong type fatal
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".svg": "image/svg+xml",
}

ROOMS = (
    "account",
    "agents",
    "alerts",
    "budgets",
    "collections",
    "content",
    "conversations",
    "customers",
    "devices",
    "events",
    "executions",
    "import",
    "integrations",
    "invoices",
    "leads",
    "logs",
    "maintenance",
    "organizations",
    "quotes",
    "releases",
    "runs",
    "scripts",
    "settings",
    "system",
    "tasks",
    "team",
    "tools",
    "transactions",
    "watches",
    "workflows",
)
"""What the addresses of the page begin with; the script shows the room that the address names."""

_HEADERS = {
    # kept, but asked about each time: the page and the API it speaks to are always of one version
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def page(request: Request, name: str = "index.html") -> Response:
    path = next((file for file in _FOLDER.iterdir() if file.name == name), None)
    if path is None:
        raise Problem(404, f"the page has no file {name[:100]}")
    body = path.read_bytes()
    headers = {**_HEADERS, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=_TYPES[path.suffix], headers=headers)


async def room(request: Request) -> Response:
    """Return the page itself, for an address that was pasted or loaded again."""
    return await to_thread.run_sync(page, request)


router.add_api_route("/page/{name}", page)
# routes without parameters of their own: what an address says behind its ? is read by the script
for first in ("", *ROOMS):
    router.add_route(f"/{first}", room, include_in_schema=False)
for first in ROOMS:
    router.add_route(f"/{first}/{{rest:path}}", room, include_in_schema=False)
