"""The Markdown of a comment: short at any number of awards, never too long for the platform, and inert."""

import os
import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from reports import FORFEITED, STARTS, UNLISTED, report, row

from gpuprov import i18n
from gpuprov.cli.reportpage import MOST_ROWS, headline, page
from gpuprov.core.impact import Effect
from gpuprov.run.ci.report import Later, Look, Report, Unfit, Wrong, merged

GITHUB = 65_536
RUN = "https://github.example.org/office/programme/actions/runs/99"
GOLDEN = Path(__file__).with_name("golden")


def unfolded(text: str) -> list[str]:
    """Return the lines that are seen without opening anything."""
    seen = re.sub(r"<details><summary>(.*?)</summary>.*?</details>", r"> \1", text, flags=re.DOTALL)
    return [line for line in seen.splitlines() if line.strip()]


@pytest.mark.parametrize("changes", [3, 120])
def test_a_comment_reads_as_it_did_when_it_was_looked_at(changes: int) -> None:
    text, path = page(report(changes), limit=GITHUB, run=RUN), GOLDEN / f"comment-{changes}.md"
    if os.environ.get("GPUPROV_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("changes", [0, 1, 12, 13, 400, 3_000])
def test_it_is_short_to_look_at_and_never_too_long(changes: int) -> None:
    text = page(report(changes), limit=GITHUB)
    assert len(text) <= GITHUB
    assert len(unfolded(text)) <= 45
    rows = text.count("| HPC-2026-1-")
    assert rows >= changes if changes <= 400 else rows > 100
    cut = [int(number) for number in re.findall(r"… (\d+) rows? (?:is|are) left out here", text)]
    shown_twice = sum("⚠&nbsp;loses" in line for line in unfolded(text)) if changes > MOST_ROWS else 0
    assert rows - shown_twice + sum(cut) == changes


@pytest.mark.parametrize("limit", [0, 100, 500, 2_000, 5_000, 20_000])
def test_whatever_the_limit_whole_rows_are_left_out(limit: int) -> None:
    text = page(report(400), limit=limit)
    assert len(text) <= max(limit, 200)
    assert all(line.count("|") in (0, 5, 7, 8) for line in text.splitlines())
    assert text.count("<details>") == text.count("</details>")


def test_totals_are_those_of_the_rows() -> None:
    text = page(report(120), limit=GITHUB)
    assert "| elice-cloud | H100 | 30 | 10 | 0 | 176 | 80 |" in text
    assert headline(report(120)) == "90 awards gain GPUs; 30 awards lose"
    assert "| gains | 90 | 0 → 528 | " in text


def test_of_many_reasons_the_rare_ones_are_counted() -> None:
    rows = [row(number, Effect.LOSES, 8, 0, f"{FORFEITED} {number}") for number in range(40)]
    text = page(Report(looks=(Look(provider="kt-cloud", rows=tuple(rows), unchanged=0),)), limit=GITHUB)
    assert "| loses | 32 | 256 → 0 | 32 other reasons |" in text
    assert len(unfolded(text)) < 25


def test_nothing_to_do_is_one_line() -> None:
    text = page(Report(looks=(Look(provider="kt-cloud", rows=(), unchanged=33),)), limit=GITHUB)
    assert unfolded(text) == ["### GPU quotas: nothing to change", "33 awards unchanged on kt-cloud."]


def test_what_is_wrong_comes_first() -> None:
    look = Look(provider="kt-cloud", rows=(row(1, Effect.GAINS, 0, 8, STARTS),), unchanged=0, restored=2)
    found = Report(
        refused=("too many teardowns",),
        warnings=("a term guard is about to end it",),
        looks=(look,),
        failed={"samsung-sds": "no answer"},
        unfit=(Unfit(provider="kt-cloud", check="chart", seen="not there", remedy="run `gpuprov setup`"),),
    )
    lines = unfolded(page(found, limit=GITHUB))
    assert lines[0] == (
        "### GPU quotas: 1 award gains GPUs; 2 to write into Pulumi's state; refused by the guard; "
        "not looked at: samsung-sds; not fit: kt-cloud"
    )
    assert lines[2] == "**Refused by the guard:** too many teardowns"
    assert lines[3] == "**samsung-sds was not looked at:** no answer"
    assert "| kt-cloud | chart | not there | run &#96;gpuprov setup&#96; |" in lines


def test_problems_of_the_files_are_a_table_and_many_are_folded() -> None:
    problems = [Wrong(where="a.csv", row=number, message="is wrong", remedy="correct it") for number in range(50)]
    text = page(Report(problems=tuple(problems), stopped=True), limit=GITHUB)
    assert text.startswith("### GPU quotas: 50 problems in the files; nothing was planned\n")
    assert sum(line.startswith("| a.csv |") for line in unfolded(text)) == MOST_ROWS
    assert text.count("| a.csv |") == 50
    assert "> 38 more problems" in unfolded(text)


EVIL = "**[가온](https://evil.example)** @all #1 | `x` <!-- --> </details> <img src=x> ~y~ _z_ <b> \n# h"


@settings(max_examples=40)
@given(st.text(max_size=60) | st.just(EVIL))
@example("__0__ a_b a__b")
def test_what_comes_from_outside_is_text(name: str) -> None:
    rows = [row(1, Effect.GAINS, 0, 8, STARTS).model_copy(update={"organization": name, "award": name, "why": name})]
    found = Report(
        looks=(Look(provider="kt-cloud", rows=tuple(rows * 13), unchanged=0),),
        refused=(name,),
        warnings=(name,),
        failed={name: name},
        problems=(Wrong(where=name, column=name, value=name, message=name, remedy=name),),
    )
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page(found, limit=GITHUB))
    inline = [child for token in tokens for child in token.children or ()]
    assert {child.type for child in inline} <= {"text", "text_special", "softbreak", "strong_open", "strong_close"}
    html = "".join(token.content for token in tokens if token.type == "html_block")
    assert set(re.findall(r"</?\w+", html)) <= {"<details", "</details", "<summary", "</summary"}
    text = page(found, limit=GITHUB)
    assert re.search(r"@\w|(?<!&)#\d|://\w", text) is None


