"""Kubeconfigs with embedded certificates, so that a client needs one file only."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from gpuprov.sandbox.controlplane import Layout


def render(layouts: Iterable[Layout], identities: Mapping[str, str]) -> str:
    """Return a kubeconfig with a context for each cluster and identity; the first is the current one.

    ``identities`` maps an identity to the suffix of its contexts' names, after the cluster's name.
    """
    layouts = list(layouts)
    pairs = [(layout, identity) for layout in layouts for identity in identities]
    contexts = [
        {
            "name": f"{layout.name}{identities[identity]}",
            "context": {"cluster": layout.name, "user": f"{layout.name}-{identity}"},
        }
        for layout, identity in pairs
    ]
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": layout.name, "cluster": _cluster(layout)} for layout in layouts],
        "users": [{"name": f"{layout.name}-{identity}", "user": _user(layout, identity)} for layout, identity in pairs],
        "contexts": contexts,
        "current-context": contexts[0]["name"] if contexts else "",
    }
    return yaml.safe_dump(document, sort_keys=False)


def _cluster(layout: Layout) -> dict[str, str]:
    authority = base64.b64encode((layout.pki / "ca.crt").read_bytes()).decode()
    return {"server": layout.url, "certificate-authority-data": authority}


def _user(layout: Layout, identity: str) -> dict[str, str]:
    certificate, key = (layout.pki / f"{identity}.{end}" for end in ("crt", "key"))
    return {
        "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
        "client-key-data": base64.b64encode(key.read_bytes()).decode(),
    }
