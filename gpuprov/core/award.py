"""An award as the ministry's list states it, and the programme's rules on a single award.

What happens to an award afterwards (a forfeiture, a reduction) is never written here: it is an event in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from gpuprov.core.gpu import GPUS_PER_SERVER, GpuModel

SEOUL = ZoneInfo("Asia/Seoul")
"""The programme's time zone: its days begin and end in Korean time."""

PROGRAMME_END = datetime(2026, 7, 1, tzinfo=SEOUL)
"""The first instant after the first half of 2026. No rule gives an end for all rounds: a default (policy) that the
project's ``programmeEnd`` replaces."""

TRACK_1_MOST_H100 = 4

AwardId = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\s:*,\x22'\\\x00-\x1f]+$", strict=True)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]


class Track(StrEnum):
    """The programme's track (유형): 1 is 1 to 4 H100, 2 is 8 or more by the server."""

    ONE = "1"
    TWO = "2"


class Status(StrEnum):
    """What the list says of an award. Only a selected award gets GPUs."""

    SELECTED = "selected"
    WAITLISTED = "waitlisted"
    FORFEITED = "forfeited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A half-open interval of aware instants: ``start`` belongs to the term, ``end`` does not."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Term:
        """Return the term of two days that both belong to it, in Korean time.

        A term to 30 June 2026 ends at 2026-07-01T00:00+09:00.
        """
        return cls(start=midnight(first), end=midnight(last + timedelta(days=1)))

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end


def midnight(day: date) -> datetime:
    """Return the instant at which ``day`` begins in Korea."""
    return datetime.combine(day, time.min, SEOUL)


class Award(BaseModel):
    """One row of the award list, after its cells were understood."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: AwardId = Field(description="The award's id; unique over all lists (과제번호).")
    organization: Text = Field(description="Who was awarded (기관명).")
    organization_type: str = Field(default="", description="University, institute, startup, SME (기관유형).")
    contact: str = Field(default="", description="The person to write to (담당자).")
    email: str = Field(default="", description="Where to write to (이메일).")
    track: Track = Field(description="1: 1 to 4 H100; 2: 8 H100 or more, by the server of 8 (유형).")
    applied_h100: int = Field(ge=1, strict=True, description="Quantity applied for, in H100 (신청수량).")
    provider: str = Field(description="The provider cluster's name, such as samsung-sds (공급사).")
    model: GpuModel = Field(description="The GPU model that was allocated (배정GPU).")
    quantity: int = Field(ge=1, strict=True, description="GPUs of that model that were allocated (배정수량).")
    first_day: date = Field(description="First day of the term, in Korean time (시작일).")
    last_day: date = Field(description="Last day of the term; it belongs to the term (종료일).")
    status: Status = Field(default=Status.SELECTED, description="selected, waitlisted or forfeited (상태).")
    accept_by: date | None = Field(default=None, description="Last day for the awardee to accept (수락기한).")

    @property
    def term(self) -> Term:
        """The award's term as the list states it."""
        return Term.of_days(self.first_day, self.last_day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """A rule that one award breaks: the field that is wrong, what is wrong, and what to do."""

    field: str
    message: str
    remedy: str


def breaches(award: Award) -> Iterator[Breach]:
    """Check one award against the programme's rules and yield every breach.

    Rules: track 1 is 1 to 4 H100 and track 2 is 8 or more by the server; the allocated quantity is exactly the
    applied quantity converted to the allocated model; a term ends no earlier than it begins.
    """
    h100 = award.applied_h100
    if award.track is Track.ONE and h100 > TRACK_1_MOST_H100:
        yield Breach(
            field="applied_h100",
            message=f"track 1 is 1 to {TRACK_1_MOST_H100} H100",
            remedy="correct the quantity or the track",
        )
    if award.track is Track.TWO and (h100 < GPUS_PER_SERVER or h100 % GPUS_PER_SERVER):
        yield Breach(
            field="applied_h100",
            message=f"track 2 is by the server of {GPUS_PER_SERVER} H100: 8, 16, 24 and so on",
            remedy="correct the quantity or the track",
        )
    converted = award.model.gpus_for(h100)
    if award.quantity != converted:
        yield Breach(
            field="quantity",
            message=f"{h100} H100 convert to {converted} {award.model}, not {award.quantity}",
            remedy=f"allocate {converted} {award.model} or correct the applied quantity",
        )
    if award.last_day < award.first_day:
        yield Breach(
            field="last_day",
            message=f"the term ends before it begins on {award.first_day}",
            remedy="correct one of the two days",
        )
