"""`gpuprov preflight`: is a provider's cluster fit for awards?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option, use_toolchain, warn
from gpuprov.cli.errors import Exit, fail, print_json, reports_errors
from gpuprov.cli.output import table
from gpuprov.errors import ToolchainError
from gpuprov.load.project import Project
from gpuprov.preflight import Result
from gpuprov.run.clock import now
from gpuprov.run.loading import load
from gpuprov.run.pipeline import select
from gpuprov.run.preflight import run_preflight


@click.command("preflight")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
def command(project: Project, at: datetime | None, providers: tuple[str, ...], *, as_json: bool) -> None:
    """Check providers' clusters before awards are placed on them; give a remedy for each check that fails.

    Changes nothing: all writes are dry runs. Exits with 1 if a check failed (not for warnings), with 5 if a cluster
    could not be reached.
    """
    chosen = select(project.clusters, providers)
    loaded = load(project)
    warn(loaded.warnings)
    reports, unreached = run_preflight(loaded, chosen, at or now(project.programme.zone), pulumi=_no_pulumi())
    lines = [(report.provider, finding) for report in reports for finding in report.findings]
    if as_json:
        findings = [{"provider": provider} | asdict(finding) for provider, finding in lines]
        print_json({"findings": findings, "failed": {name: str(error) for name, error in unreached.items()}})
    elif lines:
        rows = [(provider, finding.check, finding.result, finding.seen, finding.remedy) for provider, finding in lines]
        table(["provider", "check", "result", "seen", "what to do"], rows)
    for error in unreached.values():
        click.echo(f"not checked: {error}", err=True)
    if unreached:
        fail(Exit.SOME_CLUSTERS_FAILED)
    if any(finding.result is Result.FAILED for _, finding in lines):
        fail(Exit.FAILURE)


def _no_pulumi() -> str:
    """Return why the stacks' outputs cannot be read, or an empty text; only one check of many needs them."""
    try:
        use_toolchain()
    except ToolchainError as error:
        return str(error)
    return ""
