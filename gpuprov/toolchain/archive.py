"""Extract single executables from a vendor's archive."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Mapping
from pathlib import Path

from gpuprov.toolchain.events import SourceFailed

MAX_MEMBER_BYTES = 1 << 30


def extract(archive: Path, members: Mapping[str, str], out: Path) -> None:
    """Write the wanted members of a tar file to their places below ``out``; ignore everything else.

    Names in the archive never become paths: only regular files whose full name is wanted are copied, so links and
    names with ``..`` have no effect. Raises SourceFailed for a member that is missing or too large, or an archive
    that cannot be read.
    """
    missing = dict(members)
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                place = missing.get(name := member.name.removeprefix("./"))
                if place is None or not member.isreg():
                    continue
                if member.size > MAX_MEMBER_BYTES:
                    raise SourceFailed(f"{archive.name}: {name} has {member.size} bytes")
                _copy(tar, member, out / place)
                del missing[name]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise SourceFailed(f"{archive.name} cannot be unpacked: {error}") from error
    if missing:
        raise SourceFailed(f"{archive.name} does not contain {', '.join(missing)}")


def _copy(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    source = tar.extractfile(member)
    assert source is not None  # noqa: S101 (a regular file always has content)
    target.parent.mkdir(parents=True, exist_ok=True)
    with source, target.open("wb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(0o755)
