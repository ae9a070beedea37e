"""GitLab's REST API, as a job uses it with a project's access token: the job's own token may write no notes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gpuprov.errors import ForgeError
from gpuprov.forge.client import Client
from gpuprov.forge.note import Note
from gpuprov.i18n import tr


class GitLab:
    """A project, and a merge request of it where the pipeline is one's."""

    limit = 1_000_000

    def __init__(self, api: str, token: str, project: int, number: int | None, *, run: str = "") -> None:
        self._api = Client(api, {"PRIVATE-TOKEN": token})
        self._project = f"projects/{project}"
        self._number = number
        self.run = run

    def me(self) -> str:
        """Return the token's user name: that of a bot, for a project's token."""
        return str(self._api.get("user")["username"])

    def comments(self) -> Iterator[Note]:
        """Yield the merge request's notes."""
        return map(_note, self._api.pages(f"{self._change}/notes", order_by="created_at", sort="asc"))

    def add_comment(self, body: str) -> None:
        """Write a note."""
        self._api.send("POST", f"{self._change}/notes", {"body": body})

    def edit_comment(self, key: int, body: str) -> None:
        """Replace a note's text."""
        self._api.send("PUT", f"{self._change}/notes/{key}", {"body": body})

    def open_issues(self, author: str) -> Iterator[Note]:
        """Yield the author's open issues."""
        issues = self._api.pages(f"{self._project}/issues", state="opened", author_username=author, sort="asc")
        return (_note(issue, key="iid", text="description") for issue in issues)

    def add_issue(self, title: str, body: str) -> None:
        """Open an issue."""
        self._api.send("POST", f"{self._project}/issues", {"title": title, "description": body})

    def edit_issue(self, key: int, body: str, *, close: bool) -> None:
        """Replace an issue's text, and close it or not."""
        state = {"state_event": "close"} if close else {}
        self._api.send("PUT", f"{self._project}/issues/{key}", {"description": body} | state)

    @property
    def _change(self) -> str:
        if self._number is None:
            raise ForgeError(tr("this run is of no merge request: only those have a comment"))
        return f"{self._project}/merge_requests/{self._number}"


def _note(data: dict[str, Any], key: str = "id", text: str = "body") -> Note:
    return Note(key=data[key], author=(data.get("author") or {}).get("username", ""), body=data.get(text) or "")
