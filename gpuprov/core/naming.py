"""Names of Kubernetes objects made from award ids: always valid, never colliding, always the same.

An award id is whatever the ministry printed; a namespace is a DNS-1123 label. An id of capital letters, digits
and single inner hyphens (all official ones so far) is only lower-cased. Any other id gets a part of its SHA-256
appended, and an id whose lower-cased form looks like such a result is treated as "any other", so that no two
ids can meet in one name.
"""

from __future__ import annotations

import hashlib
import re

PREFIX = "gpu-"
"""How the namespace of every award begins."""

_PLAIN = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*")
_LOOKS_HASHED = re.compile(r".*-x[0-9a-f]{16}")
_LONGEST = 63 - len(PREFIX)
_HASH_CHARS = 16


def slug(award_id: str) -> str:
    """Return the part of names and label values that stands for ``award_id``: a DNS-1123 label."""
    lowered = award_id.lower()
    if _PLAIN.fullmatch(award_id) and not _LOOKS_HASHED.fullmatch(lowered) and len(lowered) <= _LONGEST:
        return lowered
    digest = "x" + hashlib.sha256(award_id.encode()).hexdigest()[:_HASH_CHARS]
    readable = re.sub(r"[^a-z0-9]+", "-", lowered).strip("-")
    readable = readable[: _LONGEST - len(digest) - 1].strip("-")
    return f"{readable}-{digest}" if readable else f"id-{digest}"


def namespace(award_id: str) -> str:
    """Return the namespace of an award: ``HPC-2026-1-001`` becomes ``gpu-hpc-2026-1-001``."""
    return PREFIX + slug(award_id)


def group(prefix: str, award_id: str) -> str:
    """Return the group that the supplier's identity provider asserts for the awardee's people."""
    return f"{prefix}{slug(award_id)}"
