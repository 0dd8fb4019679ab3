"""The console: what people look at, as plain files without a build step, served beside the admin API.

The pages load nothing from anywhere else and hold no script or style of their own; the policy that is sent with them
lets no other in.
"""

from importlib import resources

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-cache",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def console_routes() -> tuple[Route, ...]:
    """Return the routes of the console: ``/`` and, below ``/console/``, its files. They are read once, into memory."""
    folder = resources.files("passband.console") / "static"
    files = {file.name: file.read_bytes() for file in folder.iterdir() if "." in file.name}

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in files:
            return Response("no such page\n", 404, media_type="text/plain")
        return Response(files[name], headers=_HEADERS, media_type=_TYPES[name[name.rindex(".") :]])

    return Route("/", page), Route("/console/{name}", page)
