"""What a saliency score tells beside its metrics: curves over images, and a few maps as pictures.

Both stand in a score's `details` and must stay small there. Who reads them back checks them by
these models, since a record may come from anywhere.
"""

from __future__ import annotations

from typing import Annotated, Self

import numpy as np
from jaxtyping import Float
from pydantic import Field, StrictFloat, StrictInt, StringConstraints, model_validator

from .definitions import Definition

PLACES = 10
"""Steps of a curve as it is kept, whatever the number of masked copies behind it."""
SHOWN = 4
"""Images of a test draw of which maps are kept: the first ones, whatever their maps look like."""
LEVELS = 16
"""Grey levels of a picture, each one hexadecimal digit: a pixel is a character of a record."""
LARGEST = 64
"""Pixels a side, beyond which there are no pictures."""

_Curve = Annotated[tuple[Annotated[StrictFloat, Field(ge=0, le=1)], ...], Field(max_length=101)]
_Digits = Annotated[
    str, StringConstraints(strict=True, pattern=r"^[0-9a-f]*$", max_length=LARGEST**2)
]


class Curve(Definition):
    """A probability against a fraction of pixels: mean over images, and its standard error."""

    fraction: _Curve
    mean: _Curve
    error: _Curve

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not len(self.fraction) == len(self.mean) == len(self.error):
            raise ValueError("fraction, mean and error are not of one length")
        return self


class Curves(Definition):
    """Probability of the net's own label while pixels are shown, and while they are removed."""

    insertion: Curve
    """Against the fraction of pixels kept, those that the map ranks highest first."""
    deletion: Curve
    """Against the fraction of pixels removed, those that the map ranks highest first."""
    images: Annotated[StrictInt, Field(ge=1)]


class Shown(Definition):
    """One image, the label that the net gives to it, and the map of that label.

    Pictures are rows of grey levels, one hexadecimal digit a pixel, with no break between rows.
    """

    label: Annotated[StrictInt, Field(ge=0)]
    probability: Annotated[StrictFloat, Field(ge=0, le=1)]
    map: _Digits
    """0 for the lowest value of the map, f for the highest, its outermost hundredths cut off."""
    image: _Digits = ""
    """The image itself, where its data set may be passed on; channels are averaged."""


class Pictures(Definition):
    height: Annotated[StrictInt, Field(ge=1, le=LARGEST)]
    width: Annotated[StrictInt, Field(ge=1, le=LARGEST)]
    shown: Annotated[tuple[Shown, ...], Field(min_length=1, max_length=SHOWN)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        pixels = self.height * self.width
        for one in self.shown:
            if len(one.map) != pixels or len(one.image) not in (0, pixels):
                raise ValueError(f"a picture has not {self.height} x {self.width} pixels")
        return self


def curve(
    fraction: Float[np.ndarray, " k"], probability: Float[np.ndarray, "n k"], digits: int = 4
) -> Curve:
    """Mean and standard error over images, at about `PLACES` of the fractions given."""
    last = len(fraction) - 1
    chosen = sorted({round(place * last / PLACES) for place in range(PLACES + 1)})
    values = probability[:, chosen].astype(float)
    n = len(values)
    error = values.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(chosen))
    columns = (fraction[chosen], values.mean(axis=0), error)
    kept = (tuple(round(float(v), digits) for v in column) for column in columns)
    return Curve(**dict(zip(("fraction", "mean", "error"), kept, strict=True)))


def hexadecimal(picture: Float[np.ndarray, "h w"], cut: float = 0.01) -> str:
    """A picture in grey levels, from its lowest to its highest value.

    Args:
        cut: share of the values at each end that become black or white, so that one outlier does
            not leave the rest grey.
    """
    low, high = np.quantile(picture, [cut, 1 - cut])
    room = high - low
    unit = np.clip((picture - low) / room, 0, 1) if room > 0 else np.zeros_like(picture)
    return "".join(f"{level:x}" for level in np.rint((LEVELS - 1) * unit).astype(int).ravel())


def levels(digits: str) -> bytes:
    """Hexadecimal digits as 8-bit grey, row by row."""
    return bytes(int(digit, LEVELS) * 255 // (LEVELS - 1) for digit in digits)
