"""The claims of the Visual Guide, each judged by running the code. Sphinx is not needed here."""
