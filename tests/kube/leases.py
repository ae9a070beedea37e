"""The API server keeps a Lease, over real HTTP: one object, whose writers must have seen its last version."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from played_api import Asked, Reply, Server, not_found, played, refusal

from gpuprov.core.manifests import LEASE
from gpuprov.kube.leaseobject import HOLDER


class Leases:
    """What the server keeps; ``before_write`` is called once, right before the next write."""

    def __init__(self) -> None:
        self.object: dict[str, Any] | None = None
        self.version = 0
        self.before_write: Callable[[], None] | None = None

    def __call__(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            return not_found(LEASE, "leases") if self.object is None else Reply(body=self.object)
        if self.before_write is not None:
            act, self.before_write = self.before_write, None
            act()
        if asked.method == "POST" and self.object is not None:
            return refusal(409, "AlreadyExists")
        if asked.method == "PUT" and asked.body["metadata"]["resourceVersion"] != str(self.version):
            return refusal(409, "Conflict")
        self.write(asked.body)
        return Reply(201 if asked.method == "POST" else 200, self.object)

    def write(self, body: dict[str, Any]) -> None:
        self.version += 1
        self.object = deepcopy(body)
        self.object["metadata"]["resourceVersion"] = str(self.version)

    def held(self, identity: str, number: int = 7, seconds: int = 30, words: str = "kim@office (gpuprov up)") -> None:
        """Let somebody else have it, in this turn and for so many seconds without being renewed."""
        spec = {"holderIdentity": identity, "leaseDurationSeconds": seconds, "leaseTransitions": number}
        self.write({"metadata": {"name": LEASE, "annotations": {HOLDER: words}}, "spec": spec})

    @property
    def spec(self) -> dict[str, Any]:
        assert self.object is not None
        return self.object["spec"]


@contextmanager
def keeping_leases(folder: Path, monkeypatch) -> Iterator[tuple[Server, Leases]]:
    """Let an API server keep the Lease of the cluster ``samsung-sds``, and this user's notes be in ``folder``."""
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    with played(folder, monkeypatch) as server:
        leases = Leases()
        server.does(leases)
        yield server, leases
