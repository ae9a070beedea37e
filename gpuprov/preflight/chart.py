"""Whether a cluster has been set up at all: before that, what the chart brings is missing in many lines."""

from __future__ import annotations

from dataclasses import dataclass

from gpuprov.core.manifests import ADMISSION_POLICIES
from gpuprov.preflight import names, nodes, plugin, policies, rights
from gpuprov.preflight.facts import Facts, Unread


@dataclass(frozen=True, slots=True, kw_only=True)
class NotSetUp:
    """Why a cluster counts as not set up, what to do, and the checks whose findings only repeat that."""

    reason: str
    remedy: str
    checks: frozenset[str]


def not_set_up(facts: Facts) -> NotSetUp | None:
    """Return why nothing of charts/gpu-cluster is on the cluster; None if any part of it can be seen.

    The chart gives gpuprov's own identity its rights, also that to see the chart. Where that identity may see nothing,
    it is either not installed or does not bind this identity. What is missing of nodes is repeated only if they could
    not be read: those of a cluster that lets them be read are what they are, with the chart or without.
    """
    if not isinstance(facts.tenant_role, Unread) and facts.tenant_role is not None:
        return None
    reason, remedy = "not set up", "run `gpuprov setup`, then rerun the command"
    if isinstance(facts.policies, Unread):
        reason = "not set up, or this identity is not the chart's"
        remedy = (
            "run `gpuprov setup`, then rerun the command; if that was done, name this identity in the chart's value "
            "`operator.subjects` (`chartValues` of the stack) and run it again"
        )
    elif any(policy["metadata"]["name"] in ADMISSION_POLICIES for policy in facts.policies):
        return None
    checks = {rights.CHECK, policies.CHECK}
    if isinstance(facts.nodes, Unread):
        checks |= {nodes.CHECK, names.CHECK, plugin.CHECK}
    return NotSetUp(reason=reason, remedy=remedy, checks=frozenset(checks))
