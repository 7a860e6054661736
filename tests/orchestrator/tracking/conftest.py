"""What the tracker's tests share."""

import shutil
from pathlib import Path

import pytest

from orchestrator.store import Store, open_store
from orchestrator.tracking.writer import Tracker


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty MLflow database: migrating takes seconds, copying none."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    store = open_store(path.parent / "store")
    assert Tracker.open(f"sqlite:///{path}", "none", "none", store).close(timeout_s=60) == 0
    return path


@pytest.fixture
def uri(empty_database: Path, tmp_path: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path / "store")
