"""Download one file of a vendor's release: resumable, verified, and quick to give up without a network.

A file is accepted only with a matching SHA-256, from the pin table or from the vendor's checksum file. Until then the
part that was downloaded stays in the unit's ``partial`` folder, so that an interrupted download resumes with HTTP Range
(and If-Range, RFC 9110 section 13.1.5: halves of two different files are never joined).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    IncompleteRead,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from gpuprov.outgoing import LOOPBACK, cause, pool_for
from gpuprov.toolchain.events import SourceFailed

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
"""Seconds to connect, and between two chunks of a response."""

ATTEMPTS = 3
"""How often a transfer may break off before the source fails; each attempt resumes where the last one stopped."""

HOSTS_BEFORE_GIVING_UP = 2
"""After this many unreachable hosts, downloads count as impossible for the rest of the run."""

MAX_BYTES = 1 << 30
MAX_SUMS_BYTES = 4 << 20
CHUNK = 1 << 20
_SHA256_LINE = re.compile(r"^([0-9a-fA-F]{64})(?:\s+\*?(?:\./)?(\S+))?\s*$")

Beat = Callable[[float, str], None]


class _Interrupted(Exception):
    """The transfer broke off; the part on disk is valid."""


@dataclass(frozen=True, slots=True)
class _Part:
    """The downloaded part of one file, and the validator (ETag or Last-Modified) that a resumed download must match."""

    path: Path

    @property
    def note(self) -> Path:
        return self.path.with_name(self.path.name + ".json")

    def resume_headers(self, url: str) -> dict[str, str]:
        try:
            note = json.loads(self.note.read_bytes())
            size = self.path.stat().st_size
            same = note["url"] == url and size > 0
        except (OSError, ValueError, KeyError, TypeError):
            return {}
        return {"Range": f"bytes={size}-", "If-Range": str(note["validator"])} if same else {}

    def begin(self, url: str, headers: Mapping[str, str]) -> None:
        self.drop()
        # A weak ETag does not guarantee identical bytes, so it cannot validate a resumed download.
        validator = headers.get("ETag", "")
        validator = headers.get("Last-Modified", "") if validator.startswith("W/") or not validator else validator
        if validator:
            self.note.write_text(json.dumps({"url": url, "validator": validator}), encoding="utf-8")

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)


class Downloader:
    """Downloads files for one command, and remembers unreachable hosts, so that it waits for each only once."""

    def __init__(self, mirror: str = "", connect_timeout: float = CONNECT_TIMEOUT) -> None:
        self._mirror = mirror.rstrip("/")
        self._timeout = urllib3.Timeout(connect=connect_timeout, read=READ_TIMEOUT)
        self._dead: dict[str, str] = {}

    def address(self, url: str) -> str:
        """Rewrite ``url`` to the mirror, if there is one: ``https://dl.k8s.io/x`` becomes ``<mirror>/dl.k8s.io/x``."""
        return f"{self._mirror}/{url.partition('://')[2]}" if self._mirror else url

    def published_digest(self, sums: str, file_name: str) -> str:
        """Return the SHA-256 that the vendor's checksum file gives for ``file_name``. Raises SourceFailed.

        The file may hold a single digest, lines of ``digest  name``, or GitHub's JSON description of a release, which
        has the digests of its assets. Digests of another length (some vendors publish SHA-1) are not accepted.
        """
        url = self.address(sums)
        try:
            response = self._open(url, {})
        except _Interrupted as error:
            raise SourceFailed(f"{url}: {error}") from error
        try:
            _require_trusted(url, response)
            text = response.read(MAX_SUMS_BYTES, decode_content=True).decode("utf-8", "replace")
        except HTTPError as error:
            raise SourceFailed(f"{url}: {cause(error)}") from error
        finally:
            response.release_conn()
        digest = _digest_in(text, file_name)
        if digest is None:
            raise SourceFailed(f"{url} has no SHA-256 for {file_name}: an unverified file is not used")
        return digest

    def fetch(self, url: str, digest: str, partial: Path, beat: Beat) -> Path:
        """Download ``url`` into the folder ``partial``, verify it, and return its path.

        Raises SourceFailed if the host is unreachable or refuses, if the transfer breaks off ATTEMPTS times (the part
        is kept), or if the SHA-256 is not ``digest`` (the part is deleted: it could never become valid).
        """
        url = self.address(url)
        partial.mkdir(parents=True, exist_ok=True)
        part = _Part(partial / _file_name(url))
        if part.path.is_file() and _sha256(part.path) == digest.lower():
            return part.path
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._transfer(url, part, beat)
                break
            except _Interrupted as error:
                if attempt == ATTEMPTS:
                    raise SourceFailed(f"{url}: broke off {ATTEMPTS} times, last: {error}") from error
        actual = _sha256(part.path)
        if actual != digest.lower():
            part.drop()
            raise SourceFailed(f"{url}: wrong checksum: SHA-256 {actual}, expected {digest.lower()}")
        return part.path

    def _transfer(self, url: str, part: _Part, beat: Beat) -> None:
        asked = part.resume_headers(url)
        response = self._open(url, asked, accepted=(416,))
        try:
            if response.status == 416:  # noqa: PLR2004 (Range Not Satisfiable: the part is not a beginning)
                part.drop()
                raise _Interrupted("the server has fewer bytes than were fetched")
            start = int(asked["Range"][6:-1]) if "Range" in asked else 0
            resumed = start > 0 and response.status == 206  # noqa: PLR2004 (Partial Content)
            if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                part.drop()
                raise _Interrupted("the server sent another range than the one asked for")
            if not resumed:
                part.begin(url, response.headers)
            self._save(response, part.path, beat)
        finally:
            # Not release_conn: a connection with a half-read response must not be reused.
            response.close()

    def _save(self, response: urllib3.BaseHTTPResponse, path: Path, beat: Beat) -> None:
        started = time.monotonic()
        reported = 0.0
        with path.open("ab") as file:
            try:
                for piece in response.stream(CHUNK, decode_content=False):
                    file.write(piece)
                    if file.tell() > MAX_BYTES:
                        raise SourceFailed(f"{response.url}: more than {MAX_BYTES} bytes")
                    if (elapsed := time.monotonic() - started) - reported >= 1:
                        reported = elapsed
                        beat(elapsed, f"{path.name}: {file.tell() / 1e6:.0f} MB")
            except (ProtocolError, IncompleteRead, ReadTimeoutError) as error:
                raise _Interrupted(cause(error)) from error
            finally:
                file.flush()
                os.fsync(file.fileno())

    def _open(self, url: str, headers: Mapping[str, str], accepted: tuple[int, ...] = ()) -> urllib3.BaseHTTPResponse:
        host = urllib.parse.urlsplit(url).netloc
        if len(self._dead) >= HOSTS_BEFORE_GIVING_UP:
            raise SourceFailed(f"downloads do not work in this run: no answer from {', '.join(self._dead)}")
        if host in self._dead:
            raise SourceFailed(self._dead[host])
        try:
            response = pool_for(url, self._timeout).request(
                "GET",
                url,
                headers={"Accept-Encoding": "identity", "User-Agent": "gpuprov", **headers},
                preload_content=False,
                retries=urllib3.Retry(connect=0, read=0, redirect=5, status=0, other=0),
            )
        except (urllib3.exceptions.MaxRetryError, HTTPError) as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(
                reason, NameResolutionError | NewConnectionError | ConnectTimeoutError | ProxyError | SSLError
            ):
                self._dead[host] = f"cannot reach {host}: {cause(reason)}"
                raise SourceFailed(self._dead[host]) from error
            if isinstance(reason, ProtocolError | ReadTimeoutError):
                raise _Interrupted(cause(reason)) from error
            raise SourceFailed(f"{url}: {cause(reason)}") from error
        if response.status in (200, 206, *accepted):
            return response
        response.close()
        raise SourceFailed(f"{url}: HTTP {response.status}")


