"""Reads the nodes of a cluster that no stack describes yet."""

from __future__ import annotations

from dataclasses import dataclass

from gpuprov.core.cluster import ProviderCluster
from gpuprov.errors import ClusterUnreachable
from gpuprov.kube.client import KubeApi
from gpuprov.kube.reading import read_list, read_uid
from gpuprov.preflight.facts import Unread
from gpuprov.preflight.nodes import Node, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Servers:
    """The nodes of a cluster, and the UID of its kube-system namespace; None where the identity may not read that."""

    uid: str | None
    nodes: tuple[Node, ...]


def read_servers(provider: str, context: str, exec_plugins: tuple[str, ...] = ()) -> Servers:
    """Read them through a context of the kubeconfig, which may run these programs. Raises ClusterUnreachable, or
    ClusterError.
    """
    cluster = ProviderCluster.model_construct(
        provider=provider,
        context=context,
        exec_plugins=exec_plugins,
        pools=(),  # they are not known yet
    )
    api = KubeApi(cluster)
    nodes = read_list(api, "/api/v1/nodes")
    if isinstance(nodes, Unread):
        raise ClusterUnreachable(provider, f"the identity of context {context!r} may not list nodes ({nodes.reason})")
    uid = read_uid(api)
    return Servers(uid=None if isinstance(uid, Unread) else uid, nodes=read(nodes))
