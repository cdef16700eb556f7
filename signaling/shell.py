"""The web client's files, from memory: known names only, with ETags and compressed once."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

COMPRESSIBLE = (".js", ".css", ".html", ".svg", ".json", ".webmanifest", ".txt")
MISSING = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Consilium</title>
<h1>The web client is not built</h1>
<p>The server runs, but <code>web/static</code> has no <code>index.html</code>. Run <code>make web</code>
(needs Node 20 or newer) and start the server again. Installed packages carry the client already.</p>
"""


@dataclass(frozen=True)
class File:
    """One file as it is sent."""

    body: bytes
    packed: bytes | None
    kind: str
    etag: str
    immutable: bool


class Shell:
    """`folder` is read once, at start."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[str, File] = {}
        if folder.is_dir():
            for path in sorted(folder.rglob("*")):
                name = path.relative_to(folder).as_posix()
                if path.is_file() and not path.is_symlink() and name != "manifest.json" and path.suffix != ".map":
                    self.files[name] = _read(path, immutable=name.startswith("assets/"))
        self.built = "index.html" in self.files

    def page(self, request: web.Request, head: str = "") -> web.Response:
        """The one page, whatever the client-side route; `head` is HTML for its head."""
        file = self.files.get("index.html")
        if file is None:
            return web.Response(text=MISSING, content_type="text/html", status=503)
        if head:
            body = file.body.replace(b"</head>", head.encode() + b"</head>", 1)
            return web.Response(body=body, headers={"Content-Type": file.kind, "Cache-Control": "no-cache"})
        return _answer(request, file)

    def file(self, request: web.Request, name: str) -> web.Response | None:
        """A file by its name, or None."""
        file = self.files.get(name)
        return None if file is None else _answer(request, file)


def _read(path: Path, immutable: bool) -> File:
    body = path.read_bytes()
    packed = None
    if path.suffix in COMPRESSIBLE and len(body) > 512:
        ready = path.with_name(path.name + ".gz")
        packed = ready.read_bytes() if ready.is_file() else gzip.compress(body, 6, mtime=0)
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if path.suffix == ".js":
        kind = "text/javascript"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return File(body, packed, kind, f'"{hashlib.sha256(body).hexdigest()[:20]}"', immutable)


def _answer(request: web.Request, file: File) -> web.Response:
    headers = {
        "Content-Type": file.kind,
        "ETag": file.etag,
        "Cache-Control": "public, max-age=31536000, immutable" if file.immutable else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if file.etag in request.headers.get("If-None-Match", ""):
        return web.Response(status=304, headers=headers)
    if file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        return web.Response(body=file.packed, headers=headers | {"Content-Encoding": "gzip"})
    return web.Response(body=file.body, headers=headers)
