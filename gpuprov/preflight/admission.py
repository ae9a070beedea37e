"""Whether the API server's own admission plugins hold awards in: Pod Security, and the nodes of the award's model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gpuprov.preflight import policies
from gpuprov.preflight.facts import Facts, Live, Reply, Seen, Unread
from gpuprov.preflight.finding import BY_SETUP, Finding, failed, ok, some, warning

CHECK = policies.CHECK

SELECTOR_CONFLICT = "conflicts with its namespace node label selector"
"""What PodNodeSelector says of a pod that wants other nodes than its namespace's."""

_PASSED = (201, 409)
"""Created, or there already: admission had nothing against it."""

_Answer = tuple[bool | None, str]
"""Whether a plugin is active, None where it cannot be told, and what says so."""


def check(facts: Facts) -> list[Finding]:
    """Judge what could be seen of the two plugins."""
    return [_pod_security(facts.probed_namespace), _pod_node_selector(facts)]


def _pod_security(probe: Reply | None) -> Finding:
    """The namespace that was tried has a level that does not exist: only Pod Security admission refuses that."""
    if probe is not None and "pod-security.kubernetes.io" in probe.message:
        return ok(CHECK, "Pod Security admission is active")
    if probe is not None and probe.status in _PASSED:
        remedy = "have the admission plugin PodSecurity switched on: without it a pod of an award may use the host"
        return failed(CHECK, "Pod Security admission is not active", remedy)
    why = "nothing was tried" if probe is None else f"a trial was answered with {probe.status} {probe.message}"
    remedy = f"if it may not create namespaces: {BY_SETUP}; else ask the provider"
    return warning(CHECK, f"whether Pod Security admission is active is not known: {why}", remedy)


def _pod_node_selector(facts: Facts) -> Finding:
    active, why = _selector_active(facts)
    if active:
        return ok(CHECK, f"PodNodeSelector is active: {why}")
    if active is None:
        remedy = "ask the provider whether its API servers name it in --enable-admission-plugins"
        return warning(CHECK, f"whether PodNodeSelector is active is not known: {why}", remedy)
    seen = f"PodNodeSelector is not active: {why}"
    if not policies.problems("gpuprov-pods", facts.policies, facts.bindings):
        remedy = (
            "have the admission plugin switched on, or tell awardees: the policy gpuprov-pods takes only pods that "
            "name their model's node selector themselves"
        )
        return warning(CHECK, seen, remedy)
    remedy = f"pods may run on any model's nodes: have the admission plugin switched on, or {policies.INSTALL}"
    return failed(CHECK, seen, remedy)


def _selector_active(facts: Facts) -> _Answer:
    """Ask three witnesses, the surest first: a pod that was tried, the server's arguments, the pods of tenants."""
    tried = _by_trial(facts.probed_pod)
    for answer in (tried, _by_arguments(facts.api_servers), _by_pods(facts.tenant_pods)):
        if answer[0] is not None:
            return answer
    return tried


def _by_trial(probe: Reply | None) -> _Answer:
    """The plugin refuses the pod before quotas and policies are asked, so their refusal tells as much as success."""
    if probe is None:
        return None, "there is no tenant yet to try it with"
    if SELECTOR_CONFLICT in probe.message:
        return True, "it refuses a pod that wants other nodes than its namespace's"
    if probe.status in _PASSED or "exceeded quota" in probe.message or "ValidatingAdmissionPolicy" in probe.message:
        return False, "a pod that wants other nodes than its namespace's passes it"
    return None, f"a trial was answered with {probe.status} {probe.message}"


def _by_arguments(api_servers: Seen) -> _Answer:
    """The plugin is off unless it is named, and it must be on in each of the servers."""
    named: dict[str, bool] = {}
    for pod in () if isinstance(api_servers, Unread) else api_servers:
        words = [
            str(word)
            for container in pod["spec"].get("containers") or ()
            for word in (*(container.get("command") or ()), *(container.get("args") or ()))
        ]
        options = (word.partition("=") for word in words)
        plugins = {name for option, _, value in options if option in _OPTIONS for name in value.split(",")}
        if words:
            named[str(pod["metadata"]["name"])] = "PodNodeSelector" in plugins
    without = [name for name, enabled in named.items() if not enabled]
    if without:
        return False, f"the arguments of {some(without)} do not name it"
    return (True, f"the arguments of {some(list(named))} name it") if named else (None, "")


_OPTIONS = ("--enable-admission-plugins", "--admission-control")


def _by_pods(tenant_pods: Sequence[tuple[Live, Mapping[str, str]]]) -> _Answer:
    bare = [
        str(pod["metadata"]["name"])
        for pod, forced in tenant_pods
        if not forced.items() <= (pod["spec"].get("nodeSelector") or {}).items()
    ]
    if bare:
        return False, f"pods of tenants have no node selector: {some(bare)}"
    return (True, "pods of tenants have their namespace's node selector") if tenant_pods else (None, "")
