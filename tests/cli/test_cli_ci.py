"""`gpuprov ci`: what a check says and writes, and what becomes of it on the platform. Clusters answer from a table."""

import json
from collections.abc import Iterator

import pytest
from cli_world import JULY, MARCH, PROVIDERS, Api, World
from played_forge import ME, OTHER, TOKEN, Played, github
from projects import Ran
from watched_project import commit, git

from gpuprov.forge.note import marker

EVENT = '{"award":"HPC-2026-1-002","at":"%s","by":"kim","reason":"project ended","recorded":"%s","event":"forfeited"}\n'


@pytest.fixture
def committed(world: World) -> World:
    """The project, committed, with an event in its ledger."""
    world.ledger.write_text(EVENT % (MARCH, MARCH), encoding="utf-8")
    git(world.root, "init", "--quiet")
    commit(world.root, "Begin")
    return world


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture
def platform(played: Played) -> Iterator[dict[str, str]]:
    """GitHub; what differs between the platforms is in tests/forge."""
    with github(played) as variables:
        yield variables


def ci(world: World, platform: dict[str, str], *arguments: str) -> Ran:
    """Run a command as the platform does; it never says the token."""
    world.environment.update(platform)
    ran = world.run("ci", *arguments)
    assert TOKEN not in ran.out + ran.err
    return ran


def report_of(world: World, name: str = "report.json") -> dict:
    return json.loads((world.root / name).read_text(encoding="utf-8"))


def check(world: World, *options: str, at: str = MARCH) -> Ran:
    return world.run("ci", "check", "--report", "report.json", *options, at=at)


# ---- check


def test_a_change_is_checked_and_reported(committed: World, api: Api) -> None:
    ran = check(committed, "--since", "HEAD")
    assert (ran.code, ran.out.splitlines()[0]) == (0, "### GPU quotas: 119 awards gain GPUs"), ran
    report = report_of(committed)
    assert {look["provider"]: len(look["rows"]) for look in report["looks"]} == {
        "elice-cloud": 60,
        "kt-cloud": 32,
        "samsung-sds": 27,
    }
    assert (report["awards"], report["ledger"]["kept"], report["expected"]) == (120, 1, list(PROVIDERS))
    assert check(committed, "--exit-code").code == 3


def test_one_provider_is_looked_at_where_it_is_named(committed: World, api: Api) -> None:
    ran = check(committed, "--provider", "kt-cloud", "--since", "HEAD")
    report = report_of(committed)
    assert (ran.code, [look["provider"] for look in report["looks"]], report["failed"]) == (0, ["kt-cloud"], {})


def test_the_files_alone_need_no_cluster(committed: World) -> None:
    with committed.ledger.open("a", encoding="utf-8") as file:
        file.write(EVENT.replace("002", "003") % (MARCH, MARCH))
    ran = check(committed, "--files", "--since", "HEAD")
    assert (ran.code, report_of(committed)["looks"]) == (0, []), ran
    assert report_of(committed)["ledger"]["appended"] == [
        "HPC-2026-1-003: forfeited at 2026-03-01T09:00+09:00 by kim: project ended"
    ]


def test_what_a_change_does_later_is_told(committed: World, full: Api) -> None:
    path = committed.root / "examples" / "awards-2026-h1.csv"
    row = "HPC-2026-1-121,새길연구원,연구기관,김,,1,4,KT클라우드,H200,4,2026-04-01,2026-06-30,선정,2026-03-15\n"
    path.write_text(path.read_text(encoding="utf-8-sig") + row, encoding="utf-8-sig")
    with committed.ledger.open("a", encoding="utf-8") as file:
        file.write(EVENT.replace("002", "003") % ("2026-05-01T00:00:00+09:00", MARCH))
    ran = check(committed, "--since", "HEAD")
    assert ran.code == 0, ran
    later = [(one["at"][:10], one["award"], one["before"], one["after"]) for one in report_of(committed)["later"]]
    assert later == [("2026-04-01", "HPC-2026-1-121", 0, 4), ("2026-05-01", "HPC-2026-1-003", 8, 0)]
    assert "| 2026-04-01T00:00+09:00 | kt-cloud | HPC-2026-1-121 | 새길연구원 | 0 → 4 H200 |" in ran.out


