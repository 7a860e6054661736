"""Bad input: one line that names the field, the value and the way out; exit code 2; nothing was started."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.commands.flags import Options
from orchestrator.commands.study import main
from orchestrator.plan.experiment import Experiment
from studies.objectives import study
from studies.scales import SCALES
from t5core.errors import ConfigError

ROOT = Path(__file__).resolve().parents[3]

REFUSED = {
    "scale": (["--scale", "tinny"], "scale='tinny': choose one of tiny, desk, mini, paper (did you mean 'tiny'?)"),
    "rows": (["--rows", "spam-3"], "rows='spam-3': matches none of replace-spans, prefix-lm, "),
    "accelerator": (["--accelerator", "gpu"], "accelerator='gpu': choose one of auto, cpu, cuda, xla"),
    "seeds": (["--seeds", "0"], "seeds=0: give 1 or more"),
    "lanes": (["--lanes", "0"], "lanes=0: give 1 or more"),
    "tasks": (["--tasks", "doc_qa,doc_clozze"], "tasks='doc_clozze': choose from doc_acceptability, "),
    "file of a task": (["--tasks", "{tmp}/absent.yaml"], "tasks='{tmp}/absent.yaml': no such file"),
    "file that is no task": (
        ["--tasks", "doc_qa,{tmp}/wrong.yaml"],
        "{tmp}/wrong.yaml: key='nam': choose from name, source, ",
    ),
    "file with another task's name": (
        ["--tasks", "{tmp}/cola.yaml"],
        "tasks='{tmp}/cola.yaml': it is called 'glue_cola', as another task is: rename it",
    ),
    "tasks to judge by alone": (
        ["--tasks", "super_glue_wsc,glue_mnli_matched"],
        "tasks='glue_mnli_matched,super_glue_wsc': none of them is trained on: add one",
    ),
    "tasks to train on alone": (
        ["--tasks", "dpr"],
        "tasks='dpr': none of them is judged by: add one",
    ),
    "diagnostic task": (["--tasks", "doc_qa,glue_ax"], "tasks='glue_ax': nothing but a test split: "),
    "data directory": (["--data-dir", "{tmp}/absent"], "data_dir='{tmp}/absent': no such folder\n"),
    "data directory that is a file": (
        ["--data-dir", "{tmp}/empty.txt"],
        "data_dir='{tmp}/empty.txt': no such folder\n",
    ),
    "data directory without the set": (
        ["--tasks", "glue_cola", "--data-dir", "{tmp}/folder"],
        "data_dir='{tmp}/folder': no such set there: put cola/",
    ),
    "pre-training steps": (["--pretrain-steps", "0"], "pretrain_steps=0: give 1 or more\n"),
    "fine-tuning steps": (["--finetune-steps", "-3"], "finetune_steps=-3: give 1 or more\n"),
    "way to hold models": (
        ["--parallel", "shards"],
        "parallel='shards': choose one of auto, none, recompute, shard (did you mean 'shard'?)",
    ),
    "one process that shards": (
        ["--accelerator", "cpu", "--parallel", "shard"],
        "parallel='shard': a lane has one process, which has none to share weights with: give --mesh Dx1, like 8x1\n",
    ),
    "no mesh": (["--mesh", "8"], "mesh='8': give data x model devices, like 16x4\n"),
    "mesh of processes that share layers": (
        ["--accelerator", "cpu", "--mesh", "2x2"],
        "mesh='2x2': devices share a layer on xla only; on cpu they share a batch: give 4x1\n",
    ),
    "mesh that does not divide the batch": (
        ["--accelerator", "cpu", "--mesh", "5x1"],
        "mesh='5x1': its first number must divide 24, the batch_size\n",
    ),
    "rows at a time of a process": (
        ["--accelerator", "cpu", "--mesh", "4x1", "--microbatch", "4"],
        "microbatch=4: give a number that divides 6, a process's rows\n",
    ),
    "rows at a time": (["--microbatch", "7"], "microbatch=7: give a number that divides 24, the batch_size\n"),
    "no rows at a time": (["--microbatch", "0"], "microbatch=0: give a number above 0\n"),
    "inputs length": (["--inputs-length", "0"], "inputs_length=0: give 1 or more\n"),
    "targets length": (["--targets-length", "0"], "targets_length=0: give 1 or more\n"),
    "training examples": (["--train-examples", "0"], "train_examples=0: give a number above 0\n"),
    "validation examples": (["--validation-examples", "-1"], "validation_examples=-1: give a number above 0\n"),
    "missing corpus": (["--corpus", "{tmp}/absent"], "corpus='{tmp}/absent': no such file or folder: give "),
    "corpus without text": (["--corpus", "{tmp}/folder"], "corpus='{tmp}/folder': no text there: give "),
    "empty corpus": (["--corpus", "{tmp}/empty.txt"], "corpus='{tmp}/empty.txt': no text there, the files are empty"),
    "vocabulary": (
        ["--vocabulary-pieces", "259"],
        "vocabulary_pieces=259: 259 are 3 special pieces and 256 bytes: give",
    ),
    "negative vocabulary": (["--vocabulary-pieces", "-5"], "vocabulary_pieces=-5: 259 are 3 special pieces"),
    "mix without parts": (["--vocabulary-mix", "{tmp}/text.txt"], "vocabulary_mix='{tmp}/text.txt': give PARTS:PATH, "),
    "mix without a path": (["--vocabulary-mix", "10:"], "vocabulary_mix='10:': give PARTS:PATH, "),
    "mix with parts that are no number": (
        ["--vocabulary-mix", "ten:corpus"],
        "vocabulary_mix='ten:corpus': give PARTS:PATH, with parts a number above 0",
    ),
    "mix with no part of something": (
        ["--vocabulary-mix", "10:corpus", "0:{tmp}/text.txt"],
        "vocabulary_mix='0:{tmp}/",
    ),
    "mix with a negative part": (["--vocabulary-mix=-1:corpus"], "vocabulary_mix='-1:corpus': give PARTS:PATH, with "),
    "mix with an absent path": (
        ["--vocabulary-mix", "10:corpus", "1:{tmp}/absent"],
        "vocabulary_mix='1:{tmp}/absent': no such file or folder: give ",
    ),
    "mix with a mistyped path": (
        ["--vocabulary-mix", "1:{tmp}/emty.txt"],
        "vocabulary_mix='1:{tmp}/emty.txt': no such file or folder: ",
    ),
    "mix with a path without text": (
        ["--vocabulary-mix", "1:{tmp}/empty.txt"],
        "vocabulary_mix='1:{tmp}/empty.txt': no text there, the files are empty",
    ),
    "mix with one text twice": (
        ["--vocabulary-mix", "1:{tmp}/text.txt", "2:{tmp}/text.txt"],
        "vocabulary_mix='{tmp}/text.txt': this text is in it already: add up its parts",
    ),
    "tracking": (
        ["--tracking-uri", "http://127.0.0.1:9"],
        "tracking_uri='http://127.0.0.1:9': does not answer (",
    ),
    "kind of tracking": (["--tracking-uri", "htp://host"], "tracking_uri='htp://host': start it with one of http://"),
    "store": (["--store", "{tmp}/empty.txt/store"], "store='{tmp}/empty.txt/store': "),
    "store that may not be made": (["--store", "/proc/t5grid"], "store='/proc/t5grid': "),
    "kind of store": (["--store", "s4://bucket"], "store='s4://bucket': "),
    "store without space": (
        ["--scale", "paper"],
        "store='{tmp}/store': needs 201.7 GB and its disk has 10.0 GB free; ",
    ),
}

REVIEWS = """
name: reviews
source: set
inputs: "review: {text}"
targets: "{label}"
labels: {label: [bad, good]}
metrics: [accuracy]
"""

RUNNER = """
import contextlib, io, json, shutil, sys
from collections import namedtuple
from orchestrator.commands.study import main
from studies.objectives import study
from studies.scales import SCALES

