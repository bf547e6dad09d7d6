"""Drawings: SVG as it may stand inside a page.

A chart library's SVG is rebuilt from the elements and attributes that a drawing needs, so that no
script, link, style attribute or foreign element gets in, whatever a label holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_ELEMENTS = {
    "circle", "clipPath", "defs", "ellipse", "g", "line", "path", "polygon", "polyline", "rect",
    "svg", "text", "tspan", "use",
}  # fmt: skip
_ATTRIBUTES = {
    "clip-path", "clip-rule", "cx", "cy", "d", "dx", "dy", "fill", "fill-opacity", "fill-rule",
    "font-size", "font-style", "font-weight", "height", "id", "opacity", "points", "r", "rx", "ry",
    "stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "stroke-miterlimit",
    "stroke-opacity", "stroke-width", "text-anchor", "transform", "viewBox", "width", "x", "x1",
    "x2", "y", "y1", "y2",
}  # fmt: skip
SEPARATOR = "\N{SYMBOL FOR UNIT SEPARATOR}"
"""Between what a mark tells: where it is, what it says, and the number in it, if any."""

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")

_FONT = re.compile(r"(?:(bold) )?([\d.]+)px")


def inlined(svg: str, title: str, prefix: str) -> str:
    """The drawing as one element with a name for those who cannot see it.

    Args:
        prefix: of the ids inside, which must be the page's only ones.
    """
    root = _copy(ElementTree.fromstring(svg), prefix)
    for size in ("width", "height"):
        # matplotlib gives points; the view box has the shape, the style sheet the width.
        root.attrib.pop(size, None)
    width = root.get("viewBox", "0 0 300 150").split()[2]
    root.attrib |= {"role": "img", "aria-label": title, "width": width}
    return ElementTree.tostring(root, encoding="unicode")


def _copy(element: Element, prefix: str) -> Element:
    copy = Element(element.tag.removeprefix(_SVG), dict(_attributes(element, prefix)))
    copy.text, copy.tail = element.text, element.tail
    if SEPARATOR in (told := element.get("aria-label", "")):
        # The drawing as a whole is one picture to a screen reader; this is for who points at it.
        *said, value = told.split(SEPARATOR)
        SubElement(copy, "title").text = "\n".join(said)
        if _NUMBER.fullmatch(value):
            copy.set("data-value", value)
    copy.extend(_copy(child, prefix) for child in element if _allowed(child))
    return copy


def _allowed(element: Element) -> bool:
    return isinstance(element.tag, str) and element.tag.removeprefix(_SVG) in _ELEMENTS


def _attributes(element: Element, prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in (*element.items(), *_styled(element.get("style", ""))):
        if name in {_XLINK_HREF, "href"} and value.startswith("#"):
            yield "href", f"#{prefix}{value[1:]}"
        elif name == "id":
            yield name, prefix + value
        elif name in _ATTRIBUTES:
            yield name, value.replace("url(#", f"url(#{prefix}")


def _styled(style: str) -> Iterator[tuple[str, str]]:
    """The declarations of a style attribute, which a strict policy forbids, as attributes."""
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        found = _FONT.match(value.strip()) if name.strip() == "font" else None
        if found:
            yield "font-size", found[2]
            yield "font-weight", found[1] or "normal"
        else:
            yield name.strip(), value.strip()
