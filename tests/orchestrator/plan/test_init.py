"""Experiments that start from a checkpoint: which stages they have, what those are known by, and what is refused."""

import micro_study
import pytest

from orchestrator.plan.cost import stage_cost
from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.rates import Rates, at_rate
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import AS_IT_IS, Row, Scale, Study, plan_of
from t5core.config import (
    CorpusConfig,
    GivenVocabulary,
    InitConfig,
    MixtureConfig,
    ModelConfig,
    ObjectiveConfig,
    ScheduleConfig,
)
from t5core.errors import ConfigError

MODEL = ModelConfig(
    vocab_size=512, d_model=24, d_kv=8, d_ff=40, num_heads=3, num_encoder_layers=2, num_decoder_layers=2
)
INIT = InitConfig(
    source="/models/ours/final",
    content="c0ffee",
    model=MODEL,
    vocabulary=GivenVocabulary(content="decaf", num_pieces=400, num_sentinels=100, source="/models/ours/final"),
)
EVERYWHERE = MixtureConfig(kind="equal", unsupervised=9.0)


def experiment(tmp_path, **changes) -> Experiment:
    baseline = micro_study.experiment(tmp_path / "text.jsonl").replace(objective=ObjectiveConfig())
    return baseline.replace(**{"init": INIT, "model": MODEL, **changes})


def roles_read(stages: dict[str, Stage], role: str) -> set[str]:
    by_key = {stage.key: name for name, stage in stages.items()}
    return {by_key[key] for key in stages[role].inputs.values()}


def test_a_checkpoint_takes_the_place_of_pre_training_and_its_vocabulary_of_one_that_is_trained(tmp_path):
    stages = stages_of(experiment(tmp_path), "row")
    assert list(stages) == ["corpus", "vocabulary", "init", "tasks", "finetune", "evaluate", "likelihood"]
    assert roles_read(stages, "finetune") == {"tasks", "vocabulary", "init"}
    assert roles_read(stages, "vocabulary") == roles_read(stages, "init") == set()
    assert stages["init"].name == "ours" and stages["vocabulary"].name == "400-pieces"
    assert stages["finetune"].settings["model"] == MODEL.to_dict()


def test_no_text_is_read_where_tasks_have_data_of_their_own(tmp_path):
    e = experiment(tmp_path)
    own = e.replace(tasks=e.tasks.replace(names=("glue_cola",)))
    assert "corpus" not in stages_of(own, "row") and "tokens" not in stages_of(own, "row")
    assert "corpus" in stages_of(own.replace(further=True), "row")
    assert "corpus" in stages_of(own.replace(multitask=EVERYWHERE), "row")
    assert "corpus" in stages_of(own.replace(init=None), "row")


def test_further_pre_training_goes_on_from_it_with_fresh_moments_and_its_own_schedule(tmp_path):
    stages = stages_of(experiment(tmp_path, further=True), "row")
    assert roles_read(stages, "pretrain") == {"tokens", "vocabulary", "init"}
    assert roles_read(stages, "finetune") == {"tasks", "vocabulary", "pretrain"}
    scratch = stages_of(experiment(tmp_path, init=None), "row")
    assert stages["pretrain"].config["train"] == scratch["pretrain"].config["train"]


def test_without_pre_training_there_are_random_weights_of_its_sizes_and_its_vocabulary(tmp_path):
    stages = stages_of(experiment(tmp_path, objective=None), "row")
    assert "init" not in stages and stages["finetune"].settings["model"] == MODEL.to_dict()
    assert stages["vocabulary"].config["given"]["content"] == "decaf"


def test_multi_task_training_starts_there_as_long_as_fine_tuning_and_at_its_schedule(tmp_path):
    e = experiment(tmp_path, multitask=EVERYWHERE, parts=2, seed=3)
    stages = stages_of(e, "row")
    assert roles_read(stages, "multitask1") == {"tokens", "tasks", "vocabulary", "init"}
    assert roles_read(stages, "multitask2") == {"tokens", "tasks", "vocabulary", "multitask1"}
    assert e.multitask_train == e.finetune.replace(seed=3)
    further = stages_of(e.replace(further=True), "row")
    assert roles_read(further, "multitask1") == {"tokens", "tasks", "vocabulary", "init"}
    assert e.replace(further=True).multitask_train.steps == e.pretrain.steps + e.finetune.steps


def test_a_mixture_before_fine_tuning_starts_there_with_and_without_text(tmp_path):
    for objective in (ObjectiveConfig(), None):
        mixture = EVERYWHERE if objective else MixtureConfig(kind="equal")
        e = experiment(tmp_path, objective=objective, multitask=mixture, then_finetune=True)
        for stages in (stages_of(e, "row"), stages_of(e.replace(further=True), "row")):
            assert "init" in roles_read(stages, "multitask")
            assert roles_read(stages, "finetune") == {"tasks", "vocabulary", "multitask"}
            assert ("tokens" in stages) == (objective is not None)
        assert e.multitask_train == e.finetune
        assert e.replace(further=True).multitask_train.steps == e.pretrain.steps


def test_each_part_of_a_row_is_fine_tuned_from_it(tmp_path):
    e = experiment(tmp_path, finetuning="apart")
    stages = stages_of(e, "row")
    parts = [role for role, stage in stages.items() if stage.kind == "finetune"]
    assert parts == [f"finetune:{name}" for name in e.tasks.names]
    assert all(roles_read(stages, part) == {"tasks", "vocabulary", "init"} for part in parts)
    plan = plan_of(study(), Scale(name="micro", purpose="", baseline=e))
    assert len(plan.rows) == 2


