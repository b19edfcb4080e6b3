"""A picture as PNG: the SVG in the colors of one theme, rasterized by resvg.

resvg is a library of its own, which the extra ``png`` brings. It takes fonts from the system.
"""

from importlib import import_module

from ...errors import UnsupportedError

__all__ = ["rasterized"]


def rasterized(svg: str, scale: float) -> bytes:
    """An SVG as PNG.

    Args:
        svg: the text of an SVG file, without CSS variables, which resvg does not know.
        scale: pixels of the PNG for each pixel of the SVG.

    Returns:
        The bytes of a PNG file.

    Raises:
        UnsupportedError: resvg is not installed.
    """
    try:
        resvg = import_module("resvg_py")
    except ImportError as error:
        instead = "pip install resvg-py, or draw in SVG"
        raise UnsupportedError("a PNG is drawn by resvg", str(error), instead) from error
    return bytes(resvg.svg_to_bytes(svg_string=svg, zoom=scale))
