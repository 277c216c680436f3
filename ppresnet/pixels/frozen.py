"""The base of every augmentation."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Options as plain data: immutable, and none that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid")
