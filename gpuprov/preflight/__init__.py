"""Checks a provider's cluster before awards are put on it: what was read goes in, a list of findings comes out.

Reads nothing and knows no clock: `gpuprov.kube.survey` reads the facts. Each module judges one part.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from gpuprov.core.cluster import ProviderCluster
from gpuprov.preflight import admission, clock, identity, names, nodes, plugin, policies, rights, role, version
from gpuprov.preflight.facts import Facts, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, Result, failed

__all__ = ["Facts", "Finding", "Result", "Unread", "examine"]


def examine(
    cluster: ProviderCluster,
    facts: Facts,
    *,
    at: datetime,
    peaks: Mapping[str, int],
    known: str | Unread | None = None,
    chart: str | None = None,
) -> list[Finding]:
    """Return every finding on a cluster, in the order of the table.

    ``at`` is the instant whose capacity counts; ``peaks`` are the GPUs that the award lists need at most while it
    holds, by model; ``known`` is the cluster's UID according to
    the stack's last run; ``chart`` the version of the chart that the project has.
    """
    findings = [*version.check(facts.version), *clock.check(facts.clock), *_identity(cluster, facts, known)]
    if isinstance(facts.rights, Unread):
        remedy = (
            "let the cluster's administrator bind the ClusterRole system:basic-user to the group system:authenticated, "
            "as it is by default"
        )
        findings.append(failed(rights.CHECK, f"they cannot be asked for: {facts.rights.reason}", remedy))
    else:
        findings += rights.check(facts.who, facts.rights)
    return [
        *findings,
        *_nodes(cluster, facts, peaks, at),
        *admission.check(facts),
        *policies.check(facts.policies, facts.bindings, chart),
        *role.check(facts.tenant_role),
    ]


def _identity(cluster: ProviderCluster, facts: Facts, known: str | Unread | None) -> list[Finding]:
    if isinstance(facts.uid, Unread):
        seen = f"the UID of kube-system cannot be seen: {facts.uid.reason}"
        remedy = f"check where the context {cluster.context!r} of the kubeconfig leads; {BY_SETUP}"
        return [failed(identity.CHECK, seen, remedy)]
    return identity.check(cluster, facts.uid, known)


def _nodes(cluster: ProviderCluster, facts: Facts, peaks: Mapping[str, int], at: datetime) -> list[Finding]:
    """What needs the nodes cannot be judged without them: a cluster whose GPUs nobody has seen is not fit."""
    if isinstance(facts.nodes, Unread):
        seen = f"the nodes cannot be seen: {facts.nodes.reason}"
        remedy = f"{BY_SETUP}; without it capacity and the nodes' resource names are not checked"
        classes = names.check(cluster, (), facts.device_classes, facts.resource_slices)
        return [failed(nodes.CHECK, seen, remedy), *(line for line in classes if line.result is not Result.OK)]
    cluster_nodes = nodes.read(facts.nodes)
    findings = [*nodes.check(cluster, cluster_nodes), *nodes.capacity(cluster, cluster_nodes, peaks, at)]
    return [
        *findings,
        *names.check(cluster, cluster_nodes, facts.device_classes, facts.resource_slices),
        *plugin.check(cluster, facts.daemon_sets, facts.configs, cluster_nodes),
    ]