shutil.disk_usage = lambda path: namedtuple("usage", "total used free")(10**10, 0, 10**10)
results = {}
for name, argv in json.load(sys.stdin).items():
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(study(), SCALES, argv)
    results[name] = [code, out.getvalue(), err.getvalue(), [m for m in ("ray", "mlflow") if m in sys.modules]]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an empty folder, an empty file and two files that are no tasks in it."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "folder").mkdir()
    (folder / "wrong.yaml").write_text("nam: reviews\n")
    (folder / "cola.yaml").write_text(REVIEWS.replace("name: reviews", "name: glue_cola"))
    (folder / "empty.txt").write_text("")
    (folder / "text.txt").write_text("Some text. " * 20)
    return folder


@pytest.fixture(scope="module")
def answers(place: Path) -> dict[str, Any]:
    """What each bad command line came to, asked in one process: importing takes longer than refusing."""
    defaults = ["--store", f"{place}/store", "--tracking-uri", f"sqlite:///{place}/mlflow.db"]
    asked = {name: [*defaults, *(word.format(tmp=place) for word in argv)] for name, (argv, _) in REFUSED.items()}
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        input=json.dumps(asked),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_line_and_exit_code_2_before_ray_is_there(
    name: str, answers: dict[str, Any], place: Path
) -> None:
    code, out, err, started = answers[name]
    assert code == 2
    assert out == ""
    assert err.startswith("error: " + REFUSED[name][1].format(tmp=place)), err
    assert err.count("\n") == 1 and err.endswith("\n")
    assert started == []


