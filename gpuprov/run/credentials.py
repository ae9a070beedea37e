"""Who gets a credential, and until when: decided from the award list and the ledger, for a given time."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.days import to_the_minute
from gpuprov.core.ledger import History
from gpuprov.core.tenant import Desired, Tenant, desired_state
from gpuprov.errors import ClusterError, InputError, Problem
from gpuprov.i18n import tr
from gpuprov.kube import tokens
from gpuprov.kube.tokens import Revoked, Token
from gpuprov.load.files import system_reason
from gpuprov.load.project import Project
from gpuprov.run.clock import now
from gpuprov.run.files import write_whole


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """A token's lifetime in seconds, and the time by the API server's clock at which it must have expired.

    ``until`` is None in a rehearsal: the award has ended, and an earlier time was asked for.
    """

    seconds: int
    until: datetime | None


def tenant_of(desired: Desired, award_id: str) -> Tenant:
    """Return the award's tenant. Raises InputError with the reason if it has none at that time."""
    for tenant in desired.tenants:
        if tenant.award_id == award_id:
            return tenant
    reasons = (absence.reason for absence in desired.absences if absence.award_id == award_id)
    reason = next(reasons, tr("in no award list"))
    remedy = tr("check the award id and --at; `gpuprov show {award}` tells more", award=award_id)
    raise _refusal(award_id, tr("has no GPUs ({reason})", reason=reason), remedy)


def issue(project: Project, history: History, at: datetime | None, hours: int | None) -> tuple[Tenant, Token]:
    """Return a token for the award; it expires when the award's allocations end, or after ``hours`` if that is earlier.

    ``at`` is the time to decide for; None means now by the API server's clock. What other awards hold does not matter.
    Raises InputError if the award may have no credential or has no namespace, and ClusterError.
    """
    award_id = history.award.id
    if at is not None or not history.allocations:
        present = at or now(project.programme.zone)
        tenant_of(desired_state([history], project.clusters, present), award_id)  # refuse without any request
    cluster = project.by_provider[history.award.provider]
    place = tokens.look(cluster, award_id)
    tenant = tenant_of(desired_state([history], project.clusters, at or place.clock), award_id)
    life = lifetime(history, at, hours, place.clock)
    where = {"namespace": tenant.namespace, "provider": cluster.provider}
    if not place.exists:
        raise _refusal(
            award_id, tr("has no namespace {namespace} at {provider}", **where), tr("run `gpuprov up` first")
        )
    if place.terminating:
        message = tr("is being taken back: namespace {namespace} at {provider} is terminating", **where)
        raise _refusal(award_id, message, tr("run `gpuprov up` once it is gone"))
    return tenant, tokens.issue(cluster, tenant, life.seconds, life.until)


def lifetime(history: History, at: datetime | None, hours: int | None, clock: datetime) -> Life:
    """Return how long a token may live: until the award's allocations end, or ``hours`` if that is less.

    Tokens expire by the API server's ``clock``. So while the award's end is still ahead, no ``at`` before it makes a
    token outlive it; if the end has passed and ``at`` is given, the command is a rehearsal at another time.
    Raises InputError if less time is left than Kubernetes' minimum.
    """
    end = max(part.end for part in history.allocations)
    rehearsal = at is not None and end <= clock
    begins = at if at is not None and (rehearsal or at > clock) else clock
    left = int((end - begins).total_seconds())
    seconds = left if hours is None else min(left, hours * 3600)
    if seconds < tokens.SHORTEST_SECONDS:
        when = to_the_minute(end, history.zone)
        message = tr(
            "ends at {end}, in {left} s, and no token can live less than {shortest} s",
            end=when,
            left=max(0, left),
            shortest=tokens.SHORTEST_SECONDS,
        )
        raise _refusal(history.award.id, message, tr("it needs no credential any more"))
    return Life(seconds=seconds, until=None if rehearsal else end)


def _refusal(award_id: str, message: str, remedy: str) -> InputError:
    return InputError([Problem(argument="AWARD", value=award_id, message=message, remedy=remedy)])


def revoke(clusters: Sequence[ProviderCluster], award_id: str) -> tuple[list[Revoked], dict[str, ClusterError]]:
    """Revoke the award's tokens on every cluster that has its namespace; it may have moved, or have left all lists.

    Return where they were revoked, and the error of each cluster where this is not certain.
    """
    done: list[Revoked] = []
    failed: dict[str, ClusterError] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(clusters))) as pool:
        futures = [(cluster.provider, pool.submit(tokens.revoke, cluster, award_id)) for cluster in clusters]
    for provider, future in futures:
        try:
            revoked = future.result()
        except ClusterError as error:
            failed[provider] = error
            continue
        if revoked is not None:
            done.append(revoked)
    return done, failed


def kubeconfig(tenant: Tenant, token: Token) -> str:
    """Return an awardee's kubeconfig, with the award's namespace as its default."""
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


def default_path(namespace: str) -> Path:
    """Return the default path of a credential: outside of every project, in a folder of its own."""
    return Path.home() / ".kube" / "gpuprov" / f"{namespace}.kubeconfig"


def make_folder(path: Path) -> None:
    """Create the folder for credentials, accessible to its owner only. Raises InputError if that fails."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        message = tr("cannot be made ({reason})", reason=system_reason(error))
        remedy = tr("name a file in another folder with --out")
        raise InputError([Problem(file=str(path), message=message, remedy=remedy)]) from error


def page_path(path: Path) -> Path:
    """Return where the awardee's page goes, beside its credential."""
    page = path.with_suffix(".md")
    return page if page != path else path.with_name(f"{path.name}.md")


def check_path(path: Path, *, force: bool) -> None:
    """Raise InputError, before a token is requested, if a credential cannot or should not be written to this path, or
    its page beside it.

    ``force`` allows to replace existing files, and to write where `git add` would include the credential.
    """
    problems = []
    if not path.parent.is_dir():
        remedy = tr("make it, or choose another --out")
        problems.append(Problem(file=str(path.parent), message=tr("is not a folder"), remedy=remedy))
    for file in (path, page_path(path)):
        if file.exists() and not force:
            remedy = tr("pass --force, or another --out")
            problems.append(Problem(file=str(file), message=tr("already exists"), remedy=remedy))
    if not force and _git_would_add(path):
        problems.append(
            Problem(
                file=str(path),
                message=tr(
                    "is in a git work tree that does not ignore it: a credential would be committed with the rest"
                ),
                remedy=tr("name a file outside of it, add it to .gitignore, or pass --force"),
            )
        )
    if problems:
        raise InputError(problems)


def _git_would_add(path: Path) -> bool:
    """Return whether `git add` would include the file. Without git, or outside of a work tree, it would not."""
    git = shutil.which("git")
    folder = path.parent.resolve()
    if git is None or not folder.is_dir():
        return False
    # In a git hook, these variables point to the hook's own repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}

    def ask(*question: str) -> subprocess.CompletedProcess[str]:
        command = [git, "-C", str(folder), *question]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    inside = ask("rev-parse", "--is-inside-work-tree")
    if inside.returncode or inside.stdout.strip() != "true":
        return False
    return ask("check-ignore", "--quiet", "--", f"./{path.name}").returncode != 0


def write_page(path: Path, text: str) -> None:
    """Write an awardee's page, atomically. Raises InputError if that fails."""
    write_whole(path, text.encode(), force=True, remedy=tr("choose another --out"))


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically. Raises InputError if that fails."""
    write_whole(path, text.encode(), force=True, mode=0o600, remedy=tr("choose another --out"))
