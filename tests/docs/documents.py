"""What the tests of the documents share: where they are, and how to cut them into parts."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"
MARKDOWN = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
CLI = (DOCS / "cli.md").read_text(encoding="utf-8")
CONFIGURATION = (DOCS / "configuration.md").read_text(encoding="utf-8")


def sections(text: str, level: int) -> dict[str, str]:
    """Cut a document at its headings of one level."""
    mark = "#" * level
    parts = re.split(rf"^{mark} (.+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def section_of(command: str) -> str:
    """Return the part of cli.md that tells of a command."""
    return sections(CLI, 2)[command.split()[1]]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