def _require_trusted(url: str, response: urllib3.BaseHTTPResponse) -> None:
    """Refuse a checksum from plain HTTP: whoever can change the file can change its checksum too."""
    locations = [url]
    for step in response.retries.history if response.retries else ():
        if step.redirect_location:
            locations.append(urllib.parse.urljoin(locations[-1], step.redirect_location))
    for location in locations:
        parts = urllib.parse.urlsplit(location)
        if parts.scheme != "https" and parts.hostname not in LOOPBACK:
            raise SourceFailed(f"{location}: a checksum must come over https")


def _digest_in(text: str, file_name: str) -> str | None:
    if text.lstrip().startswith("{"):
        return _digest_of_asset(text, file_name)
    for line in text.splitlines():
        match = _SHA256_LINE.match(line.strip())
        if match and match.group(2) in (None, file_name):
            return match.group(1).lower()
    return None


def _digest_of_asset(text: str, file_name: str) -> str | None:
    """Parse GitHub's response to "get a release by tag name"; assets older than mid-2025 have no digest."""
    try:
        digests = {asset["name"]: asset.get("digest") for asset in json.loads(text)["assets"]}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    match = re.fullmatch(r"sha256:([0-9a-fA-F]{64})", str(digests.get(file_name)))
    return match.group(1).lower() if match else None


def _file_name(url: str) -> str:
    return urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2] or "file"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
