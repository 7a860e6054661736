"""What stands under a table about the data it was made of."""

import json

from orchestrator.engine.inline import run_locally
from orchestrator.plan.plan import Plan, PlannedRow
from orchestrator.plan.stage import Stage
from orchestrator.results.notes import left_out_text
from orchestrator.store import open_store
from t5core.config import CorpusConfig
from t5core.corpora import identify


def test_what_reading_left_out_of_a_corpus_is_told(tmp_path):
    (tmp_path / "text").mkdir()
    text = "Никто на острове не помнит, кто построил маяк номер {}."
    rows = [json.dumps({"text": text.format(n)}) for n in range(20)]
    (tmp_path / "text/a.jsonl").write_text("\n".join([*rows, '{"text": "коротко"}']))
    (tmp_path / "text/b.md").write_text(f"{text.format(20)}\n\n```\ncode\n```\n")
    config = CorpusConfig(
        source="files", paths=(str(tmp_path / "text"),), min_chars=20, validation_fraction=0.2
    )  # fmt: skip
    corpus = identify(config)
    stage = Stage(
        kind="corpus",
        name="corpus",
        config={"corpus": corpus.fingerprint()},
        settings={"corpus": corpus.to_dict()},
        inputs={},
    )
    plan = Plan.of("trial", "micro", [(PlannedRow(name="row", label="row"), {"corpus": stage})])
    outcomes = run_locally(plan, open_store(tmp_path / "store"))
    assert left_out_text(plan, outcomes) == (
        f"text: 21 documents of {tmp_path}/text; beside them 3 left-out markdown code lines, 1 skipped too short",
    )
