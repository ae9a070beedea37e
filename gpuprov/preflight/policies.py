"""Whether the admission policies of the chart charts/gpu-cluster are there, bound, and deny."""

from __future__ import annotations

from collections.abc import Mapping

from gpuprov.manifests import RULES
from gpuprov.preflight.facts import Live, Seen, Unread
from gpuprov.preflight.finding import Finding, failed, ok, warning

CHECK = "admission"

VERSION_LABEL = "app.kubernetes.io/version"
"""The label with the chart's version on everything that it installs."""

INSTALL = (
    "install charts/gpu-cluster as the cluster's administrator: `gpuprov setup`, or `helm upgrade --install gpuprov "
    "charts/gpu-cluster --namespace gpuprov-system --create-namespace`"
)

_ABSENT = ["is not there"]


def check(policies: Seen, bindings: Seen, chart: str | None) -> list[Finding]:
    """Judge each policy of the chart. ``chart`` is the chart's version as the project has it, if it has one."""
    for seen in (policies, bindings):
        if isinstance(seen, Unread):
            remedy = f"give the identity that right, as the chart does; else {INSTALL}"
            return [failed(CHECK, f"the chart's policies cannot be seen: {seen.reason}", remedy)]
    found = {name: problems(name, policies, bindings) for name in RULES}
    if all(one == _ABSENT for one in found.values()):
        return [failed(CHECK, f"none of the policies {', '.join(RULES)} is there", INSTALL)]
    findings = [failed(CHECK, f"policy {name} {'; '.join(one)}", INSTALL) for name, one in found.items() if one]
    if not findings:
        findings.append(ok(CHECK, f"the {len(RULES)} policies of the chart are bound and deny"))
    return [*findings, _chart_version(_named(policies), chart)]


def problems(name: str, policies: Seen, bindings: Seen) -> list[str]:
    """Return what keeps a policy from being in force; nothing where it is."""
    policy, binding = _named(policies).get(name), _named(bindings).get(name)
    if policy is None:
        return _ABSENT
    found = []
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        found.append("lets pass what it cannot judge (failurePolicy)")
    warnings = ((policy.get("status") or {}).get("typeChecking") or {}).get("expressionWarnings") or ()
    if warnings:
        found.append(f"does not fit this API server: {str(warnings[0].get('warning', '')).strip()}")
    if binding is None:
        return [*found, "has no binding"]
    if binding["spec"].get("policyName") != name:
        found.append(f"has a binding to {binding['spec'].get('policyName')}")
    if "Deny" not in (binding["spec"].get("validationActions") or ()):
        found.append("does not deny (validationActions)")
    return found


def _named(objects: Seen) -> Mapping[str, Live]:
    return {} if isinstance(objects, Unread) else {one["metadata"]["name"]: one for one in objects}


def _chart_version(policies: Mapping[str, Live], chart: str | None) -> Finding:
    labels = [policies[name]["metadata"].get("labels") or {} for name in RULES if name in policies]
    versions = sorted({str(one.get(VERSION_LABEL, "unknown")) for one in labels})
    seen = f"chart version {', '.join(versions)}"
    if len(versions) > 1:
        return warning(CHECK, f"{seen}: parts of different charts", INSTALL)
    if chart is not None and versions != [chart]:
        return warning(CHECK, f"{seen}; the project has {chart}", INSTALL)
    return ok(CHECK, seen)
