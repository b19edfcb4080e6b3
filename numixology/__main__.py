"""``python -m numixology`` is the command ``numixology``."""

import sys

from numixology.cli import main

if __name__ == "__main__":
    sys.exit(main())