def test_problems_of_lists_and_ledger_are_told_at_once(committed: World, api: Api) -> None:
    committed.edit_list("HPC-2026-1-009,", "HPC-2026-1-008,")
    committed.ledger.write_text(EVENT.replace("kim", "lee") % (MARCH, MARCH), encoding="utf-8")
    ran = check(committed, "--since", "HEAD")
    report = report_of(committed)
    assert (ran.code, report["stopped"], report["looks"]) == (1, True, [])
    assert "2 problems in the files; nothing was planned" in ran.out
    messages = " ".join(problem["message"] for problem in report["problems"])
    assert "too" in messages
    assert "was changed or removed" in messages


def test_a_project_that_cannot_be_opened_has_a_report(committed: World) -> None:
    (committed.root / "Pulumi.yaml").write_text("name: [", encoding="utf-8")
    ran = check(committed, "--since", "HEAD")
    assert (ran.code, len(report_of(committed)["problems"])) == (1, 1), ran


def test_the_guards_refusal_is_reported(committed: World, full: Api) -> None:
    path = committed.root / "examples" / "awards-2026-h1.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(lines[:20]) + "\n", encoding="utf-8-sig")
    ran = check(committed)
    assert (ran.code, len(report_of(committed)["refused"])) == (4, 3), ran
    assert "**⚠ Neither the ledger nor the term's end explains" in ran.out


def test_lists_that_exceed_a_capacity_are_refused_and_no_cluster_is_read(committed: World) -> None:
    path = committed.root / "Pulumi.yaml"
    both = "      - examples/awards-2026-h1.csv\n"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(both, both + "      - examples/awards-2026-extra-cp949.csv\n"), encoding="utf-8")
    ran = check(committed)
    assert (ran.code, report_of(committed)["stopped"]) == (4, True), ran


def test_a_cluster_that_does_not_answer_is_reported(closed: World) -> None:
    ran = check(closed)
    assert (ran.code, list(report_of(closed)["failed"])) == (5, list(PROVIDERS)), ran


def test_without_pulumi_every_provider_has_failed(committed: World, api: Api) -> None:
    committed.environment["PATH"] = "/usr/bin:/bin"
    ran = check(committed)
    assert ran.code == 5
    assert "gpuprov toolchain install" in report_of(committed)["failed"]["kt-cloud"]


def test_a_report_that_cannot_be_written_is_told(committed: World) -> None:
    (committed.root / "taken").write_text("", encoding="utf-8")
    ran = committed.run("ci", "check", "--files", "--report", "taken/report.json")
    assert (ran.code, "taken is not a folder" in ran.err) == (1, True), ran


def test_texts_are_in_the_language_of_the_readers(committed: World, api: Api) -> None:
    committed.environment["GPUPROV_LANG"] = "ko"
    assert check(committed).out.startswith("### GPU 쿼터: GPU가 늘어나는 과제 119건")
    assert "기간" in report_of(committed)["looks"][0]["rows"][0]["why"]


# ---- comment and issue


def reports(world: World, *providers: str, options: tuple[str, ...] = (), at: str = MARCH) -> None:
    """Write the reports that a pipeline's jobs write, one for each provider."""
    for provider in providers:
        world.run("ci", "check", "--provider", provider, "--report", f"reports/{provider}.json", *options, at=at)


