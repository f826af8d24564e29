"""``python -m solder`` is the command ``solder``."""

import sys

from solder.cli import main

sys.exit(main())
