"""Keeps what a backend has of a damaged state before it is written anew: nothing of it is deleted.

Pulumi itself keeps the last version of a state beside it, as ``<stack>.json.bak``, until the state is written once
more. In a folder a copy stays for good.
"""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path

from gpuprov.engine import stacks
from gpuprov.engine.folder import backend_url, path_of
from gpuprov.errors import EngineError


def set_aside(root: Path, project: str, stack: str) -> str:
    """Keep the damaged state of a stack; return where it will be once the state is written anew. Raises EngineError."""
    backend = backend_url(root)
    folder = f".pulumi/stacks/{project}"
    if (base := path_of(backend)) is None:
        return f"{stacks.without_password(backend).partition('?')[0]}/{folder}/{stack}.json.bak"
    path = base / folder
    try:
        kept = [_kept(file) for name in ("json", "json.gz", "json.zst") if (file := path / f"{stack}.{name}").is_file()]
    except OSError as error:
        raise EngineError(f"{stack}: the damaged state cannot be set aside ({error})") from error
    return str(kept[0]) if kept else str(path / f"{stack}.json.bak")


def _kept(file: Path) -> Path:
    """Copy a file beside itself, once for all: its name tells what is in it."""
    copy = file.with_name(f"{file.name}.damaged-{sha256(file.read_bytes()).hexdigest()[:8]}")
    if not copy.exists():
        scratch = copy.with_suffix(".new")
        shutil.copy2(file, scratch)
        scratch.replace(copy)
    return copy
