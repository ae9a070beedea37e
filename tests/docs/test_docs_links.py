"""Links in the documents lead somewhere, and no document names a registry or a folder of one machine."""

import re
from pathlib import Path

import pytest
from documents import MARKDOWN


def anchors(path: Path) -> set[str]:
    """Return the fragments that GitHub makes of a document's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, fragment = link.partition("#")
        file = (path.parent / target) if target else path
        if not file.exists() or (fragment and fragment not in anchors(file)):
            broken.append(link)
    assert broken == []


HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("registry", "npmjs"),
        ("crates", "io"),
    )
] + ["".join(("python", "hosted"))]
FOLDERS = [f"/{name}/" for name in ("root", "work", "home")]


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: path.name)
def test_no_registry_and_no_machine_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert [host for host in HOSTS if host in text] == []
    assert [folder for folder in FOLDERS if re.search(rf"(?<![\w>~.-]){folder}", text)] == []
