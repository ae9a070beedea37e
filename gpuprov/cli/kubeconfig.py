"""`gpuprov kubeconfig`: a credential for one awardee, which ends with the award."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from gpuprov import access
from gpuprov.award import SEOUL
from gpuprov.cli.common import at_option, json_option, print_json, project_option, reports_errors
from gpuprov.cli.events import find_awards
from gpuprov.errors import InputError, Problem
from gpuprov.project import Project
from gpuprov.run.clock import now
from gpuprov.run.credentials import kubeconfig, lifetime, tenant_of, write_private
from gpuprov.run.pipeline import load


@click.command("kubeconfig")
@reports_errors
@project_option
@at_option
@json_option
@click.argument("award")
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The file; NAMESPACE.kubeconfig if not given."
)
@click.option("--hours", type=click.IntRange(min=1), help="How long the token lives; to the award's end if not given.")
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--revoke", is_flag=True, help="Void every token of the award instead.")
def command(
    project: Project,
    award: str,
    at: datetime | None,
    out: Path | None,
    hours: int | None,
    *,
    as_json: bool,
    force: bool,
    revoke: bool,
) -> None:
    """Write a kubeconfig for an awardee, with a token that ends no later than the award.

    Forfeiting the award voids it at once.
    """
    loaded = load(project)
    (history,) = find_awards(loaded, [award])
    moment = at or now()
    tenant = tenant_of(loaded.desired(moment), award)
    cluster = project.by_provider[tenant.provider]
    if revoke:
        access.revoke(cluster, tenant.namespace)
        click.echo(f"every token of {award} is void", err=True)
        return
    path = out or Path(f"{tenant.namespace}.kubeconfig")
    if path.exists() and not force:
        raise InputError([Problem(file=str(path), message="is there already", remedy="give --force, or another --out")])
    token = access.issue(cluster, tenant, lifetime(history, moment, hours, now()))
    write_private(path, kubeconfig(tenant, token))
    until = token.expires.astimezone(SEOUL).isoformat()
    if as_json:
        print_json({"award": award, "namespace": tenant.namespace, "file": str(path), "expires": until})
    else:
        click.echo(str(path))
    click.echo(f"{path} is good for {tenant.namespace} at {tenant.provider} until {until}", err=True)
