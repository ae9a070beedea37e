"""The table of faults, from the rounds on record: kind, injected, survived, what operators saw, on which backend.

PYTHONPATH=tests/robustness .venv/bin/python tests/robustness/report.py DIR...    # writes it to docs/reliability.md
"""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from history import Entry, read

DOCUMENT = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- rounds -->", "<!-- end of rounds -->"
ROUNDS = "rounds.jsonl"
MOST_SEEN = 3
FEW = 8
_HEAD = "| fault | rounds | injected | survived | what operators saw | backends |"


def rounds_in(folders: Sequence[Path]) -> list[Entry]:
    """Return the rounds on record; of one that was played again, after a bug was mended, the last time."""
    lines = [line for folder in folders for line in read(folder / ROUNDS)]
    return list({(line["seed"], line["backend"], line["number"], line["fault"]): line for line in lines}.values())


def summary(rounds: Sequence[Entry]) -> str:
    """Return in a line how many rounds are on record, and how many have broken a rule."""
    broken = [each for each in rounds if each["broken"]]
    return f"{len(rounds) - len(broken)} of {len(rounds)} rounds on record broke no rule"


def table(rounds: Sequence[Entry]) -> str:
    """Return the table in Markdown, a row for each kind."""
    by_kind: dict[str, list[Entry]] = defaultdict(list)
    for each in rounds:
        by_kind[each["fault"]].append(each)
    lines = [_HEAD, "| --- | --- | --- | --- | --- | --- |"]
    for kind in sorted(by_kind):
        played = by_kind[kind]
        hit = _hit(played)
        survived = sum(not each["broken"] for each in played)
        backends = Counter(each["backend"] for each in played)
        where = ", ".join(f"{name} {number}" for name, number in sorted(backends.items()))
        lines.append(f"| {kind} | {len(played)} | {hit} | {survived} | {_seen(played)} | {where} |")
    return "\n".join(lines)


def _hit(played: Sequence[Entry]) -> str:
    """Return in how many rounds something was hit, and how often what, where these are a few parts."""
    hits = Counter(each["hit"] for each in played if each["hit"])
    words = ", ".join(f"{part} {number}" for part, number in sorted(hits.items()))
    are_parts = 1 < len(hits) <= FEW and not any(re.search(r"[\d,]", part) for part in hits)
    return f"{sum(hits.values())} ({words})" if are_parts else str(sum(hits.values()))


def _seen(played: Sequence[Entry]) -> str:
    """Return how commands ended, and what those that failed said most."""
    operations = [operation for each in played for operation in each["operations"]]
    codes = Counter(operation["code"] for operation in operations)
    said = Counter(words_of(operation["told"]) for operation in operations if operation["code"])
    ended = ", ".join(f"{code}: {number}" for code, number in sorted(codes.items(), key=str))
    words = "; ".join(f"“{_plain(line)}”" for line, _ in said.most_common(MOST_SEEN) if line)
    return f"{ended}; {words}" if words else ended


def words_of(text: str) -> str:
    """Return the line that says what went wrong, without what differs from round to round; empty if there is none."""
    lines = [line.strip() for line in text.splitlines()]
    for pattern in _TELLING:
        for line in lines:
            if found := re.search(pattern, line):
                return _DIFFERS.sub("…", found[1])[:LONGEST]
    return ""


_TELLING = (
    r"^- (.+)",
    r'^"(?:error|message)": "(\S+ .+)"',
    r"ERROR (?:failed: |not read: )?(.+)",
    r"^error: (.+)",
    r"^\S+ failed: (.+)",
    r"(interrupted; .+)",
)
"""Where commands say it, the most telling first: reasons of a refusal, outcomes, the log, Pulumi's own words."""

_DIFFERS = re.compile(r"HPC-[\d-]+|gpu-hpc-[\d-]+|/tmp/\S+|\b\d+(?:\.\d+)?\b| provider=\S+| award=\S+| namespace=\S+")
LONGEST = 160


def _plain(text: str) -> str:
    return re.sub(r"(?:\\[nt]|\s)+", " ", text).replace("|", "\\|").replace("`", "'")


def main() -> None:
    """Put the table of the rounds in these folders between the document's two comments."""
    rounds = rounds_in([Path(folder) for folder in sys.argv[1:]])
    head, rest = DOCUMENT.read_text(encoding="utf-8").split(BEGIN)
    tail = rest.split(END)[1]
    DOCUMENT.write_text(f"{head}{BEGIN}\n{table(rounds)}\n\n{summary(rounds)}.\n{END}{tail}", encoding="utf-8")
    print(summary(rounds))


if __name__ == "__main__":
    main()
