"""One comment of a change and one issue, on servers that answer as GitHub and as GitLab do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import urllib3
from played_forge import ME, OTHER, PLATFORMS, TOKEN, Played

from gpuprov.errors import ForgeError, InputError
from gpuprov.forge import Done, client, open_forge, put_comment, put_issue
from gpuprov.forge.note import Forge, marker

NAME = "programme"


@pytest.fixture
def played() -> Played:
    return Played()


@pytest.fixture(params=PLATFORMS)
def variables(request: pytest.FixtureRequest, played: Played) -> Iterator[dict[str, str]]:
    with PLATFORMS[request.param](played) as environment:
        yield environment


@pytest.fixture
def forge(variables: dict[str, str]) -> Forge:
    return open_forge(variables)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("urllib3.Retry.sleep", lambda *_: None)


def bodies(played: Played) -> list[str]:
    return [comment["body"] for comment in played.comments]


def test_a_comment_is_created_once_and_edited_in_place(played: Played, forge: Forge) -> None:
    played.comment(OTHER, "what does this do?")
    assert put_comment(forge, NAME, "first") is Done.CREATED
    assert put_comment(forge, NAME, "first") is Done.UNCHANGED
    assert put_comment(forge, NAME, "second") is Done.EDITED
    assert bodies(played) == ["what does this do?", f"{marker(NAME)}\nsecond"]
    assert len(played.writes) == 2


def test_the_comment_is_found_on_the_third_page(played: Played, forge: Forge) -> None:
    for number in range(5):
        played.comment(OTHER, f"{number}")
    played.comment(ME, f"{marker(NAME)}\r\nfirst")
    assert put_comment(forge, NAME, "first") is Done.UNCHANGED
    assert put_comment(forge, NAME, "second") is Done.EDITED
    assert len(played.comments) == 6


def test_what_others_wrote_is_never_edited(played: Played, forge: Forge) -> None:
    copied = f"{marker(NAME)}\nnothing changes, please merge"
    played.comment(OTHER, copied)
    played.comment(ME, f"quoting {marker(NAME)}")
    played.comment(ME, f"{marker('other')}\nof another project")
    assert put_comment(forge, NAME, "first") is Done.CREATED
    assert bodies(played)[0] == copied
    assert len(played.comments) == 4


def test_an_issue_is_opened_edited_while_it_lasts_and_closed_once(played: Played, forge: Forge) -> None:
    played.issue(OTHER, f"{marker(NAME)}\nmine")
    played.issue(ME, f"{marker(NAME)}\nof last month", state="closed")
    steps = [("fine", False), ("bad", True), ("bad", True), ("worse", True), ("fine", False), ("fine", False)]
    done = [put_issue(forge, NAME, "title", text, wrong=wrong) for text, wrong in steps]
    assert done == [Done.NOTHING, Done.CREATED, Done.UNCHANGED, Done.EDITED, Done.CLOSED, Done.NOTHING]
    assert [issue["state"] for issue in played.issues] == ["opened", "closed", "closed"]
    assert (played.issues[2]["title"], played.issues[2]["body"]) == ("title", f"{marker(NAME)}\nfine")
    assert put_issue(forge, NAME, "title", "again", wrong=True) is Done.CREATED


def test_a_pull_request_in_githubs_list_is_no_issue(played: Played) -> None:
    played.issue(ME, f"{marker(NAME)}\na change", pull_request=True)
    with PLATFORMS["github"](played) as environment:
        assert put_issue(open_forge(environment), NAME, "title", "bad", wrong=True) is Done.CREATED


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_reading_is_tried_again(played: Played, forge: Forge, status: int) -> None:
    me = forge.me()
    played.fails = [(status, {"Retry-After": "3"} if status == 429 else {})] * 2
    assert list(forge.open_issues(me)) == []


@pytest.mark.parametrize(("status", "headers"), [(429, {}), (403, {"Retry-After": "1"}), (503, {"Retry-After": "1"})])
def test_a_comment_that_was_not_taken_is_sent_again(
    played: Played, forge: Forge, status: int, headers: dict[str, str]
) -> None:
    played.fails = [(status, headers)]
    forge.add_comment("once")
    assert bodies(played) == ["once"]


def test_a_comment_that_may_have_been_written_is_not_sent_again(played: Played, forge: Forge) -> None:
    played.fails = [(502, {})]
    with pytest.raises(ForgeError, match="502 planned 502; rerun the job later"):
        forge.add_comment("perhaps")
    assert len(played.writes) == 1


def test_it_gives_up_after_some_time(played: Played, forge: Forge) -> None:
    played.fails = [(500, {})] * 20
    with pytest.raises(ForgeError, match="500 planned 500"):
        list(forge.comments())
    assert len(played.requests) == 6


@pytest.mark.parametrize(
    ("status", "remedy"), [(401, "not valid"), (403, "may not"), (404, "no such thing"), (418, "rerun")]
)
def test_a_refusal_says_what_to_do_and_not_the_token(played: Played, forge: Forge, status: int, remedy: str) -> None:
    played.fails = [(status, {})]
    with pytest.raises(ForgeError, match=rf"{status} planned {status}; .*{remedy}") as raised:
        forge.add_comment("no")
    assert TOKEN not in str(raised.value)


@pytest.mark.parametrize(("asked", "waited"), [("3", 3), ("86400", 60)])
def test_it_waits_as_long_as_it_is_asked_to_within_reason(asked: str, waited: float) -> None:
    answer = urllib3.HTTPResponse(headers={"Retry-After": asked})
    assert client._RETRIES.get_retry_after(answer) == waited


def test_a_wrong_token_is_refused(variables: dict[str, str]) -> None:
    token = next(name for name in variables if name.endswith("_TOKEN"))
    forge = open_forge(variables | {token: "wrong"})
    with pytest.raises(ForgeError, match="401"):
        forge.me()


def test_the_token_follows_no_link_to_another_host(played: Played, forge: Forge) -> None:
    for number in range(3):
        played.comment(OTHER, f"{number}")
    played.next_elsewhere = True
    with pytest.raises(ForgeError, match="links its next page elsewhere: http://elsewhere"):
        list(forge.comments())


def test_a_redirect_is_not_followed(played: Played, forge: Forge) -> None:
    played.fails = [(302, {"Location": "http://elsewhere.example.org/"})]
    with pytest.raises(ForgeError, match="302"):
        list(forge.comments())


def test_a_token_is_sent_over_https_only(variables: dict[str, str]) -> None:
    api = next(name for name in variables if "API" in name)
    with pytest.raises(ForgeError, match="over https only"):
        open_forge(variables | {api: "http://git.example.org/api"})


def test_outside_of_ci_it_says_so() -> None:
    with pytest.raises(InputError, match="neither of the two is set"):
        open_forge({})


def test_every_variable_that_is_missing_is_told_at_once(variables: dict[str, str]) -> None:
    first = next(iter(variables))
    with pytest.raises(InputError) as raised:
        open_forge({first: variables[first]})
    assert len(raised.value.problems) == 3


def test_a_run_of_no_change_has_no_comment(variables: dict[str, str]) -> None:
    forge = open_forge(variables | {"GITHUB_REF": "refs/heads/main", "CI_MERGE_REQUEST_IID": ""})
    with pytest.raises(ForgeError, match=r"of no (pull|merge) request"):
        put_comment(forge, NAME, "text")


def test_nobody_listens(variables: dict[str, str]) -> None:
    api = next(name for name in variables if "API" in name)
    forge = open_forge(variables | {api: "http://127.0.0.1:9/api"})
    with pytest.raises(ForgeError, match="no answer"):
        list(forge.comments())


def test_the_run_is_named(forge: Forge) -> None:
    assert forge.run.endswith("/99")
