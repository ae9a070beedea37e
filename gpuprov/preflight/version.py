"""Whether the API server is new enough, and one that gpuprov is tested with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gpuprov.preflight.finding import Finding, failed, ok, warning

CHECK = "version"

OLDEST = (1, 30)
"""ValidatingAdmissionPolicy is v1, and always on, from Kubernetes 1.30 on."""

NEWEST_TESTED = (1, 36)
"""The minor version of Kubernetes that the sandbox runs, and so the tests."""


def check(answer: Mapping[str, Any]) -> list[Finding]:
    """Judge what ``/version`` says; providers add signs to the minor version, such as ``30+``."""
    text = str(answer.get("gitVersion") or "nothing")
    match = re.match(r"(\d+)\D+(\d+)", f"{answer.get('major', '')}.{answer.get('minor', '')}")
    match = match or re.match(r"v?(\d+)\.(\d+)", text)
    if match is None:
        remedy = f"ask the provider; gpuprov needs Kubernetes {_text(OLDEST)} or newer"
        return [warning(CHECK, f"the server tells no version of Kubernetes ({text})", remedy)]
    minor = (int(match[1]), int(match[2]))
    if minor < OLDEST:
        remedy = f"upgrade the cluster to {_text(OLDEST)} or newer: admission policies (v1) are not there before"
        return [failed(CHECK, f"Kubernetes {text}", remedy)]
    if minor > NEWEST_TESTED:
        remedy = f"gpuprov is tested up to {_text(NEWEST_TESTED)}; read the release notes, and try one award first"
        return [warning(CHECK, f"Kubernetes {text}", remedy)]
    return [ok(CHECK, f"Kubernetes {text}")]


def _text(version: tuple[int, int]) -> str:
    return ".".join(str(part) for part in version)
