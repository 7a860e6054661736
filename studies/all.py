"""Every study in the paper's order, as one plan: nothing that two of them need is done twice.

    python studies/all.py --scale tiny
    python studies/all.py --scale tiny --rows '*/baseline,objectives/span*'
    python studies/all.py --scale paper --plan

``t5grid run objectives,mixing`` runs some of them.
"""

import sys

from orchestrator.commands.grid import ALL, main
from studies.catalogue import CATALOGUE
from studies.scales import SCALES

if __name__ == "__main__":
    sys.exit(main(CATALOGUE, SCALES, ALL))
