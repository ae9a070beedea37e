"""The work of `gpuprov kubeconfig`: writes a credential for an awardee, or revokes all of an award."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from gpuprov.cli.common import warn
from gpuprov.cli.errors import Exit, fail, print_json
from gpuprov.cli.screen import say, table
from gpuprov.cli.suggestions import did_you_mean
from gpuprov.core import naming, welcome
from gpuprov.core.decisions import find
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import language, tr
from gpuprov.kube.tokens import REMEMBERED_SECONDS
from gpuprov.load.project import Project
from gpuprov.run import credentials
from gpuprov.run.loading import load


def issue(
    project: Project,
    award: str,
    at: datetime | None,
    out: Path | None,
    hours: int | None,
    *,
    as_json: bool,
    force: bool,
) -> None:
    """Write a kubeconfig with a token for the award, and its page beside it, and print the kubeconfig's path.

    Raises InputError and ClusterError.
    """
    (history,) = find(load(project).histories, [award])
    path = out or credentials.default_path(naming.namespace(award))
    if out is None:
        credentials.make_folder(path.parent)
    credentials.check_path(path, force=force)
    tenant, token = credentials.issue(project, history, at, hours)
    page = credentials.page_path(path)
    credentials.write_page(page, welcome.page(tenant, project.by_provider[tenant.provider], language()))
    credentials.write_private(path, credentials.kubeconfig(tenant, token))
    until = token.expires.astimezone(project.programme.zone).isoformat()
    if as_json:
        files = {"file": str(path), "page": str(page)}
        print_json({"award": award, "namespace": tenant.namespace, **files, "expires": until})
    else:
        click.echo(str(path))
    say(
        tr(
            "{file} is valid for {namespace} at {provider} until {until}",
            file=path,
            namespace=tenant.namespace,
            provider=tenant.provider,
            until=until,
        ),
        err=True,
    )
    say(tr("{file} tells the awardee what it has, and how to begin", file=page), err=True)


def revoke(project: Project, award: str, *, as_json: bool) -> None:
    """Revoke the award's tokens wherever it has a namespace, whatever the award lists say.

    Raises InputError. Ends the command with exit code 5 if a cluster failed.
    """
    done, failed = credentials.revoke(project.clusters, award)
    stranger = None if done else _stranger(project, award)
    if stranger is not None and not failed:
        raise InputError([stranger])
    if as_json:
        print_json(
            {
                "award": award,
                "revoked": [{"provider": revoked.provider, "namespace": revoked.namespace} for revoked in done],
                "ends_within_seconds": REMEMBERED_SECONDS,
                "failed": {provider: str(error) for provider, error in failed.items()},
            }
        )
    elif done:
        accounts = {True: tr("deleted, and read back as gone"), False: tr("there was none")}
        rows = [(revoked.provider, revoked.namespace, accounts[revoked.account]) for revoked in done]
        table([tr("provider"), tr("namespace"), tr("service account")], rows)
    say(_effect(award, revoked=bool(done)), err=True)
    if stranger is not None:
        warn([stranger.sentence])
    for error in failed.values():
        say(tr("not revoked: {error}", error=error.message_text), err=True)
    if failed:
        fail(Exit.SOME_CLUSTERS_FAILED)


def _effect(award: str, *, revoked: bool) -> str:
    if not revoked:
        return tr(
            "no cluster that answered has a namespace of {award}, so none of its tokens is valid there", award=award
        )
    return tr(
        "every token of {award} ends within about {seconds} s: that is how long an API server caches a token that it "
        "has checked. Connections that are already open (a watch, a shell) are not closed.",
        award=award,
        seconds=REMEMBERED_SECONDS,
    )


def _stranger(project: Project, award: str) -> Problem | None:
    """Return the problem of an award that is in no list and on no cluster; None if a list has it."""
    nowhere = tr("no cluster that answered has its namespace {namespace}", namespace=naming.namespace(award))
    try:
        known = [history.award.id for history in load(project).histories]
    except InputError:
        message = tr("{nowhere}, and the award lists cannot be read", nowhere=nowhere)
        remedy = tr("check the id; run `gpuprov validate`")
    else:
        if award in known:
            return None
        message = tr("is in no award list, and {nowhere}", nowhere=nowhere)
        remedy = tr("check the award id{suggestion}", suggestion=did_you_mean(award, known))
    return Problem(argument="AWARD", value=award, message=message, remedy=remedy)
