"""GitHub's REST API, as a workflow uses it. A pull request's comments are those of the issue with its number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpuprov.errors import ForgeError
from gpuprov.forge.client import Client
from gpuprov.forge.note import Note
from gpuprov.i18n import tr


class GitHub:
    """A repository, and a pull request of it where the run is one's. ``graphql`` is where GraphQL is served."""

    limit = 65_536

    def __init__(
        self, api: str, graphql: str, token: str, repository: str, number: int | None, *, run: str = ""
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "X-GitHub-Api-Version": "2022-11-28"}
        self._api, self._graphql = Client(api, headers), Client(graphql, headers)
        self._repository = f"repos/{repository}"
        self._number = number
        self.run = run

    def me(self) -> str:
        """Return the token's login: ``github-actions[bot]`` for a workflow's own, which REST does not tell."""
        answer = self._graphql.send("POST", "", {"query": "query { viewer { login } }"})
        try:
            return str(answer["data"]["viewer"]["login"])
        except (KeyError, TypeError) as error:
            raise ForgeError(tr("GitHub does not say whose the token is")) from error

    def comments(self) -> Iterator[Note]:
        """Yield the pull request's comments."""
        return map(_note, self._api.pages(f"{self._change}/comments"))

    def add_comment(self, body: str) -> None:
        """Write a comment."""
        self._api.send("POST", f"{self._change}/comments", {"body": body})

    def edit_comment(self, key: int, body: str) -> None:
        """Replace a comment's text."""
        self._api.send("PATCH", f"{self._repository}/issues/comments/{key}", {"body": body})

    def open_issues(self, author: str) -> Iterator[Note]:
        """Yield the author's open issues; pull requests are in GitHub's list too."""
        issues = self._api.pages(f"{self._repository}/issues", state="open", creator=author, direction="asc")
        return (_note(issue, key="number") for issue in issues if "pull_request" not in issue)

    def add_issue(self, title: str, body: str) -> None:
        """Open an issue."""
        self._api.send("POST", f"{self._repository}/issues", {"title": title, "body": body})

    def edit_issue(self, key: int, body: str, *, close: bool) -> None:
        """Replace an issue's text, and close it or not."""
        state = {"state": "closed", "state_reason": "completed"} if close else {}
        self._api.send("PATCH", f"{self._repository}/issues/{key}", {"body": body} | state)

    @property
    def _change(self) -> str:
        if self._number is None:
            raise ForgeError(tr("this run is of no pull request: only those have a comment"))
        return f"{self._repository}/issues/{self._number}"


def _note(data: dict[str, Any], key: str = "id") -> Note:
    return Note(key=data[key], author=(data.get("user") or {}).get("login", ""), body=data.get("body") or "")
