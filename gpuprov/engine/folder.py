"""Where a backend is a folder: its path."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from gpuprov.engine import stacks


def backend_url(root: Path) -> str:
    """Return the address of the backend that Pulumi uses in this project. Raises EngineError."""
    return str(json.loads(stacks.whoami(root)).get("url") or "")


def path_of(url: str) -> Path | None:
    """Return the folder that a backend is; None for one on a server."""
    if not url.startswith("file://"):
        return None
    parts = urlsplit(url)
    return Path(unquote(parts.netloc + parts.path)).expanduser()
