"""Installs charts/gpu-cluster on the providers' clusters: one process each, in parallel."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from pathlib import Path

from gpuprov.core.manifests import CHART
from gpuprov.engine.messages import SetUp
from gpuprov.errors import InputError, PlanRefused, Problem
from gpuprov.kube.observe import cluster_uid
from gpuprov.load.packaged import packaged
from gpuprov.load.project import Project
from gpuprov.run.child import Errand, answer, listen, require_live_parent, run_all, tell
from gpuprov.run.job import StackDone
from gpuprov.run.pipeline import Progress
from gpuprov.run.slots import slot


def set_up(project: Project, providers: Collection[str], progress: Progress) -> dict[str, StackDone]:
    """Bring the clusters to what the chart declares; return the outcome of each provider.

    Raises InputError if there is no chart.
    """
    chart = chart_of(project.root)
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    errands = [
        Errand(
            module="gpuprov.run.setup",
            message=SetUp(root=project.root, cluster=cluster, chart=chart),
            progress=partial(progress, cluster.provider),
        )
        for cluster in clusters
    ]
    return {
        cluster.provider: reply.read(StackDone, stack=cluster.setup_stack)
        for cluster, reply in zip(clusters, run_all(errands), strict=True)
    }


def chart_of(root: Path) -> Path:
    """Return the project's own chart, or else the one that comes with gpuprov. Raises InputError if there is none."""
    own, brought = root / CHART, packaged(CHART)
    for chart in (own, brought):
        if (chart / "Chart.yaml").is_file():
            return chart
    raise InputError([Problem(file=str(brought), message="the chart does not exist", remedy="install gpuprov again")])


def install(setup: SetUp) -> StackDone:
    """Install the chart on one cluster, in this process. Raises GpuprovError, before anything is changed."""
    administered = setup.cluster.administered
    uid = cluster_uid(administered)
    if reason := administered.not_as_pinned(uid):
        raise PlanRefused([reason])
    from gpuprov.engine import automation  # loads Pulumi's SDK, which the parent process does not need

    require_live_parent()
    with slot():
        operations = automation.set_up(setup, uid, tell)
    return StackDone(stack=setup.cluster.setup_stack, operations=dict(operations))


def main() -> None:
    """Read the message, install the chart, answer."""
    setup = SetUp.model_validate_json(listen())
    answer(lambda: install(setup), lambda error: StackDone(stack=setup.cluster.setup_stack, error=error))


if __name__ == "__main__":
    main()
