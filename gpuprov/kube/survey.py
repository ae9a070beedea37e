"""Reads what the preflight decides from. What it asks the server to write is tried (``dryRun=All``) and never done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import yaml

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.manifests import MANAGED_BY, MANAGER, NODE_SELECTOR, PROVIDER_LABEL, selector
from gpuprov.errors import ClusterUnreachable
from gpuprov.kube.answer import Answer
from gpuprov.kube.client import KubeApi
from gpuprov.kube.reading import Now, read_chart, read_clock, read_dra, read_list, read_object, read_uid
from gpuprov.preflight.facts import Facts, Live, Reply, Unread
from gpuprov.preflight.plugin import plugins
from gpuprov.preflight.rights import ASKED, Right

_AT_ONCE = 8
_FEW_TENANTS = 5
_PROBE = "gpu-preflight-probe"
"""The name of what is tried: one of ours, so that the chart's policies do not answer in the place of a plugin."""

_UNAUTHORIZED = 401
_REVIEWED = (200, 201)
"""Statuses of a review that was made: any other answer is a Status object, whose ``status`` is a text."""


def _now() -> datetime:
    return datetime.now(UTC)


def survey(cluster: ProviderCluster, now: Now = _now) -> Facts:
    """Read everything. Raises ClusterUnreachable where the server does not answer, or does not know the identity.

    ``now`` is this machine's clock. A part that the identity may not read is no error but a fact: `Unread`.
    """
    api = KubeApi(cluster)
    version = api.ask("GET", "/version")
    if version.status == _UNAUTHORIZED:
        raise ClusterUnreachable(
            cluster.provider,
            f"the server does not know the identity of context {cluster.context!r} ({version.message}); renew its "
            "credentials in the kubeconfig",
        )
    clock = read_clock(api, now)  # on an open connection: the time to open one would look like a difference of clocks
    daemon_sets = read_list(api, "/apis/apps/v1/daemonsets")
    tenants = _tenants(api, cluster)
    classes, slices = read_dra(api, "deviceclasses", "resourceslices")
    policies, bindings, tenant_role = read_chart(api)
    return Facts(
        version=version.data,
        clock=clock,
        who=_who(api),
        uid=read_uid(api),
        rights=_rights(api),
        nodes=read_list(api, "/api/v1/nodes"),
        daemon_sets=daemon_sets,
        configs={} if isinstance(daemon_sets, Unread) else _configs(api, daemon_sets),
        device_classes=classes,
        resource_slices=slices,
        policies=policies,
        bindings=bindings,
        tenant_role=tenant_role,
        tenant_pods=tuple(_tenant_pods(api, tenants)),
        api_servers=read_list(api, "/api/v1/namespaces/kube-system/pods", labelSelector="component=kube-apiserver"),
        probed_pod=_probe_pod(api, tenants),
        probed_namespace=_probe_namespace(api, cluster),
    )


def _who(api: KubeApi) -> str:
    answer = _review(api, "authentication.k8s.io", "SelfSubjectReview")
    user = answer.data["status"].get("userInfo") or {} if answer.status in _REVIEWED else {}
    return str(user.get("username") or "the identity")


def _rights(api: KubeApi) -> Mapping[Right, bool] | Unread:
    """Ask for each right by itself: only the server's own authorizers know what they allow.

    An answer that is missing says nothing of a right, so then none is known.
    """

    def ask(right: Right) -> Answer:
        return _review(api, "authorization.k8s.io", "SelfSubjectAccessReview", right.review())

    first = ask(ASKED[0])
    if first.status not in _REVIEWED:
        return Unread(first.message)
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        answers = list(pool.map(ask, ASKED))
    for answer in answers:
        if answer.status not in _REVIEWED:
            return Unread(answer.message)
    pairs = zip(ASKED, answers, strict=True)
    return {right: bool(answer.data["status"].get("allowed")) for right, answer in pairs}


