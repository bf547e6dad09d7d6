"""Grids of pictures: a table of PNG images inside the page, which its policy lets in.

Pillow writes them: matplotlib, which draws the ranks, brings it along and would write through it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from . import words
from .figures import Picture, Pictures

SIDE = 64
"""Pixels across, of a picture on the page."""


def pictures(figure: Pictures) -> str | None:
    """The grid as a table whose every text is escaped; `None` where there is nothing to show."""
    if not figure.rows or not figure.columns:
        return None
    table = Element("table", {"class": "pictures"})
    _heads(SubElement(SubElement(table, "thead"), "tr"), figure.columns)
    body = SubElement(table, "tbody")
    for name, found in figure.rows:
        row = SubElement(body, "tr")
        SubElement(row, "th", scope="row").text = words.inert(name)
        for picture in found:
            cell = SubElement(row, "td")
            if picture:
                SubElement(cell, "img", _image(picture))
    return ElementTree.tostring(table, encoding="unicode", method="html")


def _heads(row: Element, names: Iterable[str]) -> None:
    SubElement(row, "td")
    for name in names:
        SubElement(SubElement(row, "th", scope="col"), "span").text = words.inert(name)


def _image(picture: Picture) -> dict[str, str]:
    height = round(SIDE * picture.height / picture.width)
    return {
        "src": f"data:image/png;base64,{base64.b64encode(_png(picture)).decode()}",
        "alt": words.inert(picture.told),
        "title": words.inert(picture.told),
        "width": str(SIDE),
        "height": str(height),
    }


def _png(picture: Picture) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    image = Image.frombytes("L", (picture.width, picture.height), picture.pixels)
    image.save(target, "PNG", optimize=True)
    return target.getvalue()
