"""Keeps the figures of a comparison in a JSON file and prints them as tables with ratios."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from bench.measure import Cost
from gpuprov.toolchain import pins

OVER = "over"
"""How the reason begins where a tool was stopped at the time limit."""

CASES = {
    "provision": "all awards provisioned",
    "nothing": "nothing to do",
    "change": "one award changed",
    "forfeit": "one award forfeited",
    "teardown": "everything torn down",
}


@dataclass(slots=True)
class Results:
    """All measured costs: ``data["runs"]`` has one entry for each step of each pass."""

    path: Path
    data: dict[str, Any]

    @classmethod
    def open(cls, path: Path, *, resume: bool) -> Results:
        """Begin a file, or go on with one."""
        if resume and path.exists():
            return cls(path, json.loads(path.read_text(encoding="utf-8")))
        machine = {
            "cores": os.cpu_count(),
            "memory_gib": round(psutil.virtual_memory().total / 2**30),
            "python": platform.python_version(),
            "pulumi": version("pulumi"),
            **_versions(),
        }
        return cls(path, {"machine": machine, "runs": [], "failed": []})

    def has(self, tool: str, awards: int, number: int, cases: Collection[str]) -> bool:
        """True where the pass is complete, or the tool failed at that size or took too long at a smaller one."""
        made = {r["case"] for r in self.data["runs"] if _pass_of(r) == (tool, awards, number)}
        failed = [f for f in self.data["failed"] if f["tool"] == tool]
        return made >= set(cases) or any(
            f["awards"] == awards or (f["awards"] < awards and f["why"].startswith(OVER)) for f in failed
        )

    def drop(self, tool: str, awards: int, number: int) -> None:
        """Forget a pass that was interrupted: it begins anew, on a cluster of its own."""
        self.data["runs"] = [r for r in self.data["runs"] if _pass_of(r) != (tool, awards, number)]

    def add(self, tool: str, awards: int, number: int, case: str, cost: Cost) -> None:
        """Add one step and save."""
        self.data["runs"].append({"tool": tool, "awards": awards, "pass": number, "case": case, **cost.to_json()})
        self._save()

    def fail(self, tool: str, awards: int, why: str) -> None:
        """Add that a tool stopped, and save."""
        self.data["failed"].append({"tool": tool, "awards": awards, "why": why[:500]})
        self._save()

    def medians(self, tool: str, awards: int, case: str, figure: str = "wall") -> float | None:
        """Return the median of a figure over the passes."""
        found = [
            r.get(figure, r["extra"].get(figure))
            for r in self.data["runs"]
            if (r["tool"], r["awards"], r["case"]) == (tool, awards, case)
        ]
        values = [one for one in found if one is not None]
        return median(values) if values else None

    @property
    def sizes(self) -> list[int]:
        """The sizes that have figures."""
        return sorted({r["awards"] for r in self.data["runs"]})

    @property
    def tools(self) -> list[str]:
        """The tools that have figures, in the order of their first."""
        return list(dict.fromkeys(r["tool"] for r in self.data["runs"]))

    def _save(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        fresh.write_text(json.dumps(self.data, indent=1) + "\n", encoding="utf-8")
        fresh.replace(self.path)


def _pass_of(run: dict[str, Any]) -> tuple[str, int, int]:
    return run["tool"], run["awards"], run["pass"]


def _versions() -> dict[str, str]:
    """Return the versions of what is compared, as far as it is there, and the commit that is measured."""
    asked = {
        "kubectl": ("kubectl", "version", "--client"),
        "terraform": ("terraform", "version"),
        "commit": ("git", "rev-parse", "--short", "HEAD"),
    }
    found = {}
    for name, command in asked.items():
        if shutil.which(command[0]):
            said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            number = re.search(r"v(\d\S*)", said)
            found[name] = number[1] if number else said.strip()
    found |= {unit.name: unit.version for unit in pins.UNITS if unit.name in ("helm", "kubernetes", "etcd")}
    return found


def rows(results: Results, awards: int) -> list[list[str]]:
    """Return the table of one size, its header first: seconds, and in brackets how many times gpuprov's."""
    body = [[text, *(_cell(results, tool, awards, case) for tool in results.tools)] for case, text in CASES.items()]
    free = results.medians("gpuprov", awards, "forfeit", "free_seconds")
    others = [""] * (len(results.tools) - 1)
    if free is not None:
        body.insert(4, ["… its GPUs proven free", f"{free:.1f}", *others])
    peaks = ["peak memory, MiB", *(_peak(results, tool, awards) for tool in results.tools)]
    passes = ["passes", *(_passes(results, tool, awards) for tool in results.tools)]
    return [[f"{awards} awards", *results.tools], *body, peaks, passes]


def print_tables(results: Results) -> None:
    """Print one table for each size, and what failed."""
    console = Console(width=140, highlight=False)
    for awards in results.sizes:
        header, *body = rows(results, awards)
        table = Table(box=None)
        for index, name in enumerate(header):
            table.add_column(name, justify="right" if index else "left")
        for row in body:
            table.add_row(*row)
        console.print(table, markup=False)
        console.print()
    for one in results.data["failed"]:
        console.print(f"{one['tool']} at {one['awards']}: {one['why']}", markup=False)


def markdown(results: Results) -> str:
    """Return the same tables in Markdown, for docs/performance.md."""
    tables = []
    for awards in results.sizes:
        header, *body = rows(results, awards)
        lines = [header, ["---", *["---:"] * len(results.tools)], *body]
        tables.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(tables)


def _cell(results: Results, tool: str, awards: int, case: str) -> str:
    seconds, ours = results.medians(tool, awards, case), results.medians("gpuprov", awards, case)
    if seconds is None:
        return "-"
    return f"{seconds:.1f}" if tool == "gpuprov" or not ours else f"{seconds:.1f} ({seconds / ours:.1f})"


def _peak(results: Results, tool: str, awards: int) -> str:
    peaks = [results.medians(tool, awards, case, "peak_mib") for case in CASES]
    known = [one for one in peaks if one is not None]
    return f"{max(known):.0f}" if known else "-"


def _passes(results: Results, tool: str, awards: int) -> str:
    made = {r["pass"] for r in results.data["runs"] if (r["tool"], r["awards"]) == (tool, awards)}
    return str(len(made)) if made else "-"
