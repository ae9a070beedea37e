"""Reads everything that a cluster has of charts/gpu-cluster, and keeps the record of the last set-up beside it."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from gpuprov.core.manifests import SYSTEM_NAMESPACE
from gpuprov.kube.client import KubeApi
from gpuprov.preflight import installed
from gpuprov.preflight.facts import Live
from gpuprov.preflight.installed import COLLECTIONS, SELECTOR, Record

NAME, KEY = "gpuprov-setup", "record"
"""The config map in the chart's namespace, and its entry that has the record."""

_HOME = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
_MAPS = f"{_HOME}/configmaps"


def read_objects(api: KubeApi) -> tuple[Live, ...]:
    """Return what the cluster has of the chart, with the namespace of its release. Raises ClusterError."""

    def listed(path: str) -> Iterable[Live]:
        return tuple(api.list(path, labelSelector=SELECTOR))

    with ThreadPoolExecutor(max_workers=len(COLLECTIONS)) as pool:
        collections = list(pool.map(listed, COLLECTIONS.values()))
    home = api.get(_HOME)
    found = [live for collection in collections for live in collection]
    return tuple(found if home is None else [{"apiVersion": "v1", "kind": "Namespace"} | home, *found])


def read_record(api: KubeApi) -> Record | None:
    """Return the record of the last set-up, None where there is none. Raises ClusterError."""
    config_map = api.get(f"{_MAPS}/{NAME}") or {}
    return installed.read((config_map.get("data") or {}).get(KEY))


def write_record(api: KubeApi, record: Record) -> None:
    """Keep the record of a set-up that has succeeded. Raises ClusterError."""
    body = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": NAME, "namespace": SYSTEM_NAMESPACE},
        "data": {KEY: record.to_text()},
    }
    if api.create(_MAPS, body) is None:
        api.replace(f"{_MAPS}/{NAME}", body)


def remove_record(api: KubeApi) -> None:
    """Remove the record before something is changed: from then on only a run that succeeds says what there is.

    Raises ClusterError.
    """
    api.delete(f"{_MAPS}/{NAME}")


def server_version(api: KubeApi) -> str:
    """Return the version of Kubernetes, which a chart may depend on; empty where the server does not tell it."""
    return str(api.ask("GET", "/version").data.get("gitVersion") or "")
