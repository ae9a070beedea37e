"""The tables of docs/isolation.md, from the answers on record."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

WORKS = "works"
RBAC = "RBAC"
OPEN = "**nothing**"

_HARMLESS = ("scheduler", "own model")
_CARRIES = {
    RBAC: "the tenants' role",
    "ResourceQuota gpu": "the quota `gpu`",
    "ResourceQuota fixed": "the quota `fixed`",
    "Pod Security": "Pod Security's profile `restricted`",
    "PodNodeSelector": "the plugin PodNodeSelector",
    "API validation": "the API's own validation",
    "authentication": "the service account's end",
    "scheduler": "the scheduler",
    "own model": "the node selector",
    "RBAC's escalation check": "RBAC's check of escalation",
    WORKS: OPEN,
}

Row = Mapping[str, Any]


def markdown(record: Mapping[str, list[Row]]) -> str:
    """Return all tables, with a heading for each area."""
    rows = record["attempts"]
    areas = list(dict.fromkeys(row["area"] for row in rows))
    parts = [_summary(rows)]
    for area in areas:
        parts += [f"### {area}", _area([row for row in rows if row["area"] == area])]
    parts += ["### One cluster with two models", _models(record["models"])]
    return "\n\n".join(parts) + "\n"


def carries(row: Row) -> str:
    """Say what refuses an attempt; what else does without the policies, or if the awardee had the role `admin` too."""
    by = {setting: outcome["by"] for setting, outcome in row["outcomes"].items()}
    parts = [_carries(by["chart"])]
    if by["bare"] not in (by["chart"], WORKS):
        parts.append(f"without it {_carries(by['bare'])}")
    if by["chart+admin"] != by["chart"]:
        parts.append(f"behind it {_carries(by['chart+admin'])}")
    return "; ".join(parts)


def _carries(by: str) -> str:
    return _CARRIES.get(by) or f"`{by.removeprefix('policy ')}`"


def _summary(rows: list[Row]) -> str:
    head = "| setting | refused | taken, without gain | works |\n| --- | --- | --- | --- |\n"
    names = {
        "chart": "with the chart",
        "bare": "without its admission policies",
        "chart+admin": "with the chart; the awardee has `admin` too",
        "bare+admin": "without its admission policies; the awardee has `admin` too",
    }
    lines = []
    for setting, name in names.items():
        found = Counter(_kind(row["outcomes"][setting]) for row in rows)
        lines.append(f"| {name} | {found['refused']} | {found['harmless']} | {found['works']} |")
    by = Counter(_carries(row["outcomes"]["chart"]["by"]) for row in rows)
    alone = Counter(_carries(row["outcomes"]["chart"]["by"]) for row in rows if _works(row, "bare"))
    behind = Counter(
        _carries(row["outcomes"]["chart+admin"]["by"])
        for row in rows
        if _works(row, "bare+admin") and not _works(row, "bare")
    )
    names = sorted({*by, *behind} - {OPEN}, key=lambda name: (-by[name], name))
    weights = _table(
        (
            "what refuses",
            "attempts with the chart",
            "of these, work without its policies",
            "more, once there is `admin`",
        ),
        ((name, *(str(count[name] or "") for count in (by, alone, behind))) for name in names),
    )
    return f"{len(rows)} attempts:\n\n{head}" + "\n".join(lines) + f"\n\nWhich rules carry the weight:\n\n{weights}"


def _works(row: Row, setting: str) -> bool:
    return bool(row["outcomes"][setting]["by"] == WORKS)


def _kind(outcome: Row) -> str:
    if outcome["by"] == WORKS:
        return WORKS
    return "harmless" if outcome["by"] in _HARMLESS else "refused"


def _area(rows: Iterable[Row]) -> str:
    lines = ((_name(row), _cell(row["outcomes"]["chart"]), _without(row["outcomes"]), carries(row)) for row in rows)
    return _table(("attempt, and what it would gain", "with the chart", "without", "carries the weight"), lines)


def _models(rows: Iterable[Row]) -> str:
    head = ("attempt", "plugin and chart", "plugin alone", "chart alone", "neither")
    settings = ("plugin+chart", "plugin", "chart", "neither")
    lines = []
    for row in rows:
        note = f". {row['note']}" if "note" in row else ""
        cells = [_short(row["outcomes"][setting]) for setting in settings]
        lines.append((row["name"] + note, *cells))
    return _table(head, lines)


def _name(row: Row) -> str:
    note = f" ({row['note']})" if "note" in row else ""
    return f"{row['name']}: {row['gain']}{note}"


def _without(outcomes: Row) -> str:
    cell = "the same" if outcomes["bare"] == outcomes["chart"] else _cell(outcomes["bare"])
    admin = outcomes["bare+admin"]
    if admin["by"] == WORKS and outcomes["bare"]["by"] != WORKS:
        cell += f"; with `admin` {_cell(admin)}"
    return cell


def _cell(outcome: Row) -> str:
    answer = outcome["answer"].replace("|", "\\|").replace("`", "'")
    verdict = f"**works**: {answer}" if outcome["by"] == WORKS else answer
    return f"{outcome['status']} {verdict}"


def _short(outcome: Row) -> str:
    if outcome["by"] == WORKS:
        return f"**works**: {outcome['answer']}"
    return {"scheduler": "stays Pending", "own model": "own model"}.get(outcome["by"]) or f"refused by {_by(outcome)}"


def _by(outcome: Row) -> str:
    return str(_carries(outcome["by"])).removeprefix("the plugin ")


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(head)
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
