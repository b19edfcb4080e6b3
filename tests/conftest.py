"""Settings that every test shares."""

import os

from hypothesis import settings

# The same examples on every run and machine, and no deadline on a slow one.
for profile in ("default", "ci"):
    settings.register_profile(profile, derandomize=True, deadline=None, print_blob=False)
settings.load_profile("ci" if os.environ.get("CI") else "default")
