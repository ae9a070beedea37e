"""The plan as Markdown, or why there is none."""

import html
import re

from strategies import MARCH, award, cluster, desired, live, reduced, seen, tenant

from gpuprov.cli.markdown import error_markdown, plan_markdown
from gpuprov.core.plan import make_plan
from gpuprov.errors import InputError, PlanRefused, Problem, ToolchainError
from gpuprov.i18n import tr

SDS = cluster("samsung-sds", H100=200)


def plan(awards, *tenants, events=()):
    return make_plan(desired(awards, [SDS], MARCH, events), [seen(SDS, *tenants)], {"samsung-sds": SDS})


def here(award_id, gpus=8):
    return live(tenant(award_id, gpus, SDS), SDS)


def test_a_plan_with_every_kind_of_change():
    made = plan([award("A"), award("B"), award("C")], here("B"), here("C"), here("D"), events=[reduced("B", MARCH, 3)])
    head, _, table = plan_markdown(made, {}, []).partition("\n\n")
    assert head == "### GPU quotas at 2026-03-01T12:00:00+09:00"
    rows, _, rest = table.partition("\n\n")
    lines = rows.splitlines()
    assert lines[:3] == [
        "| change | provider | award | model | GPUs | why |",
        "| --- | --- | --- | --- | --- | --- |",
        ("| create | samsung-sds | A | H100 | 0 → 8 | term to 2026-07-01T00:00+09:00, no namespace yet |"),
    ]
    assert lines[3].startswith("| update | samsung-sds | B | H100 | 8 → 3 | the quota grants 8 H100, the award has 3")
    assert lines[4] == "| reclaim | samsung-sds | D | H100 | 8 → 0 | not in the award list |"
    assert len(lines) == 5
    assert rest == "1 award unchanged on samsung-sds.\n"


def test_an_empty_plan():
    assert plan_markdown(plan([award("A")], here("A")), {}, []) == (
        "### GPU quotas at 2026-03-01T12:00:00+09:00\n\nNothing to change.\n\n1 award unchanged on samsung-sds.\n"
    )


def test_failures_and_refusals_follow_in_order():
    text = plan_markdown(plan([]), {"kt-cloud": "no answer", "elice-cloud": "no rights"}, ["too many", "too much"])
    assert text.endswith(
        "0 awards unchanged on samsung-sds.\n\n"
        "**elice-cloud was not planned:** no rights\n\n"
        "**kt-cloud was not planned:** no answer\n\n"
        "**Refused by the guard:** too many\n\n"
        "**Refused by the guard:** too much\n"
    )


def test_no_provider_answered():
    made = make_plan(desired([], [SDS]), [], {})
    assert plan_markdown(made, {"samsung-sds": "no answer"}, []).partition("\n\n")[2] == (
        "No cluster could be read, so nothing is known of what would change.\n\n"
        "**samsung-sds was not planned:** no answer\n"
    )


def cells(text):
    row = next(line for line in text.splitlines() if line.startswith(("| update", "| create")))
    return row.count("|") - 1


def test_what_an_organization_is_called_does_not_break_the_table():
    """Its name stands in the reasons, where the annotation differs."""
    renamed = award("A", organization="한빛 | 대학교\nAI")
    text = plan_markdown(plan([renamed], here("A")), {}, [])
    assert "한빛 &#124; 대학교" in text
    assert cells(text) == 6
    assert len([line for line in text.splitlines() if line.startswith("|")]) == 3


def test_what_an_award_is_called_does_not_break_the_table():
    assert cells(plan_markdown(plan([award("A|B")]), {}, [])) == 6


def test_what_an_organization_is_called_hides_nothing():
    text = plan_markdown(plan([award("A", organization="<!-- AI")], here("A")), {}, ["too many <!-- and more"])
    assert "<" not in text
    assert text.count("&#60;!-- ") == 2


def test_what_an_organization_is_called_is_no_markup_and_calls_nobody():
    evil = "**[가온](https://evil.example)** @all #1 `x` ~y~ _z_ ![i](http://evil.example/i.png) a_b &lt;"
    text = plan_markdown(plan([award("A", organization=evil)], here("A")), {}, [])
    shown = next(line for line in text.splitlines() if line.startswith("| update"))
    assert re.search(r"[*`\[\]~<>]|(?<!\w)_|@[a-z]|#\d(?!\d*;)|://[a-z]|&lt;", shown) is None, shown
    assert "a_b" in shown
    read = html.unescape(shown).replace("\u200b", "")
    assert evil in read  # and it is read as it was written


def test_what_a_message_is_made_of_is_quoted_and_the_message_is_not():
    text = error_markdown(PlanRefused([tr("run `gpuprov up` for {award}", award="`rm`")]))
    assert "- run `gpuprov up` for &#96;rm&#96;\n" in text


def test_every_problem_of_the_files_is_a_row():
    problems = [
        Problem(file="a.csv", row=3, column="배정|수량", value="<b>4", message="is\ntoo many", remedy="allocate 3"),
        Problem(argument="--provider", value="x", message="no such provider", remedy="check it"),
    ]
    assert error_markdown(InputError(problems)) == (
        "### GPU quotas: 2 problems in the files; nothing was planned\n\n"
        "| file | row | column | value | what is wrong | what to do |\n"
        "| --- | ---: | --- | --- | --- | --- |\n"
        "| a.csv | 3 | 배정&#124;수량 | &#60;b&#62;4 | is too many | allocate 3 |\n"
        "| --provider |  |  | x | no such provider | check it |\n"
    )


def test_every_reason_of_a_refusal_is_a_line():
    text = error_markdown(PlanRefused(["too many", "too\nmuch"]))
    assert text == "### GPU quotas: refused, nothing would be changed\n\n- too many\n- too much\n"


def test_any_other_error_is_told():
    assert error_markdown(ToolchainError("pulumi missing")).endswith("nothing was planned\n\n- pulumi missing\n")
