"""What every file of the repository keeps to."""

import ast
import importlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("t5core", "orchestrator", "studies", "dashboards")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PYTHON_FILES = sorted(path for room in (*ROOMS, "tests") for path in (ROOT / room).rglob("*.py"))
ROOM_FILES = [path for path in PYTHON_FILES if path.relative_to(ROOT).parts[0] in ROOMS]


def test_the_lock_names_versions_and_hashes_and_no_host():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    shape = re.compile(r"[a-z0-9._-]+(\[[a-z0-9,-]+\])?==[^ /]+( ; .*)? \\|    --hash=sha256:[0-9a-f]{64}( \\)?")
    assert [line for line in lines if not shape.fullmatch(line)] == []


def test_the_lock_names_every_dependency():
    locked = {re.split(r"[=\[]", line)[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["dev"]]
    names = {re.match(r"[A-Za-z0-9._-]+", item).group().lower() for item in wanted}
    assert names - locked == set()


def test_the_lock_is_for_every_platform():
    locked = (ROOT / "requirements.lock").read_text()
    assert "\ntorch-xla==2.9.0 ; platform_machine == 'x86_64' and sys_platform == 'linux' \\\n" in locked


def test_every_place_names_the_same_pythons():
    named = [item.rsplit(" ", 1)[1] for item in PROJECT["project"]["classifiers"] if "Python :: 3." in item]
    oldest, newest = (int(version.removeprefix("3.")) for version in (named[0], named[-1]))
    assert named == [f"3.{minor}" for minor in range(oldest, newest + 1)]
    assert PROJECT["project"]["requires-python"] == f">=3.{oldest},<3.{newest + 1}"
    assert PROJECT["tool"]["mypy"]["python_version"] == f"3.{oldest}"
    assert PROJECT["tool"]["ruff"]["target-version"] == f"py3{oldest}"
    makefile = (ROOT / "Makefile").read_text()
    assert f"(3, {oldest}) <= sys.version_info[:2] <= (3, {newest})" in makefile
    assert " ".join(f"python{version}" for version in named) in makefile
    spoken = f"{', '.join(named[:-1])} or {named[-1]}"
    assert f"no Python {spoken} was found" in makefile
    assert f"Python {spoken}" in (ROOT / "README.md").read_text()
    assert f"versions=({' '.join(named)})" in (ROOT / ".ci/test-pythons").read_text()


def set_up(folder, python):
    """``make setup`` in a folder that has nothing but the Makefile, what it reads, and what the test put there."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    return subprocess.run(
        ["make", "--no-print-directory", "setup", f"PYTHON={python}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )


def script(path, says):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{says}\n")
    path.chmod(0o755)
    return path


def test_setup_names_the_pythons_it_takes_and_makes_no_environment_with_another(tmp_path):
    done = set_up(tmp_path, script(tmp_path / "old", "exit 1"))
    assert done.returncode == 2
    assert f"no Python 3.11, 3.12 or 3.13 was found as {tmp_path}/old: install one" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_setup_does_not_take_an_environment_of_another_python_for_the_one_asked_for(tmp_path):
    script(tmp_path / ".venv/bin/python", 'echo "Python 3.12"')
    (tmp_path / ".venv/.set-up").touch()
    done = set_up(tmp_path, script(tmp_path / "other", 'echo "Python 3.13"'))
    assert done.returncode == 2
    assert f".venv has Python 3.12: give {tmp_path}/other another folder" in done.stderr


def test_setup_makes_an_environment_whole_that_was_left_without_pip(tmp_path):
    script(tmp_path / ".venv/bin/python", "exit 3")
    python = script(tmp_path / "python", 'case "$1$2" in -mvenv) echo "made $3" >&2; exit 4;; esac')
    assert "made .venv" in set_up(tmp_path, python).stderr


@pytest.mark.parametrize("path", ROOM_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_code_is_loaded_from_data(path):
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not forbidden & {alias.name.split(".")[0] for alias in node.names}, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in forbidden, ast.unparse(node)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("torch.load", "eval", "exec", "os.system", "os.popen"), called
            assert not any(k.arg == "shell" and ast.unparse(k.value) == "True" for k in node.keywords), called
            assert not any(k.arg == "allow_pickle" and ast.unparse(k.value) == "True" for k in node.keywords), called


def test_files_stay_short():
    long = {str(p.relative_to(ROOT)): n for p in PYTHON_FILES if (n := len(p.read_text("utf-8").splitlines())) >= 600}
    assert long == {}


def test_every_room_is_packaged_and_says_what_it_is():
    found = PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    for room in ROOMS:
        assert f"{room}*" in found
        for package in {path.parent for path in (ROOT / room).rglob("*.py")}:
            assert (package / "__init__.py").is_file(), package
            assert ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))), package


@pytest.mark.parametrize("name", sorted(PROJECT["project"]["scripts"]))
def test_console_scripts_answer_to_help(name):
    module, function = PROJECT["project"]["scripts"][name].split(":")
    assert callable(getattr(importlib.import_module(module), function))
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert name in done.stdout


def test_t5core_imports_nothing_heavy_beyond_torch():
    code = "import t5core.config, t5core.model, t5core.training, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"ray", "mlflow", "optuna", "datasets", "torch_xla", "sklearn", "rouge_score", "sacrebleu"}


def test_a_job_takes_the_rooms_and_leaves_the_rest():
    from pathspec import PathSpec

    lines = [*(ROOT / ".gitignore").read_text().splitlines(), *(ROOT / ".rayignore").read_text().splitlines()]
    left = PathSpec.from_lines("gitignore", lines)
    assert not any(left.match_file(f"{room}/__init__.py") for room in ROOMS)
    assert not left.match_file("studies/paper/tables.json")
    assert all(
        left.match_file(name) for name in (".git/HEAD", ".venv/bin/python", ".venv-3.13/bin/python", "tests/x.py")
    )


@pytest.mark.parametrize("name", [".ci/run", ".ci/test-pythons"])
def test_scripts_can_be_executed(name):
    assert os.access(ROOT / name, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / name)], check=True)
