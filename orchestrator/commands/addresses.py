"""Where results live when nobody says otherwise: one folder per user, ``~/.t5grid`` or ``$T5GRID_HOME``.

~/.t5grid/store/       stages, each with its manifest: the ledger
~/.t5grid/mlflow.db    MLflow's database: a view of the ledger, can be rebuilt
~/.t5grid/search.db    Optuna's database: the trials of searches, whose results are in the store
"""

import os
from pathlib import Path

HOME_VARIABLE = "T5GRID_HOME"


def home() -> Path:
    """Returns the absolute folder that holds the defaults below; does not create it."""
    chosen = os.environ.get(HOME_VARIABLE)
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".t5grid"


def default_store_uri() -> str:
    """Returns the store's place as a plain absolute path, what ``open_store`` takes."""
    return str(home() / "store")


def default_tracking_uri() -> str:
    """Returns MLflow's place as a URI: a sqlite file in ``home()``."""
    return f"sqlite:///{home() / 'mlflow.db'}"


def default_storage_url() -> str:
    """Returns Optuna's place as a URL: a sqlite file in ``home()``."""
    return f"sqlite:///{home() / 'search.db'}"
