"""The project as it was last valid: what is invalid by now is reported, and never acted on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from threading import Lock

from gpuprov.errors import InputError
from gpuprov.load.project import open_project
from gpuprov.run.files import digests
from gpuprov.run.loading import Loaded, load

_LOG = logging.getLogger(__name__)


class Source:
    """The project in a folder, for several threads. Files are only loaded again where their digests have changed."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = Lock()
        self._valid: Loaded | None = None
        self._error: InputError | None = None
        self._list_error: InputError | None = None
        self._tried: Mapping[str, str] = {}

    @property
    def error(self) -> InputError | None:
        """What is wrong with the files as they are now; None where they are valid."""
        return self._error

    def load(self) -> Loaded:
        """Return the project as it is, or else as it was when it was last valid.

        The digests are always those of the files as they are: so a decision on an older list holds as long as nobody
        touches the files. Raises InputError where nothing has been valid since the service began.
        """
        with self._lock:
            try:
                self._read()
                self._error = None
            except InputError as error:
                self._report(error)
            if self._valid is None:
                raise self._error or InputError([])
            if self._error is None:
                return self._valid
            return replace(self._valid, files=digests(self._valid.project.files))

    def _read(self) -> None:
        """Read what has changed. Raises InputError."""
        project = open_project(self.root)
        found = digests(project.files)
        if found != self._tried:
            self._tried, self._list_error = found, None
            try:
                self._valid = load(project)
            except InputError as error:
                self._list_error = error
            else:
                for warning in self._valid.warnings:
                    _LOG.warning("%s", warning)
                _LOG.info("valid: %d awards, %d events", len(self._valid.histories), len(self._valid.events))
        if self._list_error is not None:
            raise self._list_error

    def _report(self, error: InputError) -> None:
        if str(error) != str(self._error):
            holds = "the last valid list holds" if self._valid else "nothing is done until it is valid"
            for problem in error.problems:
                _LOG.error("invalid: %s; %s", problem, holds)
        self._error = error
