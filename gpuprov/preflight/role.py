"""Whether the role of awardees gives nothing with which an award could be widened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gpuprov.core.manifests import TENANT_ROLE
from gpuprov.i18n import tr
from gpuprov.preflight.facts import Live, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, some
from gpuprov.preflight.policies import CHECK, INSTALL

_WRITING = {"create", "update", "patch", "delete", "deletecollection"}
_WIDENING = {"*", "escalate", "bind", "impersonate"}

_NEVER_WRITTEN = {
    # what an award is made of
    *("namespaces", "resourcequotas", "limitranges", "networkpolicies", "roles", "rolebindings"),
    # other ways to a GPU, a node or a higher priority
    *("resourceclaims", "resourceclaimtemplates", "deviceclasses", "resourceslices", "nodes", "priorityclasses"),
    *("bindings", "pods/binding", "pods/status", "pods/ephemeralcontainers", "persistentvolumes"),
    # other identities and their rights
    *("serviceaccounts", "serviceaccounts/token", "clusterroles", "clusterrolebindings", "certificatesigningrequests"),
    # the cluster's own rules
    *("validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations"),
    *("mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations"),
    "customresourcedefinitions",
}


def check(role: Live | Unread | None) -> list[Finding]:
    """Judge the ClusterRole as it is on the cluster."""
    if isinstance(role, Unread):
        remedy = BY_SETUP
    elif role is None:
        remedy = INSTALL
    elif role.get("aggregationRule"):
        remedy = f"{INSTALL}: it has rules of its own"
    else:
        remedy = f"find out who changed it, then {INSTALL}"
    findings = [failed(CHECK, text, remedy) for text in lacking(role)]
    return findings or [ok(CHECK, f"the role {TENANT_ROLE} gives nothing that widens an award")]


def lacking(role: Live | Unread | None) -> tuple[str, ...]:
    """Return what keeps the role from holding awardees to their award, as a phrase; nothing where it does."""
    if isinstance(role, Unread):
        return (tr("the role {role} cannot be seen: {reason}", role=TENANT_ROLE, reason=role.reason),)
    if role is None:
        return (tr("the role {role} is not there", role=TENANT_ROLE),)
    if role.get("aggregationRule"):
        return (tr("the role {role} takes its rules from other roles (aggregationRule)", role=TENANT_ROLE),)
    wrong = sorted({text for rule in role.get("rules") or () for text in surprises(rule)})
    return (tr("the role {role} lets awardees {surprises}", role=TENANT_ROLE, surprises=some(wrong)),) if wrong else ()


def surprises(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a rule gives and should not, as ``verbs resource``."""
    verbs = set(rule.get("verbs") or ())
    if paths := rule.get("nonResourceURLs"):
        yield f"{_text(verbs)} {', '.join(paths)}"
    if "*" in (rule.get("apiGroups") or ()):
        yield tr("{verbs} in every API group", verbs=_text(verbs))
    for resource in rule.get("resources") or ():
        wrong = verbs if "*" in resource else verbs & _WIDENING
        if resource in _NEVER_WRITTEN:
            wrong = wrong | (verbs & _WRITING)
        if wrong:
            yield f"{_text(wrong)} {resource}"


def _text(verbs: set[str]) -> str:
    return ", ".join(sorted(verbs))
