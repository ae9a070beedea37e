"""Installs charts/gpu-cluster on the providers' clusters: one process each, in parallel."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from gpuprov.core.cluster import ProviderCluster
from gpuprov.engine.messages import SetUp
from gpuprov.errors import ClusterError, PlanRefused
from gpuprov.kube.client import KubeApi
from gpuprov.kube.observe import cluster_uid
from gpuprov.kube.reading import read_chart
from gpuprov.load.project import Project
from gpuprov.preflight import Result, policies, role
from gpuprov.run.aside import read_all
from gpuprov.run.chart import chart_of, chart_version
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


def chart_now(project: Project, providers: Collection[str]) -> dict[str, str]:
    """Return what the clusters have of the chart now, in words: what it lacks, or that its rules are in force.

    Reads as the administrator, like the set-up. It sees the admission policies and the role of awardees only, so it is
    a preview, and no proof that the set-up has nothing to do.
    """
    version = chart_version(project)

    def state(cluster: ProviderCluster) -> str:
        admission_policies, bindings, tenant_role = read_chart(KubeApi(cluster.administered))
        findings = policies.check(admission_policies, bindings, version)
        checked = (*findings, *role.check(tenant_role))
        wrong = [finding.seen for finding in checked if finding.result is not Result.OK]
        return "; ".join(wrong) or f"its rules are in force; {findings[-1].seen}"

    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    seen, failed = read_all({cluster.provider: partial(state, cluster) for cluster in clusters}, ClusterError)
    words = seen | {provider: f"cannot be read: {error.message}" for provider, error in failed.items()}
    return {cluster.provider: words[cluster.provider] for cluster in clusters}


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
