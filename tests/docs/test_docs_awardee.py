"""docs/awardee.md shows the page as gpuprov writes it. GPUPROV_UPDATE_GOLDEN=1 writes it anew."""

import os
from pathlib import Path

from strategies import cluster, tenant

from gpuprov.core.welcome import page

DOCUMENT = Path(__file__).parents[2] / "docs" / "awardee.md"
MARK = "<!-- page -->\n"


def test_the_page_is_what_an_awardee_reads() -> None:
    before, mark, _ = DOCUMENT.read_text(encoding="utf-8").partition(MARK)
    text = page(tenant("HPC-2026-1-003"), cluster(), "en")
    expected = f"{before}{mark}\n````markdown\n{text}````\n"
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        DOCUMENT.write_text(expected, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == expected, "set GPUPROV_UPDATE_GOLDEN=1 if this is meant"
