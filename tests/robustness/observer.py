"""Sees every change of quotas, pods and namespaces, through its own connection to the API server, in etcd's order."""

from __future__ import annotations

import json
import secrets
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import urllib3
from history import Entry, History
from sandbox_fixtures import eventually

from gpuprov.core.manifests import AWARD_ID, QUOTA
from gpuprov.core.pods import gpus_of, has_ended
from gpuprov.sandbox.api import Api
from gpuprov.sandbox.controlplane import Layout

GPU = "nvidia.com/gpu"
_AGAIN_SECONDS = 0.1
_TOKEN = "robustness.example.org/token"
_MARKER = "marker"
_PATHS = {"namespace": "namespaces", "quota": "resourcequotas", "pod": "pods"}
_MARKERS: dict[str, tuple[str, dict[str, Any]]] = {
    "namespace": ("/api/v1/namespaces", {}),
    "quota": (f"/api/v1/namespaces/{_MARKER}/resourcequotas", {"spec": {"hard": {"count/configmaps": "9"}}}),
    "pod": (
        f"/api/v1/namespaces/{_MARKER}/pods",
        {"spec": {"schedulingGates": [{"name": "example.org/never"}], "containers": [{"name": "a", "image": "a"}]}},
    ),
}


class Observer:
    """Three watches; `sync` returns once they have seen all that was written before."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._api = Api(layout)
        self._changed = threading.Lock()
        self._history: History | None = None
        for path, more in _MARKERS.values():
            body = {"metadata": {"name": _MARKER}, **more}
            eventually(lambda path=path, body=body: self._api.request("POST", path, body).status in (201, 409))
        self._streams = [_Stream(self, kind) for kind in _PATHS]
        for stream in self._streams:
            stream.start()
        self.sync()

    def close(self) -> None:
        for stream in self._streams:
            stream.ended.set()

    def begin(self, history: History) -> None:
        """Write changes to this history from here on, beginning with all that there is."""
        self.sync()
        with self._changed:
            for stream in self._streams:
                for seen in stream.objects.values():
                    history.add("change", **(seen | {"first": True}))
            self._history = history

    def sync(self) -> None:
        """Wait until every watch has seen what was written before this call."""
        token = secrets.token_hex(8)
        for path, _ in _MARKERS.values():
            patch = {"metadata": {"annotations": {_TOKEN: token}}}
            eventually(lambda path=path, patch=patch: self._patch(f"{path}/{_MARKER}", patch))
        eventually(lambda: all(stream.token == token for stream in self._streams))

    def granted(self) -> dict[str, int]:
        """Return the GPUs that each namespace's quota grants, as of the last change seen."""
        return {seen["namespace"]: seen["gpus"] for seen in self._seen("quota")}

    def namespaces(self) -> dict[str, str]:
        """Return the award of each namespace of ours."""
        return {seen["namespace"]: seen["award"] for seen in self._seen("namespace")}

    def pods(self) -> list[Entry]:
        """Return the pods of awards, with the GPUs that each holds."""
        return self._seen("pod")

    def _seen(self, kind: str) -> list[Entry]:
        with self._changed:
            return [seen for stream in self._streams if stream.kind == kind for seen in stream.objects.values()]

    def note(self, seen: Entry) -> None:
        """Add a change to the history. The caller has the lock."""
        if self._history is not None:
            self._history.add("change", **seen)

    def _patch(self, path: str, patch: dict[str, Any]) -> bool:
        headers = {"Content-Type": "application/merge-patch+json"}
        try:
            body = json.dumps(patch).encode()
            with connect(self._layout) as pool:
                return pool.request("PATCH", path, body=body, headers=headers, timeout=5).status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False


def connect(layout: Layout) -> urllib3.HTTPSConnectionPool:
    """Return a connection of the administrator's own."""
    context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
    context.load_cert_chain(*layout.key_pair("admin"))
    return urllib3.HTTPSConnectionPool("127.0.0.1", port=layout.ports.api, retries=False, ssl_context=context)