def test_a_schedule_over_the_run_is_not_cut_there_either(tmp_path):
    e = experiment(tmp_path)
    linear = e.finetune.replace(schedule=ScheduleConfig(kind="linear"))
    with pytest.raises(ConfigError, match=r"^schedule='linear': it is laid over a whole run"):
        e.replace(finetune=linear, multitask=EVERYWHERE, parts=2)
    assert e.replace(finetune=linear, multitask=EVERYWHERE, parts=2, further=True).parts == 2


def test_the_content_counts_and_the_place_does_not(tmp_path):
    before = stages_of(experiment(tmp_path), "row")
    moved = INIT.replace(source="hf:ann/t5@0", vocabulary=INIT.vocabulary.replace(source="hf:ann/t5@0", rows=3))
    for init, expected in (
        (moved, set()),
        (INIT.replace(content="decaf"), {"init", "finetune", "evaluate", "likelihood"}),
        (INIT.replace(vocabulary=INIT.vocabulary.replace(content="x")), set(before) - {"corpus", "tasks"}),
    ):
        after = stages_of(experiment(tmp_path, init=init), "row")
        assert {role for role in before if before[role].key != after[role].key} == expected
    assert stages_of(experiment(tmp_path, init=moved), "row")["init"].name == "t5"


def test_checkpoints_of_one_vocabulary_share_it_and_the_tokens_of_a_text(tmp_path):
    other = INIT.replace(content="other", model=MODEL.replace(d_ff=64))
    one = stages_of(experiment(tmp_path, further=True), "row")
    two = stages_of(experiment(tmp_path, init=other, model=other.model, further=True), "row")
    same = {role for role in one if one[role].key == two[role].key}
    assert same == {"corpus", "vocabulary", "tasks", "tokens"}


def test_adapters_are_put_into_it(tmp_path):
    e = experiment(tmp_path, model=MODEL.replace(adapter_size=8))
    assert stages_of(e, "row")["finetune"].settings["model"]["adapter_size"] == 8
    assert stages_of(e, "row")["init"].key == stages_of(experiment(tmp_path), "row")["init"].key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": MODEL.replace(d_ff=80)}, "d_ff=80: the checkpoint /models/ours/final has 40, and no other size"),
        (
            {"model": MODEL.replace(num_encoder_layers=0, architecture="prefix_lm")},
            "architecture='prefix_lm': the checkpoint /models/ours/final has encoder_decoder",
        ),
        ({"init": None, "further": True}, "further=True: there is no checkpoint to pre-train further from"),
        (
            {"init": INIT.replace(vocabulary=INIT.vocabulary.replace(num_sentinels=0)), "further": True},
            "init='/models/ours/final': objectives need its vocabulary's sentinels",
        ),
    ],
)
def test_what_a_checkpoint_is_not_is_refused(changes, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        experiment(tmp_path, **changes)
    assert str(caught.value).startswith(message)


def test_rates_multiply_that_of_fine_tuning_where_it_takes_the_place_of_pre_training(tmp_path):
    e = experiment(tmp_path)
    for row in (e, e.replace(multitask=EVERYWHERE)):
        twice = at_rate(row, 2.0)
        assert twice.finetune.schedule.learning_rate == 2 * e.finetune.schedule.learning_rate
        assert twice.pretrain == e.pretrain
    further = at_rate(e.replace(further=True), 2.0)
    assert further.finetune == e.finetune
    assert further.pretrain.schedule.learning_rate == 2 * e.pretrain.schedule.learning_rate


def test_a_plan_counts_its_bytes(tmp_path):
    stages = stages_of(experiment(tmp_path), "row")
    init, finetune = stage_cost(stages["init"]), stage_cost(stages["finetune"])
    assert init.parameters == finetune.parameters > 20_000
    assert init.checkpoint_bytes == finetune.checkpoint_bytes and init.flops == 0


def study(*rows: Row) -> Study:
    return micro_study.study(*rows)


def scale(tmp_path, **changes) -> Scale:
    return Scale(name="micro", purpose="", baseline=experiment(tmp_path, **changes), precision="float32")


BERT = Row(name="bert", label="BERT", changes={"objective": ObjectiveConfig(kind="bert_style")})


def test_rows_that_differ_in_pre_training_alone_are_refused(tmp_path):
    assert {row.name for row in plan_of(study(), scale(tmp_path)).rows} == {"spans", "none"}
    with pytest.raises(ConfigError) as caught:
        plan_of(study(BERT), scale(tmp_path), seeds=2, rates=Rates(multiples=(1.0, 2.0)))
    assert str(caught.value) == (
        "init='/models/ours/final': from it, spans seed 0 and bert seed 0 are one run: they differ in pre-training, "
        "which it takes the place of: --further pre-trains each from there; --rows leaves rows out"
    )
    text = CorpusConfig(content="other")
    again = Row(name="again", label="", changes={"objective": ObjectiveConfig(), "vocabulary_corpus": text})
    with pytest.raises(ConfigError, match="spans seed 0 and again seed 0 are one run: they differ in nothing that is"):
        plan_of(study(again), scale(tmp_path, further=True))


def test_further_pre_trainings_stand_beside_the_checkpoint_as_it_is(tmp_path):
    plan = plan_of(study(BERT).with_checkpoint_as_it_is(), scale(tmp_path, further=True))
    rows = {row.name: row for row in plan.rows}
    assert list(rows) == ["spans", "none", "bert", AS_IT_IS]
    assert [name for name, row in rows.items() if "pretrain" in row.stages] == ["spans", "bert"]
    assert [name for name, row in rows.items() if "init" in row.stages] == ["spans", "bert", AS_IT_IS]
    assert rows[AS_IT_IS].axes["further"] is False
    direct = stages_of(experiment(tmp_path), "row")
    assert rows[AS_IT_IS].stages["evaluate"] == direct["evaluate"].key  # the row of a study without --further
