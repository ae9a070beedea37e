"""GitHub and GitLab as a server on loopback: comments, issues, pages of two, tokens, and answers that fail at first."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from loopback import JsonHandler, serving

TOKEN = "planted-token-7c31"
ME, OTHER = "gpuprov-bot", "mallory"
REPOSITORY, PROJECT, CHANGE = "office/programme", 42, 7
_PER_PAGE = 2


@dataclass
class Played:
    """What the platform has. ``fails`` are answers that come before any other: status, headers, and whether the request
    is done all the same. ``may`` says what the token may do.
    """

    comments: list[dict[str, Any]] = field(default_factory=list)
    issues: list[dict[str, Any]] = field(default_factory=list)
    fails: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    next_elsewhere: bool = False

    def comment(self, author: str, body: str) -> dict[str, Any]:
        return self._add(self.comments, author, body)

    def issue(self, author: str, body: str, title: str = "", state: str = "opened", **more: Any) -> dict[str, Any]:
        return self._add(self.issues, author, body, title=title, state=state, **more)

    def _add(self, notes: list[dict[str, Any]], author: str, body: str, **more: Any) -> dict[str, Any]:
        note = {"id": len(notes) + 101, "author": author, "body": body, **more}
        notes.append(note)
        return note

    @property
    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET") and "graphql" not in request]

    def open_issues(self) -> list[dict[str, Any]]:
        return [issue for issue in self.issues if issue["state"] == "opened"]


@contextmanager
def github(played: Played) -> Iterator[dict[str, str]]:
    """Let the server answer as GitHub; the block gets what GitHub Actions sets, for a pull request."""
    with serving(_handler(played, _GitHub)) as url:
        yield {
            "GITHUB_ACTIONS": "true",
            "GITHUB_API_URL": f"{url}/api/v3",
            "GITHUB_GRAPHQL_URL": f"{url}/api/graphql",
            "GITHUB_SERVER_URL": "https://github.example.org",
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_REF": f"refs/pull/{CHANGE}/merge",
            "GITHUB_RUN_ID": "99",
            "GITHUB_TOKEN": TOKEN,
        }


@contextmanager
def gitlab(played: Played) -> Iterator[dict[str, str]]:
    """The same as GitLab, for a merge request."""
    with serving(_handler(played, _GitLab)) as url:
        yield {
            "GITLAB_CI": "true",
            "CI_API_V4_URL": f"{url}/api/v4",
            "CI_PROJECT_ID": str(PROJECT),
            "CI_MERGE_REQUEST_IID": str(CHANGE),
            "CI_PIPELINE_URL": "https://gitlab.example.org/office/programme/-/pipelines/99",
            "GITLAB_TOKEN": TOKEN,
        }


PLATFORMS = {"github": github, "gitlab": gitlab}


class _Handler(JsonHandler):
    played: Played
    body: dict[str, Any]

    def authorized(self) -> bool:
        raise NotImplementedError

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        raise NotImplementedError

    def handle_all(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = json.loads(self.rfile.read(length)) if length else {}
        parts = urlsplit(self.path)
        self.played.requests.append(f"{self.command} {self.path}")
        if self.played.fails:
            status, headers = self.played.fails.pop(0)
            self.send(status, {"message": f"planned {status}"}, headers)
        elif not self.authorized():
            self.send(401, {"message": "Bad credentials"})
        else:
            self.send(*self.answer(parts.path, parse_qs(parts.query)))

    do_GET = do_POST = do_PATCH = do_PUT = handle_all  # noqa: N815 (the base class's names)

    def send(self, status: int, document: Any, headers: Mapping[str, str] = {}) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if isinstance(document, list) and status == 200:
            document, link = self.page(document)
            body = json.dumps(document).encode()
            if link:
                self.send_header("Link", link)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def page(self, items: list[Any]) -> tuple[list[Any], str]:
        """Return one page of two items, and the header that links the next."""
        parts = urlsplit(self.path)
        number = int(parse_qs(parts.query).get("page", ["1"])[0])
        first = (number - 1) * _PER_PAGE
        more = len(items) > first + _PER_PAGE
        host = "elsewhere.example.org" if self.played.next_elsewhere else self.headers["Host"]
        address = f"http://{host}{parts.path}?{re.sub(r'&?page=[0-9]+', '', parts.query)}&page="
        first_link = f'<{address}1>; rel="first"'
        link = f'{first_link}, <{address}{number + 1}>; rel="next"' if more else first_link
        return items[first : first + _PER_PAGE], link


def _handler(played: Played, kind: type[_Handler]) -> type[_Handler]:
    return type(kind.__name__, (kind,), {"played": played})


_NOT_FOUND = (404, {"message": "Not Found"})
_INVALID = (422, {"message": "Validation Failed"})


class _GitHub(_Handler):
    def authorized(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        repository, played = f"/api/v3/repos/{REPOSITORY}", self.played
        reply: tuple[int, Any] = _NOT_FOUND
        match self.command, path.removeprefix(repository).split("/")[1:]:
            case "POST", _ if path == "/api/graphql":
                reply = 200, {"data": {"viewer": {"login": ME}}}
            case "GET", ["issues", number, "comments"] if number == str(CHANGE):
                reply = 200, [_as_github(comment) for comment in played.comments]
            case "POST", ["issues", number, "comments"] if number == str(CHANGE):
                short = len(self.body["body"]) <= 65_536
                reply = (201, _as_github(played.comment(ME, self.body["body"]))) if short else _INVALID
            case "PATCH", ["issues", "comments", key]:
                reply = _edited(played.comments, int(key), {"body": self.body["body"]})
            case "GET", ["issues"]:
                creator = query["creator"][0]
                found = [issue for issue in played.open_issues() if issue["author"] == creator]
                reply = 200, [_as_github(issue) | {"number": issue["id"]} for issue in found]
            case "POST", ["issues"]:
                reply = 201, _as_github(played.issue(ME, self.body["body"], self.body["title"]))
            case "PATCH", ["issues", key]:
                state = {"state": "closed"} if self.body.get("state") == "closed" else {}
                reply = _edited(played.issues, int(key), {"body": self.body["body"]} | state)
        return reply


def _as_github(note: dict[str, Any]) -> dict[str, Any]:
    more = {"pull_request": {}} if note.get("pull_request") else {}
    return {"id": note["id"], "user": {"login": note["author"]}, "body": note["body"], **more}


class _GitLab(_Handler):
    def authorized(self) -> bool:
        return self.headers.get("PRIVATE-TOKEN") == TOKEN

    def answer(self, path: str, query: Mapping[str, list[str]]) -> tuple[int, Any]:
        project, played = f"/api/v4/projects/{PROJECT}", self.played
        reply: tuple[int, Any] = _NOT_FOUND
        match self.command, path.removeprefix(project).split("/")[1:]:
            case "GET", ["api", "v4", "user"]:
                reply = 200, {"id": 5, "username": ME}
            case "GET", ["merge_requests", number, "notes"] if number == str(CHANGE):
                reply = 200, [_as_gitlab(comment, "body") for comment in played.comments]
            case "POST", ["merge_requests", number, "notes"] if number == str(CHANGE):
                reply = 201, _as_gitlab(played.comment(ME, self.body["body"]), "body")
            case "PUT", ["merge_requests", number, "notes", key] if number == str(CHANGE):
                reply = _edited(played.comments, int(key), {"body": self.body["body"]})
            case "GET", ["issues"]:
                author = query["author_username"][0]
                found = [issue for issue in played.open_issues() if issue["author"] == author]
                reply = 200, [_as_gitlab(issue, "description") for issue in found]
            case "POST", ["issues"]:
                reply = 201, _as_gitlab(played.issue(ME, self.body["description"], self.body["title"]), "description")
            case "PUT", ["issues", key]:
                state = {"state": "closed"} if self.body.get("state_event") == "close" else {}
                reply = _edited(played.issues, int(key), {"body": self.body["description"]} | state)
        return reply


def _as_gitlab(note: dict[str, Any], text: str) -> dict[str, Any]:
    return {"id": note["id"], "iid": note["id"], "author": {"username": note["author"]}, text: note["body"]}


def _edited(notes: list[dict[str, Any]], key: int, change: dict[str, Any]) -> tuple[int, Any]:
    for note in notes:
        if note["id"] == key:
            note.update(change)
            return 200, {"id": key}
    return _NOT_FOUND
