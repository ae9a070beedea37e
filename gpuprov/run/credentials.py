"""Who gets a credential, and until when: decided from the award list and the ledger, at an instant."""

from __future__ import annotations

import base64
import os
import secrets
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gpuprov import access
from gpuprov.access import Token
from gpuprov.award import SEOUL
from gpuprov.errors import InputError, Problem
from gpuprov.ledger import History
from gpuprov.tenant import Desired, Tenant


def tenant_of(desired: Desired, award_id: str) -> Tenant:
    """Return the award's tenant. Raises InputError with the reason where it has none at that instant."""
    for tenant in desired.tenants:
        if tenant.award_id == award_id:
            return tenant
    why = next((one.reason for one in desired.absences if one.award_id == award_id), "in no award list")
    raise InputError(
        [Problem(file="AWARD", value=award_id, message=f"has no GPUs ({why})", remedy="check the award, or --at")]
    )


def lifetime(history: History, at: datetime, hours: int | None, now: datetime) -> int:
    """Return the seconds that a token may live: to the end of what the award holds, or ``hours`` if that is less.

    Tokens end by the real clock. So while that end is still to come, no ``at`` before ``now`` makes a token live beyond
    it; where it has passed, the whole story is tried out at another time. Raises InputError where less is left than
    Kubernetes can give.
    """
    end = max(part.end for part in history.allocations)
    begins = max(at, now) if now < end else at
    left = int((end - begins).total_seconds())
    seconds = left if hours is None else min(left, hours * 3600)
    if seconds < access.SHORTEST_SECONDS:
        raise InputError(
            [
                Problem(
                    file="AWARD",
                    value=history.award.id,
                    message=f"ends at {end.astimezone(SEOUL).isoformat(timespec='minutes')}, in {max(0, left)} s, "
                    f"and no token can live less than {access.SHORTEST_SECONDS} s",
                    remedy="it needs no credential any more",
                )
            ]
        )
    return seconds


def kubeconfig(tenant: Tenant, token: Token) -> str:
    """Return the file that an awardee's kubectl needs, with the namespace as its default."""
    name = tenant.namespace
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": tenant.provider,
                "cluster": {
                    "server": token.server,
                    "certificate-authority-data": base64.b64encode(token.authority).decode(),
                },
            }
        ],
        "users": [{"name": name, "user": {"token": token.token}}],
        "contexts": [{"name": name, "context": {"cluster": tenant.provider, "user": name, "namespace": name}}],
        "current-context": name,
    }
    return yaml.safe_dump(document, sort_keys=False)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all. Raises InputError where that cannot be done."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        problem = Problem(
            file=str(path), message=f"cannot be written ({error.strerror})", remedy="choose another --out"
        )
        raise InputError([problem]) from error
