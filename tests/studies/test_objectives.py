"""The objectives study: thirteen objectives and one row without, each with the paper's numbers."""

import json
import socket
from pathlib import Path

import pytest

from orchestrator.commands.study import main
from orchestrator.plan.rates import Rates
from orchestrator.plan.study import plan_of
from studies.objectives import study
from studies.paper import baseline_standard_deviation, paper_table
from studies.scales import SCALES
from t5core.config import ObjectiveConfig
from t5core.tasks import EMBEDDED_TASKS, judged, tasks_of

C4_COMMIT = "1588ec454efa1a09f29cd18ddd04fe05fc8653a2"
PAPER_KEYS = {"corpus": "121110b06faba088", "tasks": "043a232a86e455fd", "vocabulary": "91d436cb2c2ef8fa"}
ROWS = {row.name: row for row in study().rows}


def test_fourteen_rows_thirteen_objectives() -> None:
    assert list(ROWS) == [
        "replace-spans",
        "prefix-lm",
        "bert",
        "deshuffle",
        "mass",
        "drop",
        "rate-10",
        "rate-25",
        "rate-50",
        "span-2",
        "span-3",
        "span-5",
        "span-10",
        "no-pretraining",
    ]
    objectives = [row.changes["objective"] for row in ROWS.values()]
    assert objectives[0] == ObjectiveConfig() and objectives[-1] is None
    assert len({objective.to_json() for objective in objectives[:-1]}) == 13
    assert all(set(row.changes) == {"objective"} for row in ROWS.values())
    assert study().baseline == "replace-spans"


@pytest.mark.parametrize(
    ("name", "table", "glue", "squad"),
    [
        ("replace-spans", 5, 83.28, 80.88),
        ("prefix-lm", 4, 80.69, 77.99),
        ("deshuffle", 4, 73.17, 67.61),
        ("drop", 5, 84.44, 80.52),
        ("rate-50", 6, 81.27, 79.80),
        ("span-3", 7, 83.49, 81.84),
        ("no-pretraining", 1, 66.22, 50.31),
    ],
)
def test_rows_carry_the_published_numbers(name: str, table: int, glue: float, squad: float) -> None:
    row = ROWS[name]
    assert (row.paper["GLUE"], row.paper["SQuAD"]) == (glue, squad)
    assert row.paper_cell.startswith(f"Table {table}, ")
    assert row.paper == paper_table(table).row(row.paper_cell.partition(", ")[2]).scores


def test_each_row_varies_what_the_papers_row_did() -> None:
    """The row's config, not its name, is held against what Tables 4 to 7 say was run; all their rows are there."""
    kinds = {"iid_replace_spans": "replace_spans", "random_spans": "replace_spans", "iid_drop_tokens": "drop_tokens"}
    published: dict[tuple[str, float | None, float | None], list[float]] = {}
    for number in (4, 5, 6, 7):
        for row in paper_table(number).rows:
            kind = kinds.get(row.config["objective"], row.config["objective"])
            rate = None if kind in ("prefix_lm", "deshuffling") else row.config["corruption_rate"]
            what = (kind, rate, row.config.get("mean_span_length"))
            assert published.setdefault(what, list(row.scores.values())) == list(row.scores.values())
    ours = {}
    for row in ROWS.values():
        objective = row.changes["objective"]
        if objective is not None:
            rate = None if objective.kind in ("prefix_lm", "deshuffling") else objective.noise_density
            ours[objective.kind, rate, objective.mean_noise_span_length] = list(row.paper.values())
    assert len(ours) == 13 and ours == published


def test_the_papers_noise_comes_with_the_study() -> None:
    assert study().baseline_sd == baseline_standard_deviation()
    assert study().baseline_sd["GLUE"] == 0.235
    assert {task.paper_column for task in EMBEDDED_TASKS} <= set(study().baseline_sd)
    assert all({task.paper_column for task in EMBEDDED_TASKS} <= set(row.paper) for row in ROWS.values())


@pytest.mark.parametrize("scale", SCALES)
def test_thirteen_pre_trainings_share_one_preparation_at_every_scale(scale: str) -> None:
    plan = plan_of(study(), SCALES[scale])
    kinds = [stage.kind for stage in plan.stages.values()]
    others = len(SCALES[scale].baseline.vocabulary_mix[1:])  # texts that the vocabulary alone is trained on
    parts = 7 if scale == "paper" else 1  # GLUE, SuperGLUE and each other task are fine-tuned apart
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "corpus": 1 + others,
        "vocabulary": 1,
        "tasks": 1,
        "tokens": 1,
        "pretrain": 13,
        "finetune": 14 * parts,
        "evaluate": 14 * parts,
        "likelihood": 14 * parts,
    }
    assert plan.shared() == (13 * 5 + 3 + 14 * (3 * parts + others), 17 + 42 * parts + others) and others in (0, 3)