def test_it_follows_the_language() -> None:
    i18n.use("ko")
    try:
        text = page(report(120), limit=GITHUB)
    finally:
        i18n.use("en")
    assert "| 공급사 | 모델 |" in text
    assert "gains" not in text


def test_reports_of_several_jobs_are_one() -> None:
    whole = report(120)
    jobs = [Report(expected=whole.expected, refused=("same",), looks=(look,)) for look in whole.looks]
    both = merged([*jobs, jobs[0]])
    assert (both.looks, both.failed, both.refused) == (whole.looks, {}, ("same",))
    assert merged(jobs[:2]).failed.keys() == {"samsung-sds"}
    assert merged([Report(expected=whole.expected, stopped=True)]).failed == {}


@pytest.mark.parametrize("changes", [1, 12, 13, 400])
def test_what_changes_later_is_told_and_many_are_folded(changes: int) -> None:
    at = datetime.fromisoformat("2026-04-01T00:00:00+09:00")
    later = [
        Later(at=at, provider="kt", award=f"L-{number}", organization="누리", model="H200", before=0, after=8)
        for number in range(changes)
    ]
    found = Report(looks=(Look(provider="kt", rows=(), unchanged=1),), later=tuple(later))
    text = page(found, limit=GITHUB)
    assert f"### GPU quotas: {changes} change{'s' if changes > 1 else ''} later" in text
    assert text.count("| 2026-04-01T00:00+09:00 | kt | L-") == changes
    seen = sum(line.startswith("| 2026-04-01") for line in unfolded(text))
    assert seen == (changes if changes <= MOST_ROWS else 0)
    assert len(page(found, limit=2_000)) <= 2_000


def test_an_unexplained_loss_is_told_apart() -> None:
    text = page(report(3), limit=GITHUB)
    assert "**⚠ Neither the ledger nor the term's end explains 1 loss.**" in text
    assert [line for line in text.splitlines() if line.startswith("| **⚠&nbsp;loses** |")] != []
    assert UNLISTED in text
