"""Runs the comparison. What is finished is written at once, so an interrupted one goes on with --resume."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import urllib3
from kubernetes.client import ApiException

from bench.measure import Cost, measured
from bench.report import OVER, Results, markdown, print_tables
from bench.tools import TOOLS, Tool
from bench.world import CHANGED, FORFEITED, TooLong, World, WrongState, namespace, world
from gpuprov.errors import GpuprovError

MOST = {"gpuprov": 10_000, "before": 10_000, "kubectl": 10_000, "helm": 300, "terraform": 1000, "plain": 300}
"""To how many awards a tool is run unless asked: plain Pulumi is quadratic, Helm takes most of a second for each."""

QUICK_SECONDS = 60.0
"""A tool whose whole pass over a size takes longer is not repeated."""

_FAILURES = (WrongState, TooLong, OSError, ApiException, urllib3.exceptions.HTTPError, GpuprovError)
"""What costs one tool its pass, and not the whole comparison."""

Step = tuple[str, Callable[[Tool, Cost], None], dict[str, Any]]


def steps(awards: int, wanted: Sequence[str]) -> list[Step]:
    """Return the cases in order: name, what the tool does, and what the cluster has to be like then."""
    changed, gone = namespace(CHANGED) if "change" in wanted else None, namespace(FORFEITED)
    return [
        ("provision", lambda tool, cost: tool.provision(cost), {"namespaces": awards}),
        ("nothing", lambda tool, cost: tool.nothing(cost), {"namespaces": awards}),
        ("change", lambda tool, cost: tool.change(cost), {"namespaces": awards, "changed": changed}),
        (
            "forfeit",
            lambda tool, cost: tool.forfeit(cost),
            {"namespaces": awards - 1, "changed": changed, "gone": gone},
        ),
        ("teardown", lambda tool, cost: tool.teardown(cost), {"namespaces": 0}),
    ]


def one_pass(make: type[Tool], where: World, wanted: Sequence[str], limit: float, note: Callable[..., None]) -> float:
    """Run all cases of one tool on a fresh cluster; return the seconds that they took together."""
    tool, total = make(where), 0.0
    where.deadline = time.monotonic() + limit
    tool.prepare()
    for name, work, expected in steps(where.awards, wanted):
        if name not in wanted:
            continue
        if name == "change":
            where.write_list(changed=True)
        if name == "forfeit":
            where.start_pod(namespace(FORFEITED))
        where.settle()
        where.deadline = time.monotonic() + limit
        with measured(where.servers) as cost:
            work(tool, cost)
        where.check(**expected)
        note(name, cost)
        total += cost.wall
    return total


@click.command()
@click.option("--sizes", default="100,300,1000,3000", show_default=True, help="How many awards.")
@click.option("--tools", default=",".join(name for name in TOOLS if name != "before"), show_default=True)
@click.option("--cases", default="provision,nothing,change,forfeit,teardown", show_default=True)
@click.option("--repeat", default=3, show_default=True, help="Passes of what takes less than a minute.")
@click.option("--shards", default=0, help="Stacks that gpuprov shares the awards between; one for each 150 if 0.")
@click.option("--limit", default=900.0, show_default=True, help="Seconds for one case.")
@click.option("--most", multiple=True, help="TOOL=N: run a tool to N awards.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/performance.json"), show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), default=Path("docs/performance.svg"), show_default=True)
@click.option("--markdown", "as_markdown", is_flag=True, help="Only print the tables of the file, for the docs.")
@click.option("--resume", is_flag=True, help="Keep what the file has, and do only what it lacks.")
def main(
    *,
    sizes: str,
    tools: str,
    cases: str,
    repeat: int,
    shards: int,
    limit: float,
    most: Sequence[str],
    out: Path,
    plot: Path,
    as_markdown: bool,
    resume: bool,
) -> None:
    """Compare gpuprov with kubectl, Helm, Terraform and plain Pulumi, on clusters of this machine."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is stopped on the way out
    bounds = MOST | {name: int(number) for name, _, number in (one.partition("=") for one in most)}
    results = Results.open(out, resume=resume or as_markdown)
    if as_markdown:
        click.echo(markdown(results))
        return
    wanted = cases.split(",")
    for awards in sorted(int(size) for size in sizes.split(",")):
        stacks = shards or max(1, round(awards / 150))
        slow: set[str] = set()
        for number in range(repeat):
            for name in tools.split(","):
                if awards > bounds[name] or name in slow or results.has(name, awards, number, wanted):
                    continue
                took = _try(
                    name=name,
                    awards=awards,
                    shards=stacks,
                    cases=wanted,
                    limit=limit,
                    results=results,
                    number=number,
                )
                if took is None or took > QUICK_SECONDS:
                    slow.add(name)
    print_tables(results)
    from bench.plot import draw

    draw(results, plot)
    click.echo(f"{out} and {plot} are written", err=True)


def _try(
    *, name: str, awards: int, shards: int, cases: Sequence[str], limit: float, results: Results, number: int
) -> float | None:
    """Run one pass on a cluster of its own; None where it failed. What it did until then counts."""
    results.drop(name, awards, number)
    folder = Path(tempfile.mkdtemp(prefix="gpuprov-bench-"))

    def note(case: str, cost: Cost) -> None:
        results.add(name, awards, number, case, cost)
        seconds = f"{cost.wall:.1f} s, {cost.cpu:.1f} s CPU, servers {cost.servers_cpu:.1f} s, {cost.peak_mib} MiB"
        click.echo(f"{name:10} {awards:5} awards  {case:10} {seconds} {cost.extra or ''}", err=True)

    try:
        with world(folder, awards, shards) as where:
            return one_pass(TOOLS[name], where, cases, limit, note)
    except _FAILURES as error:
        why = f"{OVER} {limit:.0f} s" if isinstance(error, TooLong) else str(error)
        results.fail(name, awards, why)
        click.echo(f"{name:10} {awards:5} awards  stopped: {why}", err=True)
        return None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
