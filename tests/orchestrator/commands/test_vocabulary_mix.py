"""A vocabulary from several corpora, from the plan to the note under the table; real stages at the micro scale."""

import json
import random
from collections.abc import Mapping
from pathlib import Path

import micro_study

from orchestrator.engine.inline import run_locally
from orchestrator.engine.outcomes import Finished
from orchestrator.plan.expand import stages_of
from orchestrator.plan.experiment import Experiment
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.notes import short_sources
from orchestrator.store import open_store
from t5core.config import CorpusConfig, VocabularyConfig, VocabularySource
from t5core.corpora import identify
from t5core.vocabulary import Vocabulary

GERMAN = "der Fluss führte nach drei Tagen Regen Hochwasser und niemand hätte der alten Brücke das noch zugetraut"


def german(path: Path, count: int = 60) -> CorpusConfig:
    """Writes documents of German words; returns the corpus of them."""
    rng = random.Random("german")
    words = GERMAN.split()
    words += [first + second.lower() for first in words for second in words]
    texts = [f"{' '.join(rng.choices(words, k=40)).capitalize()}." for _ in range(count)]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return identify(CorpusConfig(source="files", paths=(str(path),), validation_fraction=0.3))


def mixed(e: Experiment, *mix: tuple[CorpusConfig | None, float]) -> dict[str, Stage]:
    """The stages of an experiment with such a mix."""
    sources = tuple(VocabularySource(corpus=corpus, parts=parts) for corpus, parts in mix)
    return stages_of(e.replace(vocabulary_mix=sources), "row")


def keys(stages: Mapping[str, Stage]) -> dict[str, str]:
    """The stages' keys by role."""
    return {role: stage.key for role, stage in stages.items()}


def experiment(tmp_path: Path) -> Experiment:
    """The micro experiment on an identified corpus."""
    baseline = micro_study.experiment(micro_study.write_documents(tmp_path / "text.jsonl"))
    vocabulary = VocabularyConfig(num_pieces=400, num_sentinels=32, train_chars=30_000, character_coverage=1.0)
    return baseline.replace(corpus=identify(baseline.corpus), vocabulary=vocabulary)


def test_a_mix_adds_a_stage_for_each_other_corpus_and_changes_what_reads_the_vocabulary(tmp_path: Path) -> None:
    e = experiment(tmp_path)
    other = german(tmp_path / "german.jsonl")
    plain, mix = stages_of(e, "row"), mixed(e, (None, 10), (other, 1))
    assert set(mix) == {*plain, "vocabulary_corpus2"}
    assert {role for role in plain if plain[role].key != mix[role].key} == {
        "vocabulary",
        "finetune",
        "evaluate",
        "likelihood",
    }
    vocabulary = mix["vocabulary"]
    assert set(vocabulary.inputs) == {"corpus", "corpus2"}
    assert set(vocabulary.inputs.values()) == {mix["corpus"].key, mix["vocabulary_corpus2"].key}
    parts = dict(zip(sorted(vocabulary.inputs.values()), vocabulary.config["parts"], strict=True))
    assert parts == {mix["corpus"].key: 10, mix["vocabulary_corpus2"].key: 1}


def test_the_order_of_a_mix_and_the_unit_of_its_parts_do_not_count_and_the_parts_do(tmp_path: Path) -> None:
    e = experiment(tmp_path)
    other = german(tmp_path / "german.jsonl")
    key = mixed(e, (None, 10), (other, 1))["vocabulary"].key
    assert mixed(e, (other, 0.5), (None, 5))["vocabulary"].key == key
    assert mixed(e, (e.corpus, 10), (other, 1))["vocabulary"].key == key
    assert mixed(e, (None, 9), (other, 1))["vocabulary"].key != key


def test_a_mix_of_one_is_no_mix(tmp_path: Path) -> None:
    e = experiment(tmp_path)
    other = german(tmp_path / "german.jsonl")
    assert keys(mixed(e, (None, 3))) == keys(stages_of(e, "row"))
    assert keys(mixed(e, (other, 2))) == keys(stages_of(e.replace(vocabulary_corpus=other), "row"))


def test_the_own_text_is_what_the_vocabulary_comes_from_without_a_mix(tmp_path: Path) -> None:
    e = experiment(tmp_path)
    other = german(tmp_path / "german.jsonl")
    third = german(tmp_path / "third.jsonl", 20)
    stages = mixed(e.replace(vocabulary_corpus=other), (None, 1), (third, 1))
    read = set(stages["vocabulary"].inputs.values())
    assert read == {stages["vocabulary_corpus"].key, stages["vocabulary_corpus2"].key}
    assert stages["corpus"].key not in read


def test_the_vocabulary_reads_what_each_corpus_trains_on_in_proportion(tmp_path: Path) -> None:
    e = experiment(tmp_path)
    other = german(tmp_path / "german.jsonl", 25)
    store = open_store(tmp_path / "store")
    vocabularies, rows = {}, {"plain": stages_of(e, "row"), "mix": mixed(e, (None, 2), (other, 1))}
    for name, stages in rows.items():
        wanted = {role: s for role, s in stages.items() if s.kind in ("corpus", "vocabulary")}
        plan = Plan.of("trial", "micro", [(PlannedRow(name=name, label=name), wanted)])
        outcomes = run_locally(plan, store)
        assert outcomes.ok
        vocabularies[name] = Vocabulary.load(store.path(stages["vocabulary"]) / "vocabulary.model")
    assert len(vocabularies["mix"].encode(GERMAN)) < 0.8 * len(vocabularies["plain"].encode(GERMAN))

    outcome = outcomes[rows["mix"]["vocabulary"].key]
    assert isinstance(outcome, Finished)
    drawn = {source["corpus"]: source for source in outcome.manifest.result["sources"]}
    english, german_ = (drawn[rows["mix"][role].key] for role in ("corpus", "vocabulary_corpus2"))
    train = (store.path(rows["mix"]["vocabulary_corpus2"]) / "train.jsonl").read_text(encoding="utf-8")
    assert german_["found_chars"] == sum(len(json.loads(line)["text"]) for line in train.splitlines())
    # the German corpus trains on less than its third of 30,000 characters
    assert (english["wanted_chars"], german_["wanted_chars"]) == (20_000, 10_000)
    assert german_["chars"] == german_["found_chars"] < 10_000
    assert english["chars"] == 2 * german_["chars"]
    (note,) = short_sources(plan, outcomes)
    assert note == (
        f"vocabulary: {tmp_path}/german.jsonl has {german_['chars']:,} characters where its part would be 10,000; "
        f"to keep the proportions, {3 * german_['chars']:,} of 30,000 were trained on"
    )