def test_three_learning_rates_share_the_preparation_and_hold_the_study_without_them() -> None:
    scale = SCALES["tiny"]
    plan = plan_of(study(), scale, 2, rates=Rates.parse("0.5x,1x,2x"))
    kinds = [stage.kind for stage in plan.stages.values()]
    assert (kinds.count("tokens"), kinds.count("pretrain"), kinds.count("finetune")) == (1, 13 * 6, 14 * 6)
    assert plan.at(1.0) == plan_of(study(), scale, 2)
    without = [plan.by_role(row)["finetune"] for row in plan.rows if row.name == "no-pretraining" and row.seed == 0]
    assert [stage.config["train"]["schedule"]["learning_rate"] for stage in without] == [0.01, 0.02, 0.04]


@pytest.mark.parametrize("scale", SCALES)
def test_no_revision_touches_a_row_of_the_table(scale: str) -> None:
    """What is stored of them stays valid; text that is not embedded has been split at sentences of any script since."""
    stages = plan_of(study(), SCALES[scale]).stages.values()
    assert {stage.revisions for stage in stages if stage.kind not in ("corpus", "tasks")} == {()}
    clozes = {"doc_cloze"} & set(SCALES[scale].baseline.tasks.names)
    assert {stage.revisions for stage in stages if stage.kind == "tasks"} == {("cloze-gaps",) if clozes else ()}
    corpora = {stage.revisions for stage in stages if stage.kind == "corpus"}
    assert corpora == {() if SCALES[scale].baseline.corpus.source == "embedded" else ("any-script",)}


@pytest.mark.parametrize("scale", SCALES)
def test_at_every_scale_the_vocabulary_fits_the_model(scale: str) -> None:
    baseline = SCALES[scale].baseline
    assert baseline.vocabulary.size <= baseline.model.vocab_size
    assert baseline.finetune.targets_length is not None


@pytest.mark.parametrize("scale", ["tiny", "mini"])
def test_the_small_scales_need_no_data_but_the_installed_packages(scale: str) -> None:
    baseline = SCALES[scale].baseline
    assert baseline.corpus.source == "embedded"
    assert set(baseline.tasks.names) <= {task.name for task in EMBEDDED_TASKS} and len(baseline.tasks.names) >= 5


def test_the_paper_scale_is_the_papers() -> None:
    baseline = SCALES["paper"].baseline
    assert (baseline.pretrain.steps, baseline.finetune.steps) == (2**19, 2**18)
    assert baseline.pretrain.batch_size * baseline.pretrain.inputs_length == 2**16
    assert (baseline.vocabulary.num_pieces, baseline.model.vocab_size) == (32_000, 32_128)
    assert (baseline.model.d_model, baseline.model.num_encoder_layers, baseline.model.num_decoder_layers) == (
        768,
        12,
        12,
    )
    assert baseline.pretrain.dropout_rate == baseline.finetune.dropout_rate == 0.1
    assert baseline.corpus.paths == (f"hf:allenai/c4:en:train@{C4_COMMIT}",)
    tasks = tasks_of(baseline.tasks)
    columns = {"GLUE", "SGLUE", "SQuAD", "CNNDM", "EnDe", "EnFr", "EnRo"}
    assert {task.paper_column for task in judged(tasks).values()} == columns
    assert "dpr" in tasks and not any(task.embedded for task in tasks.values())
    assert (baseline.finetune.inputs_length, baseline.finetune.targets_length) == (512, 512)
    assert (baseline.finetune.schedule.kind, baseline.finetune.schedule.learning_rate) == ("constant", 0.001)


def test_the_papers_plan_is_the_same_everywhere_and_asks_no_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No hub is asked and no machine looked at: keys follow from what a scale names by default."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    flags = ["--scale", "paper", "--rows", "span-3", "--plan", "--json", "--store", str(tmp_path / "store")]
    assert main(study(), SCALES, flags) == 0
    plan = json.loads(capsys.readouterr().out)
    assert {kind: plan["rows"][0]["stages"][kind] for kind in ("corpus", "tasks", "vocabulary")} == PAPER_KEYS
    assert plan["data"][0] == f"hf:allenai/c4:en:train@{C4_COMMIT}"
    assert plan["data"][1:4] == [f"hf:allenai/c4:{name}:validation@{C4_COMMIT}" for name in ("de", "fr", "ro")]
    assert "wmt_en_ro (on the hub, or in files of your own)" in plan["data"][4]