def test_the_command_itself_leaves_with_code_2_and_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "studies/objectives.py", "--scale", "papr", "--json"],
        cwd=ROOT,
        env={**os.environ, "T5GRID_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: scale='papr': choose one of tiny, desk, mini, paper (did you mean 'paper'?)\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("argv", [["--lanes", "two"], ["--scail", "tiny"], ["stray"]])
def test_flags_that_cannot_be_read_are_exit_code_2_too(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(study(), SCALES, argv) == 2
    said = capsys.readouterr().err
    assert argv[0] in said and said.count("\n") == 1


def test_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("T5GRID_HOME", str(tmp_path / "home"))
    options = Options.parse(study().title, list(SCALES), [])
    assert options == Options(
        scale="tiny",
        rows="*",
        seeds="1",
        accelerator="auto",
        corpus=(),
        tasks=(),
        data_dir=None,
        train_examples=None,
        validation_examples=None,
        pretrain_steps=None,
        finetune_steps=None,
        inputs_length=None,
        targets_length=None,
        vocabulary_pieces=None,
        lanes=None,
        store=str(tmp_path / "home" / "store"),
        tracking_uri=f"sqlite:///{tmp_path / 'home' / 'mlflow.db'}",
        plan=False,
        json=False,
    )


def test_the_precision_is_decided_before_the_plan_and_counts_where_the_device_would_take_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def baseline(*flags: str) -> Experiment:
        return Options.parse(study().title, list(SCALES), list(flags)).scale_of(SCALES).baseline

    monkeypatch.setenv("RAY_ADDRESS", "http://elsewhere")  # where GPUs may be
    for unit, found in (("AMX", "bfloat16"), ("", None)):
        monkeypatch.setattr("t5core.devices.precision.matrix_unit", lambda unit=unit: unit)
        assert baseline("--accelerator", "cpu").precision is None  # the same at tiny on every machine
        assert baseline("--accelerator", "cpu", "--scale", "mini").precision == found
        assert baseline("--accelerator", "cpu", "--precision", "auto").precision == found
        assert baseline("--accelerator", "cpu", "--precision", "bfloat16").precision == "bfloat16"
        assert baseline("--accelerator", "cpu", "--precision", "float32", "--scale", "mini").precision is None
    # what GPUs computed in bfloat16, before there was a choice, keeps its keys
    assert baseline("--accelerator", "cuda", "--scale", "mini").precision is None
    assert baseline("--accelerator", "cuda", "--precision", "bfloat16").precision is None
    assert baseline("--accelerator", "cuda").precision == "float32"
    with pytest.raises(ConfigError, match=r"precision='fp16': choose one of auto, float32, bfloat16"):
        baseline("--precision", "fp16")


def test_flags_change_the_baseline_of_the_chosen_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "notes.txt").write_text("Some text to read. " * 12)
    monkeypatch.chdir(tmp_path)
    argv = ["--scale", "mini", "--corpus", "notes.txt", "--tasks", "doc_qa, doc_cloze,", "--vocabulary-pieces", "900"]
    options = Options.parse(study().title, list(SCALES), argv)
    assert options.corpus == (str(tmp_path / "notes.txt"),)  # workers have other working directories
    scale, before = options.scale_of(SCALES), SCALES["mini"]
    baseline = scale.baseline
    assert (scale.name, scale.purpose) == (before.name, before.purpose)
    assert (baseline.corpus.source, baseline.corpus.paths) == ("files", options.corpus)
    assert len(baseline.corpus.content) == 16
    assert baseline.tasks == before.baseline.tasks.replace(names=("doc_qa", "doc_cloze"))
    assert (baseline.vocabulary.num_pieces, baseline.model.vocab_size) == (900, 1000)
    assert (baseline.pretrain, baseline.finetune) == (before.baseline.pretrain, before.baseline.finetune)


def write_set(folder: Path, **counts: int) -> None:
    """Writes splits of so many rows each, good for every set whose labels are 0 and 1."""
    folder.mkdir(parents=True)
    for split, count in counts.items():
        rows = [json.dumps({"text": f"{split} {i}", "label": i % 2}) for i in range(count)]
        (folder / f"{split}.jsonl").write_text("\n".join(rows))


def baseline_of(tmp_path: Path, *argv: str) -> Experiment:
    """The tiny baseline on a corpus that is quick to identify."""
    (tmp_path / "notes.txt").write_text("Some text to read. " * 12)
    options = Options.parse(study().title, list(SCALES), ["--corpus", str(tmp_path / "notes.txt"), *argv])
    return options.scale_of(SCALES).baseline


def test_a_mix_of_texts_for_the_vocabulary_may_hold_the_studys_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("A folder that is called corpus. " * 8)
    (tmp_path / "german.txt").write_text("Ein deutscher Text. " * 12)
    monkeypatch.chdir(tmp_path)
    own, german, folder = baseline_of(
        tmp_path, "--vocabulary-mix", "10:corpus", "0.5:german.txt", "1:./corpus"
    ).vocabulary_mix
    assert (own.corpus, own.parts) == (None, 10)
    assert german.corpus is not None and folder.corpus is not None
    assert (german.corpus.paths, german.parts) == ((str(tmp_path / "german.txt"),), 0.5)
    assert folder.corpus.paths == (str(tmp_path / "corpus"),)
    assert len({german.corpus.content, folder.corpus.content}) == 2 and len(german.corpus.content) == 16
    with pytest.raises(ConfigError, match=r"1:.*corpsu.*\(did you mean 'corpus'\?\)"):
        baseline_of(tmp_path, "--vocabulary-mix", "1:corpsu")


def test_steps_lengths_and_numbers_of_examples_replace_the_scales(tmp_path: Path) -> None:
    before = baseline_of(tmp_path)
    steps = ["--pretrain-steps", "700", "--finetune-steps", "300"]
    lengths = ["--inputs-length", "77", "--targets-length", "9"]
    after = baseline_of(tmp_path, *steps, *lengths, "--train-examples", "50", "--validation-examples", "20")
    assert after == before.replace(
        pretrain=before.pretrain.replace(steps=700),
        finetune=before.finetune.replace(steps=300, inputs_length=77, targets_length=9),
        decode=before.decode.replace(max_new_tokens=9),
        tasks=before.tasks.replace(train_examples=50, validation_examples=20),
    )
    for flag, changed in (
        (steps[:2], before.replace(pretrain=before.pretrain.replace(steps=700))),
        (lengths[:2], before.replace(finetune=before.finetune.replace(inputs_length=77))),
        (["--validation-examples", "3"], before.replace(tasks=before.tasks.replace(validation_examples=3))),
    ):
        assert baseline_of(tmp_path, *flag) == changed


def test_tasks_may_be_a_users_file_beside_others_with_sets_in_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_set(tmp_path / "own" / "set", train=4, validation=2)
    write_set(tmp_path / "data" / "cola", train=6, validation=3)
    (tmp_path / "own" / "task.yaml").write_text(REVIEWS)
    monkeypatch.chdir(tmp_path / "own")
    monkeypatch.setenv("HOME", str(tmp_path))
    tasks = baseline_of(tmp_path, "--tasks", "task.yaml, glue_cola,doc_qa", "--data-dir", "~/data").tasks
    assert (tasks.names, tasks.files, tasks.data_dir) == (
        ("doc_qa", "glue_cola", "reviews"),
        (str(tmp_path / "own" / "task.yaml"),),  # workers have other working directories
        str(tmp_path / "data"),
    )
    counts = {c.name: (c.train_examples, c.validation_examples, c.definition != "") for c in tasks.content}
    assert counts == {"glue_cola": (6, 3, False), "reviews": (4, 2, True)}
    again = baseline_of(tmp_path, "--tasks", "doc_qa,glue_cola,task.yaml", "--data-dir", "../data").tasks
    assert again.fingerprint() == tasks.fingerprint()


def test_a_group_stands_for_its_tasks(tmp_path: Path) -> None:
    pairs = {"cola": 10, "sst2": 11, "mrpc": 12, "qqp": 13, "stsb": 14, "mnli": 15, "qnli": 16, "glue_rte": 17}
    for name, count in pairs.items():
        write_set(tmp_path / "data" / name, train=count, validation=5)
    write_set(tmp_path / "data" / "mnli_mismatched", validation=7)
    tasks = baseline_of(tmp_path, "--tasks", "glue", "--data-dir", str(tmp_path / "data")).tasks
    assert {c.name: (c.train_examples, c.validation_examples) for c in tasks.content} == {
        **{f"glue_{name.removeprefix('glue_')}": (count, 5) for name, count in pairs.items()},
        "glue_mnli_mismatched": (0, 7),
    }
    assert tasks.names == tuple(c.name for c in tasks.content) and len(tasks.names) == 9
    assert tasks.train_examples == SCALES["tiny"].baseline.tasks.train_examples


def test_without_flags_only_the_corpus_is_identified() -> None:
    baseline = Options.parse(study().title, list(SCALES), []).scale_of(SCALES).baseline
    assert len(baseline.corpus.content) == 16
    assert baseline.replace(corpus=baseline.corpus.replace(content="")) == SCALES["tiny"].baseline


def test_xla_without_torch_xla_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^accelerator='xla': install torch-xla"):
        Options.parse(study().title, list(SCALES), ["--accelerator", "xla"]).scale_of(SCALES)


def test_a_corpus_may_have_addresses_and_paths_become_absolute() -> None:
    given = ["s3://bucket/in/*.warc.gz", "file:///data/a.txt", "notes"]
    options = Options.parse("t", tuple(SCALES), ["--corpus", *given])
    assert options.corpus == ("s3://bucket/in/*.warc.gz", "/data/a.txt", str(Path("notes").absolute()))


def test_a_reader_of_the_plan_may_leave(tmp_path: Path) -> None:
    flags = [sys.executable, "studies/objectives.py", "--scale", "tiny", "--plan", "--store", str(tmp_path / "store")]
    reading, writing = os.pipe()
    os.close(reading)  # before a word is written, as a `head` that has ended
    done = subprocess.run(flags, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")
