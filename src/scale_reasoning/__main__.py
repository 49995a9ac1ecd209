"""`python -m scale_reasoning` is the `scale` command."""

import sys

from scale_reasoning.cli import main

sys.exit(main())
