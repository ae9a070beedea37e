"""The cells whose words the programme explains: track, status, call, and the accelerator that was allocated."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuprov.core.accelerator import Accelerator
from gpuprov.core.award import Status
from gpuprov.core.programme import Programme
from gpuprov.i18n import any_of, tr
from gpuprov.load.cells import CellProblem, required_text, text
from gpuprov.load.text import key, word

_SERIES = "(?:tesla|hgx|dgx)?"
_FORMS = ("sxm[0-9]?", "pcie", "nvl", "hbm[0-9]e?", "tensorcore", "gpu")
"""Words that data sheets put around an accelerator's name."""


class Words:
    """What the words of award lists mean in a programme. Every method raises CellProblem for a word that it lacks."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self._tracks = {word(name): track.name for track in programme.tracks for name in (track.name, *track.words)}
        self._calls = {word(name): call.name for call in programme.calls for name in (call.name, *call.words)}
        self._statuses = {
            word(name): Status(status) for status, names in programme.statuses for name in (status, *names)
        }
        self._models = {
            accelerator.name: _pattern(accelerator, programme.memory_gb) for accelerator in programme.accelerators
        }

    def track(self, value: object) -> str:
        """Return the name of the track that a cell means."""
        cell_word = word(required_text(value))
        if cell_word not in self._tracks:
            tracks = self.programme.tracks
            names, examples = [track.name for track in tracks], [track.words[0] for track in tracks if track.words]
            remedy = tr("write {tracks}", tracks=any_of(names))
            if examples:
                remedy = tr("{remedy} ({examples})", remedy=remedy, examples=", ".join(examples))
            raise CellProblem(tr("is not a track"), remedy)
        return self._tracks[cell_word]

    def status(self, value: object) -> Status:
        """Return the status; an empty cell is a selected award."""
        cell_text = text(value)
        if not cell_text:
            return Status.SELECTED
        if word(cell_text) not in self._statuses:
            known = "; ".join(f"{status}: {', '.join(names)}" for status, names in self.programme.statuses)
            remedy = tr("write one of these ({statuses}), or remove the row", statuses=known)
            raise CellProblem(tr("is not a status of an award"), remedy)
        return self._statuses[word(cell_text)]

    def call(self, value: object) -> str:
        """Return the name of the call that a cell means; an empty cell is no call, and so is any without calls."""
        cell_text = text(value)
        if not cell_text or not self._calls:
            return ""
        if word(cell_text) not in self._calls:
            names = ", ".join(call.name for call in self.programme.calls)
            remedy = tr("write one of {names}, or nothing", names=names)
            raise CellProblem(tr("is not a call of the programme"), remedy)
        return self._calls[word(cell_text)]

    def model(self, value: object) -> str:
        """Return the accelerator from H100, NVIDIA H100 80GB, NVIDIA-A100-SXM4-40GB and the like."""
        model_key = key(required_text(value))
        matching = [name for name, pattern in self._models.items() if pattern.fullmatch(model_key)]
        if not matching:
            names = ", ".join(self._models)
            raise CellProblem(tr("is no GPU model of the programme"), tr("write one of {names}", names=names))
        return max(matching, key=len)  # another's name with a word around it is shorter


def _pattern(accelerator: Accelerator, memory_gb: Iterable[int]) -> re.Pattern[str]:
    """Return what a cell for this accelerator looks like, by its `key`. A MIG slice (1g.5gb) does not fit."""
    vendor = f"(?:{re.escape(key(accelerator.vendor))})?" if key(accelerator.vendor) else ""
    names = "|".join(re.escape(key(name)) for name in (accelerator.name, *accelerator.aliases))
    sizes = "|".join(map(str, memory_gb))
    forms = "|".join((*_FORMS, *([f"(?:{sizes})gb?"] if sizes else [])))
    return re.compile(f"{vendor}{_SERIES}(?:{names})(?:{forms})*")
