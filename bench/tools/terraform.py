"""Terraform with its Kubernetes provider: one configuration, one state."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from bench.measure import Cost
from bench.world import FORFEITED, World, WrongState, namespace

CONFIGURATION = Path(__file__).parent.parent / "terraform" / "main.tf"
PARALLEL = "64"


class Terraform:
    """`terraform apply`, with as many objects at once as gpuprov asks Pulumi for."""

    name = "terraform"

    def __init__(self, world: World) -> None:
        self._world = world
        self._folder = world.folder / "terraform"
        self._gone: str | None = None

    def prepare(self) -> None:
        """Initialise: this is where the provider comes from the registry, or a mirror that TF_CLI_CONFIG_FILE names."""
        self._folder.mkdir()
        shutil.copy(CONFIGURATION, self._folder)
        self._write()
        try:
            self._terraform("init", "-input=false")
        except WrongState as error:
            raise WrongState("skipped: terraform init cannot get the provider hashicorp/kubernetes") from error

    def provision(self, cost: Cost) -> None:
        """Apply the list."""
        self._apply()

    def nothing(self, cost: Cost) -> None:
        """Apply it again."""
        self._apply()

    def change(self, cost: Cost) -> None:
        """Apply the changed list."""
        self._apply()

    def forfeit(self, cost: Cost) -> None:
        """Apply the list without one."""
        self._gone = namespace(FORFEITED)
        self._apply()

    def teardown(self, cost: Cost) -> None:
        """Destroy everything."""
        self._terraform("destroy", "-auto-approve", "-input=false", "-no-color", f"-parallelism={PARALLEL}")

    def _apply(self) -> None:
        self._write()
        self._terraform("apply", "-auto-approve", "-input=false", "-no-color", f"-parallelism={PARALLEL}")

    def _write(self) -> None:
        tenants = {}
        for name, (space, page, fixed, quota, limits, _, binding) in self._world.manifests().items():
            if name != self._gone:
                tenants[name] = {
                    "labels": space["metadata"]["labels"],
                    "annotations": space["metadata"]["annotations"],
                    "own_labels": quota["metadata"]["labels"],
                    "hard": quota["spec"]["hard"],
                    "fixed": fixed["spec"]["hard"],
                    "page": page["data"],
                    "defaults": limits["spec"]["limits"][0]["default"],
                    "group": binding["subjects"][0]["name"],
                }
        given = {
            "tenants": tenants,
            "context": "bench",
            "kubeconfig": self._world.environment["KUBECONFIG"],
        }
        (self._folder / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")

    def _terraform(self, *command: str) -> None:
        self._world.run("terraform", *command, cwd=self._folder, TF_IN_AUTOMATION="1", CHECKPOINT_DISABLE="1")
