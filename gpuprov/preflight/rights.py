"""The rights that gpuprov needs on a cluster, and those that it should not have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gpuprov.core.manifests import (
    BINDING,
    FIXED_QUOTA,
    LEASE,
    LIMITS,
    POLICY,
    QUOTA,
    SERVICE_ACCOUNT,
    SYSTEM_NAMESPACE,
    TENANT_ROLE,
    WELCOME,
)
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, some, warning

CHECK = "rights"

_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"

_LEAST = (
    "use an identity of the group that the chart charts/gpu-cluster binds to the ClusterRole gpuprov-operator "
    "(its value `operator.subjects`)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Right:
    """One verb on one resource; ``resource`` may have a subresource, ``name`` limits it to one.

    It holds in all namespaces unless ``namespace`` names one. A resource that begins with a slash is a path of the
    server's own, such as ``/version``.
    """

    verb: str
    resource: str
    group: str = ""
    name: str = ""
    namespace: str = ""

    @property
    def what(self) -> str:
        """The resource as kubectl and RBAC's messages write it."""
        group = f".{self.group}" if self.group else ""
        name = f" {self.name}" if self.name else ""
        return f"{self.resource}{group}{name}"

    @property
    def where(self) -> str:
        """Where the right holds, in words."""
        return f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"

    def __str__(self) -> str:
        return f"{self.verb} {self.what}"

    def review(self) -> dict[str, dict[str, str]]:
        """Return the ``spec`` of the SelfSubjectAccessReview that asks for the right."""
        if self.resource.startswith("/"):
            return {"nonResourceAttributes": {"verb": self.verb, "path": self.resource}}
        resource, _, subresource = self.resource.partition("/")
        attributes = {"verb": self.verb, "group": self.group, "resource": resource}
        given = {"subresource": subresource, "name": self.name, "namespace": self.namespace}
        return {"resourceAttributes": attributes | {key: value for key, value in given.items() if value}}


def _rights(group: str, resources: str, verbs: str, name: str = "", namespace: str = "") -> Iterator[Right]:
    for resource in resources.split():
        for verb in verbs.split():
            yield Right(verb=verb, resource=resource, group=group, name=name, namespace=namespace)


_PARTS = (
    ("", "resourcequotas", QUOTA),
    ("", "resourcequotas", FIXED_QUOTA),
    ("", "limitranges", LIMITS),
    ("networking.k8s.io", "networkpolicies", POLICY),
    (_RBAC, "rolebindings", BINDING),
)
"""What is in an award's namespace and of no kind that awardees make themselves."""

NEEDED = (
    # Pulumi asks the server what it serves, and how each kind looks. Everybody may by default.
    *_rights("", "/version /api /apis /openapi/v2", "get"),
    # Server-side apply is both create and patch. Pulumi reads, and waits for deletions by list and watch: without
    # these its delete hangs.
    *_rights("", "namespaces", "get list watch create patch delete"),
    *dict.fromkeys(
        right for group, resource, _ in _PARTS for right in _rights(group, resource, "get list watch create")
    ),
    *(right for group, resource, name in _PARTS for right in _rights(group, resource, "patch delete", name)),
    # Awardees' own ConfigMaps are none of gpuprov's business.
    *_rights("", "configmaps", "create"),
    *_rights("", "configmaps", "get list watch patch delete", WELCOME),
    # Whoever may bind a role may write a binding to it without having all that it gives.
    *_rights(_RBAC, "clusterroles", "get bind", TENANT_ROLE),
    # Nothing is granted before it is seen that the chart's rules hold, and that no device class of DRA walks past them.
    *_rights(_ADMISSION, "validatingadmissionpolicies validatingadmissionpolicybindings", "list"),
    *_rights("resource.k8s.io", "deviceclasses", "list"),
    # The lock of who acts on the cluster.
    *_rights("coordination.k8s.io", "leases", "create", namespace=SYSTEM_NAMESPACE),
    *_rights("coordination.k8s.io", "leases", "get update patch", LEASE, SYSTEM_NAMESPACE),
    # A teardown ends the pods, and proves by reading that none is left.
    *_rights("", "pods", "list deletecollection"),
    # `gpuprov kubeconfig` makes the award's service account and a token for it; a teardown takes both back.
    *_rights("", "serviceaccounts", "create"),
    *_rights("", "serviceaccounts", "delete", SERVICE_ACCOUNT),
    *_rights("", "serviceaccounts/token", "create", SERVICE_ACCOUNT),
)
"""Every right that gpuprov's commands use on a provider's cluster."""

EVERYTHING = Right(verb="*", resource="*", group="*")

SURPLUS = (
    *_rights(_RBAC, "clusterroles", "escalate bind create"),
    *_rights(_RBAC, "clusterrolebindings", "create"),
    *_rights("", "users groups serviceaccounts", "impersonate"),
    *_rights("", "secrets", "list"),
    *_rights("", "pods pods/exec", "create"),
    *_rights("", "nodes", "patch"),
    *_rights(_ADMISSION, "validatingadmissionpolicies validatingadmissionpolicybindings", "patch delete"),
)
"""Rights with which somebody who steals the identity could take more than awards."""

ASKED = (*NEEDED, EVERYTHING, *SURPLUS)
"""All rights that a cluster is asked about."""


def check(identity: str, allowed: Mapping[Right, bool]) -> list[Finding]:
    """Compare what the identity may do with what gpuprov needs; one failing line for each resource."""
    missing = [right for right in NEEDED if not allowed.get(right, False)]
    findings = [
        failed(CHECK, f"{identity} may not {verbs} {resource}", f"{BY_SETUP}; another role must grant it {where}")
        for (resource, where), verbs in _by_resource(missing).items()
    ]
    if not missing:
        findings.append(ok(CHECK, f"{identity} has the {len(NEEDED)} rights that gpuprov needs"))
    if allowed.get(EVERYTHING, False):
        seen = f"{identity} may do everything on this cluster, as cluster-admin"
        return [*findings, warning(CHECK, seen, f"{_LEAST}; keep this one for `gpuprov setup` (`adminContext`)")]
    surplus = [right for right in SURPLUS if allowed.get(right, False)]
    if surplus:
        names = some([f"{verbs} {resource}" for (resource, _), verbs in _by_resource(surplus).items()])
        findings.append(warning(CHECK, f"{identity} may also {names}", _LEAST))
    return findings


def _by_resource(rights: Iterable[Right]) -> dict[tuple[str, str], str]:
    verbs: dict[tuple[str, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.what, right.where), []).append(right.verb)
    return {resource: ", ".join(some_verbs) for resource, some_verbs in verbs.items()}
