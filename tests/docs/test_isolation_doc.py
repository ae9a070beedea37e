"""docs/isolation.md has the tables of the answers on record. GPUPROV_UPDATE_GOLDEN=1 writes them anew."""

import json
import os
from pathlib import Path

from isolation_table import OPEN, WORKS, carries, markdown

DOCS = Path(__file__).parents[2] / "docs"
DOCUMENT = DOCS / "isolation.md"
RECORD = json.loads((DOCS / "isolation.json").read_text(encoding="utf-8"))
BEGIN, END = "<!-- tables -->\n\n", "\n<!-- /tables -->\n"


def test_the_document_has_the_tables_of_the_answers_on_record() -> None:
    before, begin, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    expected = before + begin + markdown(RECORD) + end + after
    if os.environ.get("GPUPROV_UPDATE_GOLDEN") == "1":
        DOCUMENT.write_text(expected, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == expected, "set GPUPROV_UPDATE_GOLDEN=1 if this is meant"


def test_what_works_in_spite_of_the_chart_is_explained() -> None:
    open_ways = [row for row in RECORD["attempts"] if row["outcomes"]["chart"]["by"] == WORKS]
    assert [row["name"] for row in open_ways if not row.get("note")] == []


def test_a_row_says_what_carries_the_weight_and_what_is_behind_it() -> None:
    def row(chart: str, bare: str, admin: str) -> dict[str, dict[str, dict[str, str]]]:
        return {"outcomes": {"chart": {"by": chart}, "bare": {"by": bare}, "chart+admin": {"by": admin}}}

    policy, quota, role = "policy gpuprov-gpu", "ResourceQuota gpu", "RBAC"
    assert carries(row(policy, WORKS, policy)) == "`gpuprov-gpu`"
    assert carries(row(policy, quota, policy)) == "`gpuprov-gpu`; without it the quota `gpu`"
    assert carries(row(role, role, policy)) == "the tenants' role; behind it `gpuprov-gpu`"
    assert carries(row(role, role, WORKS)) == f"the tenants' role; behind it {OPEN}"
