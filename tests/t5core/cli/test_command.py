"""What holds for all verbs of ``t5core``."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("argv", "message"), [(["corupt"], "did you mean 'corrupt'"), ([], "choose one of corrupt")])
def test_an_unknown_verb_is_named(t5core, argv, message):
    code, _, err = t5core(*argv)
    assert code == 2
    assert err.startswith("t5core: error: verb=") and message in err


def test_nothing_is_imported_before_a_verb_needs_it():
    script = (
        "import sys; from t5core.cli import main; code = main(['clean', '--identifer', 'x']); "
        "ours = {'t5core', '__main__', '_distutils_hack'}; "
        "print({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names - ours)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n" and "--identifer" in done.stderr


def test_the_command_imports_neither_torch_nor_ray_and_survives_a_closed_pipe():
    script = (
        "import sys; from t5core.cli import main; code = main(['corrupt', '--length', '8']); "
        "assert not {'torch', 'ray', 'mlflow'} & set(sys.modules); sys.exit(code)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(b"some words to read " * 20_000)
    process.stdin.close()
    assert process.stdout.readline().startswith(b"inputs:  ")
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(timeout=30) == 0 and len(err.splitlines()) == 1, err
    process.stderr.close()


def test_a_reader_that_leaves_a_table_ends_the_command_quietly():
    command = [sys.executable, "-m", "t5core.cli", "tasks"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(timeout=60) == 0
    process.stderr.close()
