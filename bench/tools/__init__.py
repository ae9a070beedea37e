"""The tools that are compared: each brings the same tenants about in its own usual way."""

from __future__ import annotations

from typing import Protocol

from bench.measure import Cost
from bench.tools.gpuprov import Before, Gpuprov
from bench.tools.helm import Helm
from bench.tools.kubectl import Kubectl
from bench.tools.plain import Plain
from bench.tools.terraform import Terraform
from bench.world import World


class Tool(Protocol):
    """One tool on one fresh cluster. A step raises bench.world.WrongState or TooLong where it fails."""

    name: str

    def __init__(self, world: World) -> None: ...

    def prepare(self) -> None:
        """Do what is done once in a project's life, and not in each run: not measured."""

    def provision(self, cost: Cost) -> None:
        """Bring all awards about, from an empty cluster."""

    def nothing(self, cost: Cost) -> None:
        """Bring the same list about again."""

    def change(self, cost: Cost) -> None:
        """Bring the list about in which one award has fewer GPUs."""

    def forfeit(self, cost: Cost) -> None:
        """Take one award back, on which a pod runs, and return when its namespace is gone."""

    def teardown(self, cost: Cost) -> None:
        """Take everything back, and return when it is gone."""


TOOLS: dict[str, type[Tool]] = {
    "gpuprov": Gpuprov,
    "before": Before,
    "kubectl": Kubectl,
    "helm": Helm,
    "terraform": Terraform,
    "plain": Plain,
}
