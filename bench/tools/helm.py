"""Helm with a release for each tenant, two at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.measure import Cost
from bench.world import FORFEITED, World, namespace

CHART = str(Path(__file__).parent.parent / "helm-chart")
RELEASES = "bench-helm"
"""The namespace in which Helm keeps its releases: a tenant's own does not exist before its release."""

_AT_ONCE = 2


class Helm:
    """`helm upgrade --install` and `helm uninstall`."""

    name = "helm"

    def __init__(self, world: World) -> None:
        self._world = world
        self._tenants: set[str] = set()

    def prepare(self) -> None:
        """Make the namespace of the releases."""
        self._world.run("kubectl", "create", "namespace", RELEASES)

    def provision(self, cost: Cost) -> None:
        """Install all releases."""
        self._install_all()

    def nothing(self, cost: Cost) -> None:
        """Upgrade all releases to what they are."""
        self._install_all()

    def change(self, cost: Cost) -> None:
        """Upgrade all: Helm does not know which one has changed before it has looked."""
        self._install_all()

    def forfeit(self, cost: Cost) -> None:
        """Uninstall one release and wait."""
        self._uninstall(namespace(FORFEITED))

    def teardown(self, cost: Cost) -> None:
        """Uninstall all releases and wait."""
        self._side_by_side(self._uninstall, sorted(self._tenants))

    def _install_all(self) -> None:
        manifests = self._world.manifests()
        self._side_by_side(lambda name: self._install(name, manifests[name]), manifests)
        self._tenants |= manifests.keys()

    def _install(self, name: str, objects: Collection[object]) -> None:
        values = self._world.folder / f"values-{name}.json"
        values.write_text(json.dumps({"objects": list(objects)}), encoding="utf-8")
        self._world.run("helm", "upgrade", "--install", name, CHART, "--namespace", RELEASES, "--values", str(values))

    def _uninstall(self, name: str) -> None:
        self._world.run("helm", "uninstall", name, "--namespace", RELEASES, "--wait", "--timeout", "30m")
        self._tenants.discard(name)

    def _side_by_side(self, work: Callable[[str], None], names: Collection[str]) -> None:
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            list(pool.map(work, names))
