"""The objects of charts/gpu-cluster as its tests have them on record, with the default values."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

_PATH = Path(__file__).parent / "charts" / "golden" / "default.yaml"


@cache
def _objects() -> list[dict[str, Any]]:
    return [manifest for manifest in yaml.safe_load_all(_PATH.read_text(encoding="utf-8")) if manifest]


def chart(kind: str) -> dict[str, dict[str, Any]]:
    """Return the objects of one kind by name; they are the caller's to change."""
    return {manifest["metadata"]["name"]: deepcopy(manifest) for manifest in _objects() if manifest["kind"] == kind}
