"""A vendor's release server on loopback, with the faults that real ones have."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Vendor:
    """Files by path, and what goes wrong. ``log`` has (path, Range header or "") of every request."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    redirects: dict[str, str] = field(default_factory=dict)
    etag: str = '"one"'
    cut: list[int] = field(default_factory=list)
    log: list[tuple[str, str]] = field(default_factory=list)
    base: str = ""

    def publish(self, path: str, content: bytes, sums: str | None = None, digest: str | None = None) -> None:
        """Put a file on the server, and its checksum (a wrong one if ``digest`` is given) in ``sums``."""
        self.files[path] = content
        if sums is not None:
            line = f"{digest or hashlib.sha256(content).hexdigest()}  {path.rpartition('/')[2]}\n"
            self.files[sums] = self.files.get(sums, b"") + line.encode()

    def asked(self, path: str) -> list[str]:
        """Return the Range headers with which ``path`` was asked for, in order."""
        return [given for asked, given in self.log if asked == path]


@contextmanager
def serving(vendor: Vendor, host: str = "127.0.0.1") -> Iterator[Vendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given = self.headers.get("Range", "")
            vendor.log.append((self.path, given))
            if self.path in vendor.redirects:
                self.send_response(302)
                self.send_header("Location", vendor.redirects[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = vendor.files.get(self.path)
            if content is None:
                self.send_response(404)
                self.end_headers()
                return
            start = 0
            if vendor.ranges and given and self.headers.get("If-Range") == vendor.etag:
                start = int(given.removeprefix("bytes=").rstrip("-"))
            if start > len(content) or (start and start == len(content)):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            if vendor.ranges:
                self.send_header("ETag", vendor.etag)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            body = content[start:]
            # Only the large files break off: the connection is closed in the middle of the promised length.
            if vendor.cut and len(content) > 10_000:
                body = body[: vendor.cut.pop(0)]
            self.wfile.write(body)

        def log_request(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((host, 0), Handler)
    vendor.base = f"http://{host}:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def tarball(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
    """Pack files (and symbolic links, name to target) into a tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, target in (links or {}).items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
