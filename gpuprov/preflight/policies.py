"""Whether the admission policies of the chart charts/gpu-cluster are there, as they were installed, bound, and deny."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from gpuprov.core.manifests import ADMISSION_POLICIES, MANAGED_BY, MANAGER, QUOTA
from gpuprov.i18n import joined, tr
from gpuprov.preflight.facts import Live, Seen, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, warning

CHECK = "admission"

VERSION_LABEL = "app.kubernetes.io/version"
"""The label with the chart's version on everything that it installs."""

DIGEST = "gpuprov.dev/spec-sha256"
"""The chart's annotation on each policy: the digest of its spec as it was installed."""

INSTALL = "run `gpuprov setup` as the cluster's administrator, which installs charts/gpu-cluster"

_SWITCHED_OFF = "; if the stack's `chartValues` switch it off (`admission`), correct them first"
_UNFIT = "does not fit this API server"

_ABSENT: list[str] = [tr("is not there")]

_EVERYWHERE = ("gpuprov-namespaces", "gpuprov-operator")
"""The policies that hold in every namespace; the others in those of awards."""

_OF_AWARDS = {"namespaceSelector": {"matchLabels": {MANAGED_BY: MANAGER}}}
_BY_QUOTA = {"gpuprov-gpu": {"name": QUOTA, "parameterNotFoundAction": "Deny"}}
_MATCHING_DEFAULTS: Mapping[str, Any] = {"matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {}}
"""What the API server adds to a policy's matchConstraints and to a binding's matchResources."""

_RULE_DEFAULTS: Mapping[str, Any] = {"scope": "*"}


def check(policies: Seen, bindings: Seen, chart: str | None) -> list[Finding]:
    """Judge each policy of the chart. ``chart`` is the chart's version as the project has it, if it has one."""
    for seen in (policies, bindings):
        if isinstance(seen, Unread):
            return [failed(CHECK, text, BY_SETUP) for text in lacking(policies, bindings)]
    findings = [failed(CHECK, text, _remedy(text)) for text in lacking(policies, bindings)]
    named = _named(policies)
    if not any(name in named for name in ADMISSION_POLICIES):
        return findings
    if not findings:
        findings.append(ok(CHECK, f"the {len(ADMISSION_POLICIES)} policies of the chart are bound and deny"))
    return [*findings, _chart_version(named, chart)]


def lacking(policies: Seen, bindings: Seen) -> tuple[str, ...]:
    """Return what keeps the chart's rules from being in force, a phrase for each policy; nothing where they are."""
    for seen in (policies, bindings):
        if isinstance(seen, Unread):
            return (tr("the chart's policies cannot be seen: {reason}", reason=seen.reason),)
    problems_by_policy = {name: problems(name, policies, bindings) for name in ADMISSION_POLICIES}
    if all(phrases == _ABSENT for phrases in problems_by_policy.values()):
        return (tr("none of the policies {policies} is there", policies=", ".join(ADMISSION_POLICIES)),)
    return tuple(
        tr("policy {policy} {problems}", policy=name, problems=joined("; ", phrases))
        for name, phrases in problems_by_policy.items()
        if phrases
    )


def _remedy(lacks: str) -> str:
    """Installing the chart again mends what was changed by hand, and not what the chart is told or cannot do."""
    if _UNFIT in lacks:
        return "update gpuprov, then run `gpuprov setup` as the cluster's administrator; if that is done, report it"
    return INSTALL + (_SWITCHED_OFF if "does not deny" in lacks or "none of the policies" in lacks else "")


def problems(name: str, policies: Seen, bindings: Seen) -> list[str]:
    """Return what keeps a policy from being in force; nothing where it is."""
    policy = _named(policies).get(name)
    if policy is None:
        return _ABSENT
    return [*_policy_problems(policy), *_binding_problems(name, _named(bindings).get(name))]


def digest(spec: Mapping[str, Any]) -> str:
    """Return the digest of a policy's spec, with or without what the API server adds, as the chart's template does.

    It shows every change by hand. It is no proof against an administrator, who may write the annotation too.
    """
    plain = dict(spec)
    if constraints := plain.get("matchConstraints"):
        plain["matchConstraints"] = {
            key: [_without(_RULE_DEFAULTS, rule) for rule in value] if key.endswith("Rules") else value
            for key, value in _without(_MATCHING_DEFAULTS, constraints).items()
        }
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode()).hexdigest()


def _without(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in given.items() if key not in defaults or value != defaults[key]}


def _policy_problems(policy: Live) -> Iterator[str]:
    installed = (policy["metadata"].get("annotations") or {}).get(DIGEST)
    if installed is None:
        yield tr("was installed by an older chart")
    elif installed != digest(policy["spec"]):
        yield tr("was changed after it was installed")
    if policy["spec"].get("failurePolicy", "Fail") != "Fail":
        yield tr("lets pass what it cannot judge (failurePolicy)")
    warnings = ((policy.get("status") or {}).get("typeChecking") or {}).get("expressionWarnings") or ()
    if warnings:
        warning_text = str(warnings[0].get("warning", "")).strip()
        yield tr("does not fit this API server: {warning}", warning=warning_text)


def _binding_problems(name: str, binding: Live | None) -> Iterator[str]:
    if binding is None:
        yield tr("has no binding")
        return
    spec = binding["spec"]
    if spec.get("policyName") != name:
        yield tr("has a binding to {policy}", policy=spec.get("policyName"))
    if "Deny" not in (spec.get("validationActions") or ()):
        yield tr("does not deny (validationActions)")
    expected = {} if name in _EVERYWHERE else _OF_AWARDS
    if _without(_MATCHING_DEFAULTS, spec.get("matchResources") or {}) != expected:
        yield tr("is bound to other objects than the chart binds it to (matchResources)")
    if (spec.get("paramRef") or {}) != _BY_QUOTA.get(name, {}):
        yield tr("is bound to other parameters than the chart gives it (paramRef)")


def _named(objects: Seen) -> Mapping[str, Live]:
    return (
        {} if isinstance(objects, Unread) else {live_object["metadata"]["name"]: live_object for live_object in objects}
    )


def _chart_version(policies: Mapping[str, Live], chart: str | None) -> Finding:
    labels = [policies[name]["metadata"].get("labels") or {} for name in ADMISSION_POLICIES if name in policies]
    versions = sorted({str(policy_labels.get(VERSION_LABEL, "unknown")) for policy_labels in labels})
    seen = f"chart version {', '.join(versions)}"
    if len(versions) > 1:
        return warning(CHECK, f"{seen}: parts of different charts", INSTALL)
    if chart is not None and versions != [chart]:
        return warning(CHECK, f"{seen}; the project has {chart}", INSTALL)
    return ok(CHECK, seen)
