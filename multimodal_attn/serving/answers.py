"""What a server answers, as its OpenAPI page describes it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Word(BaseModel):
    """A word of a text."""

    text: str
    probability: float = Field(description="that the model gave the word")
    confidence: float | None = Field(None, description="that the word is right; of models that were calibrated")
    start: float | None = Field(None, description="seconds from the start of the recording; of recordings only")
    end: float | None = Field(None, description="likewise")
    map: list[Any] | None = Field(
        None, description="with attention=true: rows of columns of a picture, else a weight for each position"
    )


class Other(BaseModel):
    """Another text that the search found."""

    text: str
    score: float


class Answer(BaseModel):
    """What the model wrote."""

    text: str
    score: float = Field(description="what the search maximized: log probability by length")
    words: list[Word]
    flags: list[str] = Field(description="what looks wrong: empty, looped, hit_max_length")
    others: list[Other] = Field(description="what else the search found, best first")
    layout: dict[str, Any] | None = Field(
        None,
        description="with attention=true, what maps are over: rows and columns; step_seconds and offset_seconds;"
        " or the tokens of the source",
    )


class Health(BaseModel):
    """How the server is."""

    status: str = Field(description="ok, or ended")
    model: str
    reads: str = Field(description="picture, recording or text")
    precision: str
    waiting: int = Field(description="requests that wait or are at work")
    answered: int
    refused: int = Field(description="that found no place to wait")


class Error(BaseModel):
    """Why there is no answer."""

    error: str = Field(description="what was wrong; what was expected")


class Sentence(BaseModel):
    """A text to translate."""

    text: str
