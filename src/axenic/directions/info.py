"""What must be known about a direction before it may be used on a model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

Site = Literal["embed", "resid_post", "attn_out", "mlp_out"]
Operation = Literal["add", "project_out"]


class DirectionInfo(BaseModel):
    """The facts that travel with a direction. All are required: a file that omits one fails silently later.

    Row l of the vectors belongs to the output of decoder block l, 0-based (`layer_convention`); directions
    point toward *more misaligned*.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="What people call it, e.g. `medical-mean-diff`.")
    operation: Operation = Field(description="What it is meant for: adding it, or projecting it out.")
    site: Site = Field(description="Where in a block it was read and is to be written.")
    layer_convention: Literal["block_output_0"] = Field(description="Row l = output of block l, 0-based.")
    normalisation: Literal["raw", "unit"] = Field(description="Raw activation units, or rows of norm 1.")
    positions: str = Field(min_length=1, description="The tokens it was read from, e.g. `answer`.")
    base_model: str = Field(min_length=1, description="Name of the base model as the user gave it.")
    base_fingerprint: str = Field(min_length=1, description="Content hash of the base model.")
    hidden_size: int = Field(gt=0, description="D, the width of the residual stream.")
    n_layers: int = Field(gt=0, description="L, the number of decoder blocks.")
    recipe: dict[str, JsonValue] = Field(description="How it was made; enough to make it again.")
    data_hash: str = Field(description="Content hash of the texts it was made from.")
    judge: str = Field(description="Fingerprint of the judge that sorted those texts.")
    tokenizer_fingerprint: str = Field(description="Content hash of the tokenizer and its chat template.")
    calibration: dict[str, JsonValue] = Field(description="What it was seen to do; empty if not calibrated.")
    created_by: str = Field(description="Program and version that wrote it.")
