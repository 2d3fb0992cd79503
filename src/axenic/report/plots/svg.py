"""From matplotlib's SVG to one that a strict page may hold.

Matplotlib writes `style="…"` attributes, which a Content-Security-Policy without `unsafe-inline` forbids, and ids
that collide when two pictures stand in one page. `clean_svg` turns the styles into presentation attributes (any CSS
rule outranks those, so the page's style sheet can recolour a picture in the dark) and makes the ids its own.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from markupsafe import Markup

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "{http://www.w3.org/1999/xlink}href"
_REFERENCE = re.compile(r"#([\w-]+)")
_LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}")


def clean_svg(raw: bytes, name: str, title: str) -> Markup:
    """Matplotlib's SVG without style attributes, without unused ids, with its own ids prefixed by `name`."""
    root = ElementTree.fromstring(raw)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}style", f"{{{_SVG}}}metadata"):
                parent.remove(child)
    used = {
        found
        for element in root.iter()
        for key, value in element.attrib.items()
        if key == _XLINK or "url(#" in value
        for found in _REFERENCE.findall(value)
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
        _plain_attributes(element, name, used)
    _drop_empty_groups(root)
    width, height = (float(value) for value in root.attrib["viewBox"].split()[2:])
    root.attrib.clear()
    root.attrib.update(
        viewBox=f"0 0 {width:g} {height:g}", width=f"{width:g}", height=f"{height:g}", role="img"
    )
    root.set("aria-label", title)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _plain_attributes(element: ElementTree.Element, name: str, used: set[str]) -> None:
    """Style declarations become attributes, references and the ids they mean get the prefix."""
    attributes: dict[str, str] = {}
    for key, value in element.attrib.items():
        if key == "style":
            attributes.update(_declarations(value))
        elif key == "id":
            if value in used:
                attributes["id"] = f"{name}-{value}"
        elif key == _XLINK:
            attributes["href"] = f"#{name}-{value.removeprefix('#')}"
        elif "url(#" in value:
            attributes[key] = value.replace("url(#", f"url(#{name}-")
        elif key in ("d", "transform", "x", "y", "points"):
            # Hundredths of a pixel cannot be seen; cutting them makes the page a third smaller.
            attributes[key] = " ".join(_LONG_NUMBER.sub(lambda m: f"{float(m.group()):.2f}", value).split())
        else:
            attributes[key] = value
    element.attrib.clear()
    element.attrib.update(attributes)
    if element.tag in ("g", "path", "use", "clipPath", "defs"):
        element.text = None
    element.tail = None


def _declarations(style: str) -> dict[str, str]:
    """`fill: #fff; font: 600 12px 'X', sans-serif; text-anchor: middle` as SVG presentation attributes."""
    attributes: dict[str, str] = {}
    for declaration in style.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":
            size = re.search(r"([\d.]+)px", value)
            if size:
                attributes["font-size"] = size.group(1)
            if re.match(r"(600|700|bold)\b", value):
                attributes["font-weight"] = "600"
        elif key in _PRESENTATION:
            attributes[key] = value
    return attributes


_PRESENTATION = frozenset(
    (
        "fill", "fill-opacity", "fill-rule", "stroke", "stroke-width", "stroke-opacity", "stroke-linecap",
        "stroke-linejoin", "stroke-dasharray", "stroke-dashoffset", "stroke-miterlimit", "opacity", "text-anchor",
        "font-size", "font-weight", "clip-path",
    )
)  # fmt: skip


def _drop_empty_groups(element: ElementTree.Element) -> None:
    """Remove groups that lost everything, and the attributes that only repeat the default."""
    for child in list(element):
        _drop_empty_groups(child)
        if child.tag in ("g", "defs") and not len(child):
            element.remove(child)
