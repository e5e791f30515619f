"""The page itself: a fixed table of files, so that no path can lead anywhere else."""

from __future__ import annotations

import gzip
import hashlib
from importlib import resources

from aiohttp import hdrs, web

from appliance.web.routing import Handler, Route

_TYPES = {"css": "text/css", "js": "text/javascript"}
_STATIC = (
    "theme.js",
    "app.js",
    "answer.js",
    "api.js",
    "dom.js",
    "icons.js",
    "stream.js",
    "texts.js",
    "css/base.css",
    "css/panels.css",
    "panels/access.js",
    "panels/activity.js",
    "panels/backup.js",
    "panels/door.js",
    "panels/findings.js",
    "panels/glance.js",
    "panels/health.js",
    "panels/history.js",
    "panels/knowledge.js",
    "panels/latency.js",
    "panels/logs.js",
    "panels/now.js",
    "panels/reminders.js",
    "panels/report.js",
    "panels/settings.js",
    "panels/usage.js",
    "talk/player.js",
    "talk/player_worklet.js",
    "talk/recorder.js",
    "talk/recorder_worklet.js",
    "talk/resampler.js",
    "talk/talk.js",
    "vendor/uplot.css",
    "vendor/uplot.js",
)
FILES = {
    "/": ("web/static/index.html", "text/html"),
    "/favicon.svg": ("web/static/favicon.svg", "image/svg+xml"),
    "/locales/en.json": ("locales/en.json", "application/json"),
    "/locales/pt.json": ("locales/pt.json", "application/json"),
    **{
        f"/static/{name}": (f"web/static/{name}", _TYPES[name.rpartition(".")[2]])
        for name in _STATIC
    },
}
"""Path -> file in the package, and its type. All of them are shown without log-in: they hold
nothing of the owner's."""
_BINARY = ("image/", "font/", "audio/")


def routes() -> list[Route]:
    """Return the routes of all files."""
    return [Route("GET", path, _file(*entry), "open", max_body=0) for path, entry in FILES.items()]


def _file(name: str, content_type: str) -> Handler:
    body = (resources.files("appliance") / name).read_bytes()
    tag = hashlib.sha256(body).hexdigest()[:20]
    binary = content_type.startswith(_BINARY)
    packed = b"" if binary else gzip.compress(body, mtime=0)
    headers = {hdrs.CACHE_CONTROL: "no-cache", hdrs.VARY: hdrs.ACCEPT_ENCODING}

    async def send(request: web.Request) -> web.Response:
        if any(known.value == tag for known in request.if_none_match or ()):
            response = web.Response(status=304, headers=headers)
        elif packed and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            response = web.Response(body=packed, headers={**headers, hdrs.CONTENT_ENCODING: "gzip"})
        else:
            response = web.Response(body=body, headers=headers)
        if response.status != 304:  # noqa: PLR2004
            response.content_type = content_type
            if not binary:
                response.charset = "utf-8"
        response.etag = tag
        return response

    return send
