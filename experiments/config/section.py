"""What every section of a config has in common: its form and its numbers."""

from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
)

from ...models.errors import InputError

# Numbers are strict: neither "24" nor true is taken for one.
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]


Whole = Annotated[int, Field(strict=True)]


Positive = Annotated[Real, Field(gt=0)]


PART = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
"""``module:name`` of what a user has written."""


Count = Annotated[Whole, Field(ge=1)]


class Section(BaseModel):
    """A table of a config: frozen, and nothing in it that is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ConfigError(InputError):
    """The config cannot be used; the message names every field that is wrong."""
