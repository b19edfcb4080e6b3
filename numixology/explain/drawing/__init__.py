"""How a figure is drawn: panels of data, as text, as SVG and as JSON."""
