"""What the scales settle for every study."""

from pathlib import Path

import pytest

from orchestrator.commands.flags import Options
from orchestrator.plan.plan import Plan
from orchestrator.plan.stage import Stage
from orchestrator.plan.study import plan_of
from orchestrator.store.manifest import folder_name
from studies import objectives
from studies.scales import C4, C4_COMMIT, SCALES
from t5core.mixing import GLUE_SIZES, PAPER_SIZES, mixture_rates

PAPERS_MIX = ("10:corpus", *(f"1:hf:allenai/c4:{language}:validation@{C4_COMMIT}" for language in ("de", "fr", "ro")))


def test_at_the_papers_scale_no_pair_of_languages_drowns_the_other_tasks() -> None:
    """Where one model learns all tasks: by their sizes alone, 86 in 100 examples would be English and French."""
    rates = mixture_rates(SCALES["paper"].baseline.mixture, PAPER_SIZES)
    pairs = [rates[name] for name in ("wmt_en_de", "wmt_en_fr", "wmt_en_ro")]
    assert pairs == pytest.approx([2**19 / 3_079_860] * 3)
    assert sum(rates[name] for name in GLUE_SIZES) == pytest.approx(947_856 / 3_079_860)


def test_the_papers_corpus_is_the_same_by_whichever_of_its_names_it_is_asked_for() -> None:
    """C4 typed out is C4, and other text in its place is not; the vocabulary of another set is planned alike."""

    def planned(*argv: str) -> Plan:
        options = Options.parse("", list(SCALES), ["--scale", "paper", *argv])
        return plan_of(objectives.study(), options.scale_of(SCALES))

    usual = planned()
    named = planned("--corpus", C4.replace(":train@", "@"), "--vocabulary-mix", *PAPERS_MIX)
    assert named.rows == usual.rows
    other = C4.replace(":train@", ":validation@")
    mixed = planned("--vocabulary-mix", "10:corpus", f"1:{other}")
    assert "vocabulary_corpus3" not in mixed.rows[0].stages
    stages = [mixed.stages[mixed.rows[0].stages[role]] for role in ("corpus", "vocabulary_corpus2")]
    assert [stage.settings["corpus"]["paths"] for stage in stages] == [[C4], [other]]
    assert planned("--corpus", other).rows[0].stages["corpus"] == stages[1].key


def test_the_papers_vocabulary_is_of_four_languages_and_one_of_other_text_of_that_text_alone(tmp_path: Path) -> None:
    def stages(*argv: str) -> dict[str, Stage]:
        options = Options.parse("", list(SCALES), ["--scale", "paper", *argv])
        plan = plan_of(objectives.study(), options.scale_of(SCALES))
        return {role: plan.stages[key] for role, key in plan.rows[0].stages.items()}

    usual = stages()
    read = [usual[role] for role in ("corpus", "vocabulary_corpus2", "vocabulary_corpus3", "vocabulary_corpus4")]
    parts = {key: usual["vocabulary"].config["parts"][n] for n, key in enumerate(usual["vocabulary"].inputs.values())}
    assert [parts[stage.key] for stage in read] == [10, 1, 1, 1]
    assert [stage.name for stage in read] == [
        "allenai_c4:en:train",
        *(f"allenai_c4:{language}:validation" for language in ("de", "fr", "ro")),
    ]
    (tmp_path / "text.txt").write_text("Some text of my own. " * 12)
    own = stages("--corpus", str(tmp_path / "text.txt"))
    assert set(own["vocabulary"].inputs.values()) == {own["corpus"].key}


def test_a_plan_says_where_a_hub_corpus_will_lie() -> None:
    plan = plan_of(objectives.study(), SCALES["paper"])
    for stage in plan.stages.values():
        assert stage.folder == f"{stage.kind}/{folder_name(stage.name, stage.key)}"