def test_the_pull_requests_comment_is_edited_in_place(
    full: Api, committed: World, played: Played, platform: dict[str, str]
) -> None:
    played.comment(OTHER, f"{marker('gpuprov')}\nnothing, please merge")
    reports(committed, *PROVIDERS)
    assert ci(committed, platform, "comment", "reports").code == 0
    first = played.comments[1]["body"]
    assert first.startswith(f"{marker('gpuprov')}\n### GPU quotas: 1 award loses\n")
    assert "**Freed:** 1 H200 at kt-cloud" in first
    reports(committed, "kt-cloud", at=JULY)
    ran = ci(committed, platform, "comment", "reports")
    assert "the comment is edited: 33 awards lose" in ran.err
    assert [comment["author"] for comment in played.comments] == [OTHER, ME]
    assert "/99)" in played.comments[1]["body"]


def test_a_provider_without_a_report_is_told(
    full: Api, committed: World, played: Played, platform: dict[str, str]
) -> None:
    reports(committed, "kt-cloud")
    assert ci(committed, platform, "comment", "reports", "--name", "h1").code == 0
    body = played.comments[0]["body"]
    assert body.startswith(marker("h1"))
    assert "**elice-cloud was not looked at:** no report of it" in body


def test_what_is_no_report_is_refused(committed: World, played: Played, platform: dict[str, str]) -> None:
    folder = committed.root / "reports"
    folder.mkdir()
    (folder / "a.json").write_text('{"at": 7, "template": "{x.__class__}"}', encoding="utf-8")
    (folder / "b.json").write_text("[", encoding="utf-8")
    ran = ci(committed, platform, "comment", "reports")
    assert (ran.code, ran.err.count("is no report of `gpuprov ci check`"), played.writes) == (1, 2, []), ran


def test_the_nights_issue_is_opened_edited_and_closed(
    full: Api, committed: World, played: Played, platform: dict[str, str]
) -> None:
    committed.ledger.write_text("", encoding="utf-8")
    reports(committed, *PROVIDERS)
    assert "the issue is not needed" in ci(committed, platform, "issue", "reports").err
    committed.ledger.write_text(EVENT % (MARCH, MARCH), encoding="utf-8")
    reports(committed, "kt-cloud")
    assert "the issue is created: 1 award loses" in ci(committed, platform, "issue", "reports").err
    assert "the issue is as it was" in ci(committed, platform, "issue", "reports").err
    assert played.issues[0]["title"] == "GPU quotas: the clusters need a look (gpuprov)"
    (committed.root / "reports" / "kt-cloud.json").unlink()
    assert "the issue is edited" in ci(committed, platform, "issue", "reports").err
    committed.ledger.write_text("", encoding="utf-8")
    reports(committed, *PROVIDERS)
    assert "the issue is closed: nothing to change" in ci(committed, platform, "issue", "reports").err
    assert [issue["state"] for issue in played.issues] == ["closed"]


@pytest.mark.parametrize("name", ["a --> b", "a--b", ""])
def test_a_name_that_would_end_the_hidden_line_is_refused(
    committed: World, played: Played, platform: dict[str, str], name: str
) -> None:
    assert (ci(committed, platform, "comment", "nowhere", "--name", name).code, played.requests) == (2, [])


def test_without_any_report_the_issue_says_so(committed: World, played: Played, platform: dict[str, str]) -> None:
    assert ci(committed, platform, "issue", "nowhere").code == 0
    assert "there is no report: no job has left one" in played.issues[0]["body"]


def test_a_refusal_of_the_platform_fails(committed: World, played: Played, platform: dict[str, str]) -> None:
    played.fails = [(403, {})]
    ran = ci(committed, platform, "comment", "nowhere")
    assert (ran.code, "give the job the right to write comments" in ran.err) == (1, True), ran


def test_the_token_is_taken_from_its_variable_only(committed: World, played: Played, platform: dict[str, str]) -> None:
    ran = ci(committed, platform | {"GITHUB_TOKEN": ""}, "comment", "nowhere")
    assert (ran.code, "GITHUB_TOKEN is not set" in ran.err, played.requests) == (1, True, []), ran
