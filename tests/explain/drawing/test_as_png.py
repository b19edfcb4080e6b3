"""Figures as PNG: their size and their colors, and what is said where resvg is missing."""

import struct
import sys
import zlib

import pytest
from panels import GRID, PANELS
from support import refused

from numixology.errors import UnsupportedError
from numixology.explain import Scene


def read(png):
    """Width, height and the color of the first pixel."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, data = 8, b""
    while place < len(png):
        length, kind = struct.unpack(">I4s", png[place : place + 8])
        body = png[place + 8 : place + 8 + length]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        data += body if kind == b"IDAT" else b""
        place += length + 12
    return width, height, zlib.decompress(data)[1:4]  # before it is the row's filter


@pytest.mark.parametrize(("theme", "paper"), [("light", "ffffff"), ("dark", "131416")])
def test_a_figure_of_all_panels(theme, paper) -> None:
    scene = Scene("All", "Every kind of panel.", PANELS)
    width, height, color = read(scene.png(theme))
    assert f'width="{width // 2}" height="{height // 2}"' in scene.svg()
    assert color.hex() == paper


def test_the_scale() -> None:
    scene = Scene("One", "", (GRID,))
    (wide, high, _), (width, height, _) = read(scene.png(scale=3)), read(scene.png(scale=1))
    assert (wide, high) == (3 * width, 3 * height)


def test_what_is_drawn_is_the_picture() -> None:
    assert Scene("One", "", (GRID,)).png() != Scene("One", "", (GRID._replace(title="G"),)).png()


def test_without_resvg(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with refused(UnsupportedError, "a PNG is drawn by resvg", "pip install resvg-py"):
        Scene("One", "", ()).png()
