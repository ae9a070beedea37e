"""Which cluster is meant, as far as requests need to know: a provider's, or the one that this process runs on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kubernetes import client
from kubernetes.config.config_exception import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader

from gpuprov.errors import ClusterUnreachable

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where the kubelet puts a pod's token and the certificate authority of its API server."""


class Target(Protocol):
    """Whose cluster it is, by which name it was found, which programs may tell credentials for it, and whether it must
    have the chart.
    """

    @property
    def provider(self) -> str: ...  # noqa: D102
    @property
    def context(self) -> str: ...  # noqa: D102
    @property
    def admin_context(self) -> str | None: ...  # noqa: D102
    @property
    def exec_plugins(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def require_chart(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class OwnCluster:
    """The cluster that this process runs on, as a pod with a service account: it has no kubeconfig."""

    provider: str = "this cluster"
    context: str = "the service account"
    admin_context: str | None = None
    exec_plugins: tuple[str, ...] = ()
    require_chart: bool = True


def own_settings(folder: Path = SERVICE_ACCOUNT_FOLDER) -> client.Configuration:
    """Return the official client's settings for a pod: the token in ``folder`` is read again every minute, since the
    kubelet renews it. Raises ClusterUnreachable where there is no service account.
    """
    settings = client.Configuration()
    try:
        loader = InClusterConfigLoader(str(folder / "token"), str(folder / "ca.crt"), environ=os.environ)
        loader.load_and_set(settings)
    except (ConfigException, OSError) as error:
        raise ClusterUnreachable(
            OwnCluster().provider,
            f"no service account in {folder}, or no API server in the environment ({error}); run this as a pod with a "
            "token (`automountServiceAccountToken`), as charts/gpu-cluster does",
        ) from error
    return settings
