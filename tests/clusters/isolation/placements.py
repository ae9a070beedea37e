"""The attempts of `placement`, in the order of the table."""

from gpuprov.sandbox import A100
from isolation.answers import NODE_SELECTOR, PENDING, QUOTA, RBAC, WORKS
from isolation.attempt import Attempt, all_by, chart_by, role_first, try_pod, try_post
from isolation.lab import LABEL, RESERVED
from isolation.placement import (
    ANY,
    OBJECTS,
    PODS,
    affine,
    bind,
    critical,
    evict,
    hold_later,
    holding,
    keep_others_off,
    never_ends,
    pinned,
    pinned_job,
    required,
    to_reserved,
    tolerate_later,
)
from isolation.tenant import container, pod, pod_spec

_NOT_THERE = {"spec": pod_spec(container(), schedulerName="nobody")}
_JOB = {"spec": {"suspend": True, "template": {"spec": pod_spec(container(), restartPolicy="Never")}}}
_OTHER_MODEL = {"key": LABEL, "operator": "In", "values": [A100]}

ATTEMPTS = (
    Attempt(
        name="`nodeName` of a server that is set apart by a taint",
        gain="a server of others, around scheduler, taints and cordons",
        act=pinned("h100", 2),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="`nodeName` of a server with the other model",
        gain="the other model",
        act=pinned("a100", 0),
        expected=chart_by(PODS),
        note="A real kubelet refuses a pod whose node selector does not fit; kwok's does not look",
    ),
    Attempt(
        name="`nodeName` in a Job's template",
        gain="the same, in pods that a controller makes in its own name",
        act=pinned_job,
        expected=chart_by(PODS),
    ),
    Attempt(
        name="`pods/binding` of a pod with a scheduler of one's own",
        gain="the same, as the scheduler does it",
        act=bind,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a node selector for the other model",
        gain="the other model",
        act=try_pod(pod("attempt", nodeSelector={LABEL: A100})),
        expected=all_by(NODE_SELECTOR),
    ),
    Attempt(
        name="node affinity for the other model",
        gain="the other model",
        act=try_pod(pod("attempt", affinity=required(matchExpressions=[_OTHER_MODEL]))),
        expected=all_by(PENDING),
    ),
    Attempt(
        name="node affinity for a server's name, of the other model",
        gain="the other model",
        act=affine,
        expected=all_by(PENDING),
    ),
    Attempt(
        name="a toleration of everything",
        gain="servers that are set apart, cordoned or being emptied",
        act=to_reserved(ANY),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="a toleration of another's taint by its name",
        gain="the server that is set apart",
        act=to_reserved({"key": RESERVED, **ANY}),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="a toleration of everything, added to a pod that waits",
        gain="the same, by an update",
        act=tolerate_later,
        expected=chart_by(PODS),
    ),
    Attempt(
        name="`priorityClassName: system-node-critical`",
        gain="others' place: preemption",
        act=try_pod(pod("attempt", priorityClassName="system-node-critical"), critical),
        expected=chart_by(PODS),
    ),
    Attempt(
        name="anti-affinity against all other awards' pods",
        gain="servers that nobody else can use",
        act=keep_others_off,
        expected=chart_by(PODS),
    ),
    Attempt(
        name="a request for a server's whole disk",
        gain="a server on which nobody else fits",
        act=try_pod({"metadata": {"name": "attempt"}, "spec": pod_spec(container({"ephemeral-storage": "24Ti"}))}),
        expected=all_by(QUOTA),
    ),
    Attempt(
        name="another award's pod evicted",
        gain="its place",
        act=evict,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a grace period of a year",
        gain="a GPU that does not come back",
        act=never_ends,
        expected=chart_by(PODS),
    ),
    Attempt(
        name="a finalizer on a pod",
        gain="a pod and a namespace that cannot be deleted",
        act=holding(lambda awardee: f"{awardee.core}/pods", _NOT_THERE),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a finalizer on a ConfigMap",
        gain="a namespace that cannot be deleted",
        act=holding(lambda awardee: f"{awardee.core}/configmaps", {}),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a finalizer of Kubernetes' own on a ConfigMap, `kubernetes.io/pvc-protection`",
        gain="the same, under a name that is known",
        act=holding(lambda awardee: f"{awardee.core}/configmaps", {}, "kubernetes.io/pvc-protection"),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a finalizer on a Job",
        gain="a namespace that cannot be deleted",
        act=holding(lambda awardee: f"{awardee.group('batch/v1')}/jobs", _JOB),
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a finalizer added to a ConfigMap later",
        gain="a namespace that cannot be deleted",
        act=hold_later,
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="a PodDisruptionBudget that allows no eviction",
        gain="a server that cannot be emptied",
        act=try_post(
            lambda awardee: f"{awardee.group('policy/v1')}/poddisruptionbudgets",
            {"metadata": {"name": "attempt"}, "spec": {"maxUnavailable": 0, "selector": {}}},
            "exists; gpuprov deletes pods and does not evict them",
        ),
        expected=role_first(WORKS),
    ),
)
