"""Which mixture is best for your tasks? A search, where Table 11 of the paper tries ten by hand.

Optuna varies the limit K and the temperature, or every single rate, for the best average validation score. Its first
trials are the table's fixed mixtures, the same stages as the rows of ``studies/mixing.py``, so it cannot end below
them; weak trials are pruned after a third or two thirds of their training. It goes on where it was stopped, and may be
given more trials later.

    python studies/mixing_search.py --scale tiny --trials 12
    python studies/mixing_search.py --scale tiny --trials 24 --space rates
    optuna-dashboard sqlite:///$HOME/.t5grid/search.db
"""

import sys

from orchestrator.commands.search import main
from studies.mixing import UNSUPERVISED_SIZE, fixed_mixtures, study
from studies.scales import SCALES

if __name__ == "__main__":
    sys.exit(main(study(), fixed_mixtures, SCALES, unsupervised=UNSUPERVISED_SIZE))
