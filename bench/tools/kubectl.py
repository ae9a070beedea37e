"""kubectl with one file of all objects, applied by the server."""

from __future__ import annotations

import json

from bench.measure import Cost
from bench.world import FORFEITED, SELECTOR, World, namespace


class Kubectl:
    """`kubectl apply --server-side` and `kubectl delete namespace`."""

    name = "kubectl"

    def __init__(self, world: World) -> None:
        self._world = world

    def prepare(self) -> None:
        """Nothing: the file is written with each step."""

    def provision(self, cost: Cost) -> None:
        """Apply the file."""
        self._apply()

    def nothing(self, cost: Cost) -> None:
        """Apply it again."""
        self._apply()

    def change(self, cost: Cost) -> None:
        """Apply the whole file again, as one does who has a list and does not know what of it changed."""
        self._apply()

    def forfeit(self, cost: Cost) -> None:
        """Delete one namespace and wait."""
        self._world.run("kubectl", "delete", "namespace", namespace(FORFEITED))

    def teardown(self, cost: Cost) -> None:
        """Delete all namespaces and wait."""
        self._world.run("kubectl", "delete", "namespace", "--selector", SELECTOR)

    def _apply(self) -> None:
        items = [one for objects in self._world.manifests().values() for one in objects]
        path = self._world.folder / "all.json"
        path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), encoding="utf-8")
        self._world.run("kubectl", "apply", "--server-side", "--force-conflicts", "--filename", str(path))
