"""`gpuprov preflight`: is a provider's cluster fit for awards?"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from gpuprov.cli.common import at_option, json_option, project_option, provider_option, use_toolchain, warn
from gpuprov.cli.errors import Exit, fail, print_json, reports_errors
from gpuprov.cli.screen import table
from gpuprov.errors import ToolchainError
from gpuprov.run.clock import now

if TYPE_CHECKING:
    from gpuprov.load.project import Project
    from gpuprov.preflight import Finding
    from gpuprov.run.preflight import Report


@click.command("preflight")
@reports_errors
@project_option
@at_option
@provider_option
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Print only the summary and what failed.")
def command(project: Project, at: datetime | None, providers: tuple[str, ...], *, as_json: bool, quiet: bool) -> None:
    """Check providers' clusters before awards are placed on them; give a remedy for each check that fails.

    Changes nothing: all writes are dry runs. Exits with 1 if a check failed (not for warnings), with 5 if a cluster
    could not be reached.
    """
    from gpuprov.preflight import Result
    from gpuprov.run.loading import load
    from gpuprov.run.pipeline import select
    from gpuprov.run.preflight import run_preflight

    chosen = select(project.clusters, providers)
    loaded = load(project)
    warn(loaded.warnings)
    reports, unreached = run_preflight(loaded, chosen, at or now(project.programme.zone), pulumi=_no_pulumi())
    lines = [(report.provider, finding) for report in reports for finding in report.findings]
    if as_json:
        findings = [{"provider": provider} | asdict(finding) for provider, finding in lines]
        print_json({"findings": findings, "failed": {name: str(error) for name, error in unreached.items()}})
    else:
        _print(reports, unreached, quiet=quiet)
    for error in unreached.values():
        click.echo(f"not checked: {error}", err=True)
    if unreached:
        fail(Exit.SOME_CLUSTERS_FAILED)
    if any(finding.result is Result.FAILED for _, finding in lines):
        fail(Exit.FAILURE)


def _print(reports: Sequence[Report], unreached: Collection[str], *, quiet: bool) -> None:
    """Print a line for each provider, then the findings; of a cluster that is not set up only what setup leaves."""
    summary = [(report.provider, _verdict(report, quiet=quiet)) for report in reports]
    summary += [(provider, "not checked") for provider in unreached]
    if reports:
        table(["provider", "result"], summary)
    rows = [
        (report.provider, finding.check, finding.result, finding.seen, finding.remedy)
        for report in reports
        for finding in _worth_reading(report, quiet=quiet)
    ]
    if rows:
        click.echo()
        table(["provider", "check", "result", "seen", "what to do"], rows)


def _worth_reading(report: Report, *, quiet: bool) -> list[Finding]:
    """Return the findings to show. Those of a cluster without the chart only repeat that it is not there."""
    from gpuprov.preflight import Result

    repeated = report.not_set_up.checks if report.not_set_up else frozenset()
    findings = [finding for finding in report.findings if finding.check not in repeated]
    if quiet or report.not_set_up:
        findings = [finding for finding in findings if finding.result is Result.FAILED]
    return findings


def _verdict(report: Report, *, quiet: bool) -> str:
    """Return ``fit``, how much is to be fixed, or that nothing can be said before `gpuprov setup`."""
    from gpuprov.preflight import Result
    from gpuprov.preflight.finding import counted

    if report.not_set_up:
        return f"{report.not_set_up.reason}: {report.not_set_up.remedy}"
    failed = sum(finding.result is Result.FAILED for finding in report.findings)
    warnings = sum(finding.result is Result.WARNING for finding in report.findings)
    hidden = " not shown" if quiet else ""
    return (f"{failed} to fix" if failed else "fit") + (f", {counted(warnings, 'warning')}{hidden}" if warnings else "")


def _no_pulumi() -> str:
    """Return why the stacks' outputs cannot be read, or an empty text; only one check of many needs them."""
    try:
        use_toolchain()
    except ToolchainError as error:
        return str(error)
    return ""
