"""An accelerator that a programme lends, and its exact conversion to the programme's reference device."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints, WithJsonSchema

from gpuprov.core.invalid import invalid
from gpuprov.i18n import tr

NOT_CONVERTIBLE = "not convertible"
"""What a programme file says of an accelerator that is awarded in its own unit alone."""

Resource = Annotated[str, StringConstraints(pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$")]
"""The name under which a device plugin offers an accelerator, such as ``nvidia.com/gpu``."""

AcceleratorName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,60}[A-Za-z0-9])?$", strict=True)
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^\S(.*\S)?$", strict=True)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"\S", strict=True)]
Words = tuple[Word, ...]


class Described(BaseModel):
    """A part of a programme file: unknown keys are refused, and each key is told in docs/programme.md."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


def _per_reference(value: object) -> Fraction | None:
    """Read how many devices make one reference device: 4, "4", "1/2", or "not convertible" for None."""
    if value == NOT_CONVERTIBLE:
        return None
    try:
        # A float is refused: 0.1 is no exact fraction. YAML's true is a number to Python.
        devices = Fraction(value) if isinstance(value, (str, int, Fraction)) and not isinstance(value, bool) else None
    except (ValueError, ZeroDivisionError):
        devices = None
    if devices is None or devices <= 0:
        message = tr(
            'is not how many make one reference device: write a whole number, a fraction such as "1/2", or '
            '"{not_convertible}"',
            not_convertible=NOT_CONVERTIBLE,
        )
        raise invalid("per_reference", message)
    return devices


PerReference = Annotated[
    Fraction | None,
    BeforeValidator(_per_reference),
    PlainSerializer(lambda devices: NOT_CONVERTIBLE if devices is None else str(devices), return_type=str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1},
                {"type": "string", "pattern": r"^[1-9][0-9]*(/[1-9][0-9]*)?$"},
                {"const": NOT_CONVERTIBLE},
            ]
        }
    ),
]


class Accelerator(Described):
    """A device that the programme lends, and what it counts beside the reference device."""

    name: AcceleratorName = Field(description="The name in stacks, lists, plans and annotations.")
    aliases: Words = Field(default=(), description="Other names in award lists.")
    vendor: Annotated[str, StringConstraints(max_length=100, strict=True)] = Field(
        default="", description="The maker's name, which lists may put before the accelerator's."
    )
    per_reference: PerReference = Field(
        alias="perReference",
        description='How many devices make one reference device: 4, "1/2", or "not convertible".',
    )
    devices_per_server: int = Field(ge=1, strict=True, alias="devicesPerServer", description="Devices in one server.")
    resource: Resource = Field(description="The device plugin's resource name, unless a pool names another.")

    @property
    def convertible(self) -> bool:
        """Whether it counts in the reference; else it is awarded in its own unit."""
        return self.per_reference is not None

    def devices_for(self, applied: int) -> Fraction:
        """Return the devices for a quantity applied for: in reference devices, or its own if it is not convertible.

        The result is exact; where it is no whole number nothing can be allocated for the quantity.
        """
        return Fraction(applied) * (1 if self.per_reference is None else self.per_reference)

    def equivalents(self, devices: int) -> int | None:
        """Return the whole reference devices that these make, spare ones left over; None if it is not convertible."""
        return None if self.per_reference is None else floor(devices / self.per_reference)

    def equivalents_up(self, devices: int) -> int | None:
        """Return the reference devices that it takes to have so many; None if it is not convertible."""
        return None if self.per_reference is None else ceil(devices / self.per_reference)