class _Stream(threading.Thread):
    """One watch. Where the server has forgotten what came after our last event, everything is listed again."""

    def __init__(self, observer: Observer, kind: str) -> None:
        super().__init__(daemon=True)
        self.observer, self.kind = observer, kind
        self.objects: dict[str, Entry] = {}
        self.token = ""
        self.ended = threading.Event()
        self._version = ""
        self._pool = connect(observer._layout)

    def run(self) -> None:
        while not self.ended.is_set():
            try:
                if not self._version:
                    self._list()
                self._follow()
            except (urllib3.exceptions.HTTPError, OSError, ValueError, KeyError):
                self.ended.wait(_AGAIN_SECONDS)

    def _list(self) -> None:
        answer = self._pool.request("GET", f"/api/v1/{_PATHS[self.kind]}", timeout=10)
        found = json.loads(answer.data)
        version = found["metadata"]["resourceVersion"]
        present = {_uid(item) for item in found["items"]}
        for item in found["items"]:
            self._take(item, gone=False)
        for uid in set(self.objects) - present:
            with self.observer._changed:
                seen = self.objects.pop(uid)
                self.observer.note(seen | {"gone": True, "revision": int(version)})
        self._version = version

    def _follow(self) -> None:
        query = f"watch=1&resourceVersion={self._version}&allowWatchBookmarks=true&timeoutSeconds=300"
        path = f"/api/v1/{_PATHS[self.kind]}?{query}"
        answer = self._pool.request("GET", path, preload_content=False, timeout=urllib3.Timeout(connect=5, read=310))
        try:
            for event in _lines(answer):
                item = event["object"]
                if event["type"] == "ERROR":
                    self._version = ""
                    return
                self._version = item["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self._take(item, gone=event["type"] == "DELETED")
        finally:
            answer.close()

    def _take(self, item: dict[str, Any], *, gone: bool) -> None:
        """Keep what matters of an object, and note it where that has changed."""
        metadata = item["metadata"]
        if metadata["name"] == _MARKER:
            self.token = (metadata.get("annotations") or {}).get(_TOKEN, "")
            return
        seen = _seen(self.kind, item, gone=gone)
        if seen is None:
            return
        with self.observer._changed:
            before = self.objects.get(_uid(item))
            if gone:
                self.objects.pop(_uid(item), None)
            else:
                self.objects[_uid(item)] = seen
            if before is None or gone or before | {"revision": 0} != seen | {"revision": 0}:
                self.observer.note(seen)


def _uid(item: dict[str, Any]) -> str:
    return str(item["metadata"]["uid"])


def _seen(kind: str, item: dict[str, Any], *, gone: bool) -> Entry | None:
    """Return an object as the model needs it; None where it is none of an award's."""
    metadata = item["metadata"]
    seen = {"object": kind, "revision": int(metadata["resourceVersion"]), "gone": gone}
    if kind == "namespace":
        award = (metadata.get("annotations") or {}).get(AWARD_ID)
        return seen | {"namespace": metadata["name"], "uid": metadata["uid"], "award": award} if award else None
    seen |= {"namespace": metadata["namespace"], "name": metadata["name"]}
    if kind == "quota":
        hard = item["spec"].get("hard") or {}
        return seen | {"gpus": int(hard.get(f"requests.{GPU}", 0))} if metadata["name"] == QUOTA else None
    held = 0 if has_ended(item) or not item["spec"].get("nodeName") else gpus_of(item, [GPU]).get(GPU, 0)
    return seen | {"gpus": held}


def _lines(answer: urllib3.BaseHTTPResponse) -> Iterator[dict[str, Any]]:
    """Yield the objects of a watch, each of which is a line."""
    left = b""
    for part in answer.stream(1 << 16):
        *whole, left = (left + part).split(b"\n")
        yield from (json.loads(line) for line in whole if line.strip())
