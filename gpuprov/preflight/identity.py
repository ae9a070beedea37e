"""Whether the cluster behind the context is the one that is meant."""

from __future__ import annotations

from gpuprov.core.cluster import ProviderCluster
from gpuprov.preflight.facts import Unread
from gpuprov.preflight.finding import Finding, failed, ok, warning

CHECK = "identity"


def check(cluster: ProviderCluster, uid: str, known: str | Unread | None) -> list[Finding]:
    """Compare the cluster's UID with the stack's ``uid``, and with what the stack was last applied to.

    ``known`` is None where it was never applied, and `Unread` where its outputs could not be read.
    """
    findings = []
    file = f"Pulumi.{cluster.provider}.yaml"
    seen = f"kube-system has the UID {uid}"
    if cluster.pins_another(uid):
        remedy = f"correct the kubeconfig's context {cluster.context!r}, or `uid` in {file} if the cluster was replaced"
        findings.append(failed(CHECK, f"{seen}, the stack pins {cluster.uid}", remedy))
    if isinstance(known, str) and known != uid:
        remedy = (
            f"correct the kubeconfig's context {cluster.context!r}; if the cluster was replaced, "
            f"`gpuprov up --accept-cluster {cluster.provider}`"
        )
        findings.append(failed(CHECK, f"{seen}, the stack was last applied to {known}", remedy))
    if cluster.uid is None:
        remedy = f"if this is the right cluster, write `uid: {uid}` into {file}"
        findings.append(warning(CHECK, f"{seen}, and the stack pins none", remedy))
    if findings:
        return findings
    return [ok(CHECK, f"{seen}, as the stack pins{_applied(known)}")]


def _applied(known: str | Unread | None) -> str:
    if isinstance(known, Unread):
        return f"; what it was last applied to was not read ({known.reason})"
    return " and was last applied to" if known else ""
