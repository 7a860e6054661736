"""Keys: what they depend on and what not; plans: each stage once, each after what it reads."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import micro_study
import pytest

from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.kinds import KINDS, Revision
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from t5core.config import (
    CorpusConfig,
    DecodeConfig,
    LikelihoodConfig,
    MixtureConfig,
    ModelConfig,
    ObjectiveConfig,
    ScheduleConfig,
    TasksConfig,
    TrainConfig,
    VocabularyConfig,
)
from t5core.errors import ConfigError

ROLES = ("corpus", "vocabulary", "tasks", "tokens", "pretrain", "finetune", "evaluate", "likelihood")
BEHIND_VOCABULARY = set(ROLES) - {"corpus", "tasks"}


def baseline() -> Experiment:
    """An experiment of which every field is written down here, so that its keys change with code alone."""
    return Experiment(
        corpus=CorpusConfig(content="c0ffee"),
        vocabulary=VocabularyConfig(),
        objective=ObjectiveConfig(),
        model=ModelConfig(),
        pretrain=TrainConfig(),
        tasks=TasksConfig(names=("doc_qa", "doc_cloze")),
        finetune=TrainConfig(
            steps=2**18, targets_length=512, schedule=ScheduleConfig(kind="constant", learning_rate=0.001)
        ),
        decode=DecodeConfig(),
    )


def changed_roles(change: Callable[[Experiment], Experiment]) -> set[str]:
    """Returns the roles whose keys a change of the baseline changes."""
    before, after = stages_of(baseline(), "row"), stages_of(change(baseline()), "row")
    assert list(before) == list(after)
    return {role for role in before if before[role].key != after[role].key}


def test_keys_are_what_they_were() -> None:
    """Stores outlive code: if this fails, whatever is stored under the old keys is trained again.

    So either the change was not meant to change results, and should not change keys, or it was, and the stage's
    version in KINDS goes up together with the keys below, or a revision changes those of the configs it touches.
    """
    keys = {role: stage.key for role, stage in stages_of(baseline(), "row").items()}
    assert {role: keys[role] for role in ("corpus", "pretrain", "evaluate", "likelihood")} == {
        "corpus": "4c77c6654251d1f8",
        "pretrain": "5e4a9e9d3a91c9b9",
        "evaluate": "9d1570559e440070",
        "likelihood": "70c729679ea4afae",
    }


def test_what_a_device_would_not_compute_in_by_itself_is_part_of_what_is_computed() -> None:
    assert changed_roles(lambda e: e.replace(precision="bfloat16")) == {
        "pretrain",
        "finetune",
        "evaluate",
        "likelihood",
    }
    assert stages_of(baseline().replace(precision="bfloat16"), "row")["pretrain"].config["precision"] == "bfloat16"


@pytest.mark.parametrize(
    ("mean_span_length", "expected"),
    [
        (None, {48: "2deed0744cf348ad", 256: "c3502c88489e3bd7", 512: "5e4a9e9d3a91c9b9"}),
        (2.0, {48: "3d8c1d604d30af92", 256: "32984df2463aa38b", 512: "22b9689882f5c209"}),
        (3.0, {48: "bdafb59f7515abc0", 256: "0b15412eb0bb964d", 512: "5e6621e39594eed3"}),
        (10.0, {48: "81c3f5defb8cd3f7", 256: "1a2614a0d4b1ede7", 512: "c4868cd708243e46"}),
        # by a revision: one token of text less than in the first release
        (1.0, {48: "ab275796ac0ac9bd", 256: "0c4906a06a7614c3", 512: "876a136ead2dbe4a"}),
    ],
)
def test_keys_of_pre_trainings_are_what_they_were(mean_span_length: float | None, expected: dict[int, str]) -> None:
    keys = {}
    for inputs_length in expected:  # of the scales tiny, mini and paper
        e = baseline().replace(objective=ObjectiveConfig(mean_noise_span_length=mean_span_length))
        e = e.replace(pretrain=e.pretrain.replace(inputs_length=inputs_length))
        keys[inputs_length] = stages_of(e, "row")["pretrain"].key
    assert keys == expected


def test_a_revision_changes_the_keys_of_what_it_touches_and_of_what_reads_that(monkeypatch: pytest.MonkeyPatch) -> None:
    touched, other = baseline().replace(objective=ObjectiveConfig(kind="deshuffling")), baseline()
    before = [stages_of(e, "row") for e in (touched, other)]
    revision = Revision(name="trial", touches=lambda config: config["objective"]["kind"] == "deshuffling")
    kind = KINDS["pretrain"]
    revised = {**KINDS, "pretrain": replace(kind, revisions=(*kind.revisions, revision))}
    monkeypatch.setattr("orchestrator.plan.stage.KINDS", revised)
    after = [stages_of(e, "row") for e in (touched, other)]
    changed = [{role for role in old if old[role].key != new[role].key} for old, new in zip(before, after, strict=True)]
    assert changed == [{"pretrain", "finetune", "evaluate", "likelihood"}, set()]
    assert after[0]["pretrain"].revisions == ("trial",)


def test_a_key_is_the_hash_of_kind_version_config_and_input_keys() -> None:
    corpus = Stage.of("corpus", "text", corpus=CorpusConfig(content="c0ffee"))
    stage = Stage.of("tokens", "text", inputs={"corpus": corpus}, seed=0)
    identity = {
        "config": {"seed": 0},
        "inputs": {"corpus": corpus.key},
        "kind": "tokens",
        "version": KINDS["tokens"].version,
    }
    text = json.dumps(identity, separators=(",", ":"), sort_keys=True)
    assert stage.key == hashlib.sha256(text.encode()).hexdigest()[:16]
    assert stage.folder == f"tokens/text-{stage.key}"


def test_the_same_experiment_has_the_same_keys_through_json_and_from_any_row() -> None:
    again = Experiment.from_json(baseline().to_json())
    assert again == baseline()
    here, there = stages_of(baseline(), "row"), stages_of(again, "another-row")
    assert {role: stage.key for role, stage in here.items()} == {role: stage.key for role, stage in there.items()}
    assert here["pretrain"].name == "row-seed0" and there["pretrain"].name == "another-row-seed0"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda e: e.replace(corpus=e.corpus.replace(content="decaf")), set(ROLES)),
        (lambda e: e.replace(corpus=e.corpus.replace(min_chars=100)), set(ROLES)),
        (lambda e: e.replace(vocabulary=e.vocabulary.replace(num_pieces=31_000)), BEHIND_VOCABULARY),
        (
            lambda e: e.replace(tasks=e.tasks.replace(train_examples=10)),
            {"tasks", "finetune", "evaluate", "likelihood"},
        ),
        (lambda e: e.replace(tasks=e.tasks.replace(seed=1)), {"tasks", "finetune", "evaluate", "likelihood"}),
        (
            lambda e: e.replace(objective=ObjectiveConfig(noise_density=0.25)),
            {"pretrain", "finetune", "evaluate", "likelihood"},
        ),
        (lambda e: e.replace(model=e.model.replace(d_ff=64)), {"pretrain", "finetune", "evaluate", "likelihood"}),
        (
            lambda e: e.replace(model=e.model.replace(attention_init="guided")),
            {"pretrain", "finetune", "evaluate", "likelihood"},
        ),
        (lambda e: e.replace(pretrain=e.pretrain.replace(steps=7)), {"pretrain", "finetune", "evaluate", "likelihood"}),
        (
            lambda e: e.replace(
                pretrain=e.pretrain.replace(optimizer=e.pretrain.optimizer.replace(decay_exponent=0.7))
            ),
            {"pretrain", "finetune", "evaluate", "likelihood"},
        ),
        (
            lambda e: e.replace(pretrain=e.pretrain.replace(average_last=4, average_every=9)),
            {"pretrain", "finetune", "evaluate", "likelihood"},
        ),
        (lambda e: e.replace(seed=1), {"pretrain", "finetune", "evaluate", "likelihood"}),
        (lambda e: e.replace(finetune=e.finetune.replace(dropout_rate=0.0)), {"finetune", "evaluate", "likelihood"}),
        (lambda e: e.replace(finetune=e.finetune.replace(inputs_length=64)), {"finetune", "evaluate", "likelihood"}),
        (lambda e: e.replace(finetune=e.finetune.replace(fresh_moments=True)), {"finetune", "evaluate", "likelihood"}),
        (
            lambda e: e.replace(finetune=e.finetune.replace(keep_last=3, keep_every=9)),
            {"finetune", "evaluate", "likelihood"},
        ),
        (lambda e: e.replace(decode=e.decode.replace(max_new_tokens=3)), {"evaluate"}),
    ],
)
def test_what_determines_a_result_changes_its_key_and_those_behind_it(
    change: Callable[[Experiment], Experiment], expected: set[str]
) -> None:
    assert changed_roles(change) == expected


def test_without_pre_training_moments_are_fresh_as_they_are() -> None:
    none = baseline().replace(objective=None)
    fresh = none.replace(finetune=none.finetune.replace(fresh_moments=True))
    assert stages_of(fresh, "row")["evaluate"].key == stages_of(none, "row")["evaluate"].key


def test_moments_that_nothing_was_carried_into_cannot_be_asked_to_be_fresh() -> None:
    with pytest.raises(
        ConfigError, match=r"^pretrain\.fresh_moments=True: there are none to carry over into pre-train"
    ):
        baseline().replace(pretrain=baseline().pretrain.replace(fresh_moments=True))


def test_likelihoods_are_taken_of_all_weights_that_the_last_training_keeps() -> None:
    kept = baseline().replace(finetune=baseline().finetune.replace(steps=700, keep_last=3, keep_every=35))
    stages = stages_of(kept, "row")
    assert stages["likelihood"].config["likelihood"] == {"max_target_tokens": 1024, "also_at": [630, 665]}
    assert stages["finetune"].config["train"]["keep_last"] == 3
    assert "keep_last" not in stages["pretrain"].config["train"]
    together = kept.replace(pretrain=TrainConfig(steps=300), multitask=MixtureConfig(unsupervised=9.0))
    for parts, ends in ((1, [930, 965]), (2, [430, 465])):  # of its own steps
        stages = stages_of(together.replace(parts=parts), "row")
        assert stages["likelihood"].settings["likelihood"]["also_at"] == ends
        assert [s.settings["train"]["keep_last"] for s in stages.values() if s.trains] == [None] * (parts - 1) + [3]


def test_weights_of_a_pre_training_are_not_kept() -> None:
    with pytest.raises(ConfigError, match=r"^pretrain\.keep_last=3: likelihoods are of what is trained last, also in"):
        baseline().replace(pretrain=baseline().pretrain.replace(keep_last=3, keep_every=9))


@pytest.mark.parametrize("steps", [(0, 5), (5, 5), (9, 5)])
def test_steps_that_likelihoods_are_taken_at_ascend(steps: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"^also_at=.*: give steps from 1 on, ascending, each once$"):
        LikelihoodConfig(also_at=steps)


@pytest.mark.parametrize(
    "change",
    [
        lambda e: e.replace(pretrain=e.pretrain.replace(log_every=1, checkpoint_every=3)),
        lambda e: e.replace(finetune=e.finetune.replace(log_every=1, checkpoint_every=3)),
        lambda e: e.replace(corpus=e.corpus.replace(paths=("/elsewhere",))),
        lambda e: e.replace(decode=e.decode.replace(batch_size=7)),  # of likelihoods, too
    ],
)
def test_what_only_changes_how_a_run_is_watched_changes_no_key(change: Callable[[Experiment], Experiment]) -> None:
    assert changed_roles(change) == set()


def test_name_settings_and_cost_do_not_count_and_kind_version_and_roles_do(monkeypatch: pytest.MonkeyPatch) -> None:
    values: dict[str, Any] = {"config": {"a": 1}, "settings": {"a": 1}, "inputs": {"left": "0" * 16, "right": "1" * 16}}
    stage = Stage(kind="tokens", name="x", **values)
    assert Stage(kind="tokens", name="y", **{**values, "settings": {"a": 1, "log": 2}}, cost=5.0).key == stage.key
    backwards = {"right": "1" * 16, "left": "0" * 16}
    assert Stage(kind="tokens", name="x", **{**values, "inputs": backwards}).key == stage.key
    swapped = {"left": "1" * 16, "right": "0" * 16}
    assert Stage(kind="tokens", name="x", **{**values, "inputs": swapped}).key != stage.key
    assert Stage(kind="tasks", name="x", **values).key != stage.key
    monkeypatch.setattr("orchestrator.plan.stage.KINDS", {**KINDS, "tokens": replace(KINDS["tokens"], version=99)})
    assert Stage(kind="tokens", name="x", **values).key != stage.key


def test_every_kind_has_a_version_and_only_training_and_evaluation_take_a_device() -> None:
    stages = stages_of(baseline(), "row")
    assert tuple(stages) == ROLES and set(KINDS) == {*ROLES, "init", "multitask"}
    assert all(role == stage.kind for role, stage in stages.items())
    assert {role for role, stage in stages.items() if stage.accelerated} == {
        "pretrain",
        "finetune",
        "evaluate",
        "likelihood",
    }
    assert stages["pretrain"].settings["train"]["log_every"] == 20
    assert "log_every" not in stages["pretrain"].config["train"]


def test_without_an_objective_fine_tuning_starts_from_random_weights() -> None:
    stages = stages_of(baseline().replace(objective=None), "none")
    assert set(stages) == set(ROLES) - {"tokens", "pretrain"}
    assert set(stages["finetune"].inputs) == {"tasks", "vocabulary"}
    assert set(stages_of(baseline(), "row")["finetune"].inputs) == {"tasks", "vocabulary", "pretrain"}


def test_a_seed_changes_training_and_leaves_text_and_tasks_alone() -> None:
    stages = stages_of(baseline().replace(pretrain=TrainConfig(seed=10), seed=2), "row")
    assert stages["pretrain"].settings["train"]["seed"] == 12
    assert stages["finetune"].settings["train"]["seed"] == 2
    assert stages["pretrain"].name == "row-seed2"


def test_a_plan_holds_each_stage_once_and_after_what_it_reads() -> None:
    objectives = {"a": ObjectiveConfig(), "b": ObjectiveConfig(kind="deshuffling"), "c": None}
    rows = [
        (PlannedRow(name=name, label=name), stages_of(baseline().replace(objective=o), name))
        for name, o in objectives.items()
    ]
    plan = Plan.of("trial", "some", rows)
    # corpus, vocabulary, tasks and tokens once; two pre-trainings; three times fine-tuning and what looks at it
    assert plan.shared() == (8 + 8 + 6, 4 + 2 + 9)
    order = list(plan.stages)
    for key, stage in plan.stages.items():
        assert stage.key == key
        assert all(order.index(read) < order.index(key) for read in stage.inputs.values())
    a, b, c = plan.rows
    assert (a.name, a.seed, a.label) == ("a", 0, "a")
    assert plan.rows_of(a.stages["corpus"]) == (a, b, c)
    assert plan.rows_of(a.stages["tokens"]) == (a, b)
    assert plan.rows_of(b.stages["finetune"]) == (b,)
    assert len({a.key, b.key, c.key}) == 3


def test_a_plan_refuses_a_stage_before_its_inputs() -> None:
    stages = stages_of(baseline(), "row")
    backwards = dict(reversed(stages.items()))
    with pytest.raises(AssertionError, match="comes before its inputs"):
        Plan.of("trial", "some", [(PlannedRow(name="row", label="Row"), backwards)])


def test_moving_a_corpus_of_files_changes_no_key(tmp_path: Path) -> None:
    from t5core.corpora import identify

    keys = []
    for folder in (tmp_path / "here", tmp_path / "there"):
        folder.mkdir()
        corpus = micro_study.experiment(micro_study.write_documents(folder / f"{folder.name}.jsonl", 5)).corpus
        keys.append(Stage.of("corpus", "files", corpus=identify(corpus)).key)
    assert keys[0] == keys[1]
