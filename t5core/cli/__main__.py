"""``python -m t5core.cli``: the command where its script is not installed."""

import sys

from t5core.cli import main

sys.exit(main())
