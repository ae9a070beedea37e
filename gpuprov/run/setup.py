"""Installs charts/gpu-cluster on the providers' clusters: one process each, in parallel."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from gpuprov.core import outputs
from gpuprov.core.cluster import ProviderCluster
from gpuprov.engine import stacks
from gpuprov.engine.messages import SetUp
from gpuprov.errors import ClusterError, EngineError, GpuprovError, PlanRefused
from gpuprov.kube import installed as on_cluster
from gpuprov.kube.client import KubeApi
from gpuprov.kube.observe import cluster_uid
from gpuprov.kube.reading import read_chart
from gpuprov.load.project import Project
from gpuprov.preflight import Result, installed, policies, role
from gpuprov.run.aside import read_all
from gpuprov.run.chart import chart_of, chart_version, source
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


def pending(project: Project, providers: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return for each provider why Pulumi has to look at its cluster, as phrases; none where nothing is to do.

    Nothing is to do where the cluster has what the last set-up left, that was made from the same chart and values, and
    Pulumi's state is that cluster's. Whatever cannot be read is a reason. Raises InputError if there is no chart.
    """
    chart = chart_of(project.root)
    clusters = [cluster for cluster in project.clusters if cluster.provider in providers]
    reads = {cluster.provider: partial(_differences, project.root, chart, cluster) for cluster in clusters}
    seen, failed = read_all(reads, GpuprovError)
    unread = {provider: (f"cannot be read: {_without_name(provider, error)}",) for provider, error in failed.items()}
    return {cluster.provider: (seen | unread)[cluster.provider] for cluster in clusters}


def _differences(root: Path, chart: Path, cluster: ProviderCluster) -> tuple[str, ...]:
    api = KubeApi(cluster.administered)
    record = on_cluster.read_record(api)
    if record is None:  # the usual case before the first set-up; the rest could not change the answer
        return installed.differences(None, "", ())
    uid = cluster_uid(cluster.administered, api)
    if reason := cluster.administered.not_as_pinned(uid):
        return (reason,)
    made_from = source(chart, cluster, on_cluster.server_version(api))
    differing = installed.differences(record, made_from, on_cluster.read_objects(api))
    if differing:
        return differing
    state = stacks.read_outputs(root, cluster.setup_stack)
    if state is None or state.get(outputs.UID) != uid:
        return (f"the stack {cluster.setup_stack} does not know this cluster",)
    return ()


def _without_name(provider: str, error: GpuprovError) -> str:
    return str(error).removeprefix(f"{provider}: ").removeprefix(f"{provider}.setup: ")


def chart_now(project: Project, providers: Collection[str]) -> dict[str, str]:
    """Return what the clusters have of the chart now, in words: what it lacks, or that its rules are in force.

    Reads as the administrator, like the set-up. It sees the admission policies and the role of awardees only; whether
    the set-up has anything to do is what `pending` tells.
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
    """Install the chart on one cluster, in this process. Raises GpuprovError."""
    try:
        return _install(setup)
    except (ClusterError, EngineError) as error:
        if _FORBIDDEN not in str(error):
            raise
        advice = f"the set-up needs a cluster administrator, whose context is `adminContext` in {_file(setup.cluster)}"
        raise EngineError(f"{error}; {advice}") from error


_FORBIDDEN = " is forbidden: "
"""What API servers say of a right that is missing, in Pulumi's errors too."""


def _file(cluster: ProviderCluster) -> str:
    return f"Pulumi.{cluster.provider}.yaml"


def _install(setup: SetUp) -> StackDone:
    administered = setup.cluster.administered
    uid = cluster_uid(administered)
    if reason := administered.not_as_pinned(uid):
        raise PlanRefused([reason])
    from gpuprov.engine import automation  # loads Pulumi's SDK, which the parent process does not need

    require_live_parent()
    api = KubeApi(administered)
    made_from = source(setup.chart, setup.cluster, on_cluster.server_version(api))
    with slot():
        recordable = _recorded(lambda: on_cluster.remove_record(api))
        operations = automation.set_up(setup, uid, tell)
        if recordable:
            _recorded(lambda: _record(setup, api, made_from))
    return StackDone(stack=setup.cluster.setup_stack, operations=dict(operations))


def _record(setup: SetUp, api: KubeApi, made_from: str) -> None:
    """Keep what Pulumi has left, as its state has it: what the cluster says a moment later may be changed already."""
    deployment = stacks.read_deployment(setup.root, setup.cluster.setup_stack)
    if record := installed.recorded(deployment or {}, made_from):
        on_cluster.write_record(api, record)


def _recorded(work: Callable[[], None]) -> bool:
    """Do what only saves the next set-up its time; where that is not possible say so, and return False."""
    try:
        work()
    except (ClusterError, EngineError) as error:
        tell(f"this set-up is not recorded, so the next one starts Pulumi again: {error}")
        return False
    return True


def main() -> None:
    """Read the message, install the chart, answer."""
    setup = SetUp.model_validate_json(listen())
    answer(lambda: install(setup), lambda error: StackDone(stack=setup.cluster.setup_stack, error=error))


if __name__ == "__main__":
    main()