def _review(api: KubeApi, group: str, kind: str, spec: Mapping[str, Any] | None = None) -> Answer:
    body = {"apiVersion": f"{group}/v1", "kind": kind} | ({} if spec is None else {"spec": spec})
    return api.ask("POST", f"/apis/{group}/v1/{kind.lower()}s", body=body, harmless=True)


def _configs(api: KubeApi, daemon_sets: Iterable[Live]) -> dict[str, tuple[Live, ...] | Unread]:
    """Read the configurations of NVIDIA's device plugin; a ConfigMap may hold several, of which a label chooses."""
    read: dict[str, tuple[Live, ...] | Unread] = {}
    for name in sorted({name for plugin in plugins(daemon_sets) for name in plugin.configs}):
        namespace, _, config_map = name.partition("/")
        found = read_object(api, f"/api/v1/namespaces/{namespace}/configmaps/{config_map}")
        if found is not None:
            read[name] = found if isinstance(found, Unread) else tuple(_parsed((found.get("data") or {}).values()))
    return read


def _parsed(texts: Iterable[str]) -> Iterator[Live]:
    for text in texts:
        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError:
            continue  # the ConfigMap of the operator's entry script, or a file that the plugin refuses too
        if isinstance(config, Mapping):
            yield config


def _tenants(api: KubeApi, cluster: ProviderCluster) -> list[tuple[str, Mapping[str, str]]]:
    """Return namespaces of ours that pods can come to, with the node labels that their pods are forced to."""
    found = read_list(api, "/api/v1/namespaces", labelSelector=selector(cluster.provider))
    tenants: list[tuple[str, Mapping[str, str]]] = []
    for namespace in () if isinstance(found, Unread) else found:
        metadata = namespace["metadata"]
        text = (metadata.get("annotations") or {}).get(NODE_SELECTOR, "")
        pairs = [pair.partition("=") for pair in text.split(",") if "=" in pair]
        if pairs and not metadata.get("deletionTimestamp"):
            tenants.append((metadata["name"], {key.strip(): value.strip() for key, _, value in pairs}))
    return tenants[:_FEW_TENANTS]


def _tenant_pods(
    api: KubeApi, tenants: Iterable[tuple[str, Mapping[str, str]]]
) -> Iterator[tuple[Live, Mapping[str, str]]]:
    for namespace, forced in tenants:
        pods = read_list(api, f"/api/v1/namespaces/{namespace}/pods")
        yield from ((pod, forced) for pod in (() if isinstance(pods, Unread) else pods))


def _probe_pod(api: KubeApi, tenants: Iterable[tuple[str, Mapping[str, str]]]) -> Reply | None:
    """Try a pod that wants other nodes than its tenant's namespace forces it to."""
    for namespace, forced in tenants:
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": _PROBE},
            "spec": {
                "nodeSelector": dict.fromkeys(forced, _PROBE),
                "containers": [{"name": "probe", "image": "none.invalid/none", "securityContext": _RESTRICTED}],
                "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
                "automountServiceAccountToken": False,
            },
        }
        return _tried(api, f"/api/v1/namespaces/{namespace}/pods", pod)
    return None


_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def _probe_namespace(api: KubeApi, cluster: ProviderCluster) -> Reply:
    """Try a namespace with a level of Pod Security that does not exist."""
    labels = {
        MANAGED_BY: MANAGER,
        PROVIDER_LABEL: cluster.provider,
        "pod-security.kubernetes.io/enforce": _PROBE,
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _PROBE, "labels": labels}}
    return _tried(api, "/api/v1/namespaces", namespace)


def _tried(api: KubeApi, path: str, body: Mapping[str, Any]) -> Reply:
    query = {"dryRun": "All", "fieldManager": MANAGER}
    answer = api.ask("POST", path, query=query, body=body, harmless=True)
    return Reply(status=answer.status, message=answer.message)
