"""Whoever has text in a language of their own comes to a table with no code of their own.

Made-up pages in a script without blanks, one that runs from right to left and one whose vowels are signs at letters, on
the way that a user's go: `t5core clean --language`, a vocabulary, tasks in YAML, a study, its table and its report.
"""

import gzip
import io
import itertools
import json
from dataclasses import dataclass

import micro_study
import pytest
from rich.console import Console

from dashboards.pages.page import render_page
from orchestrator.engine.inline import run_locally
from orchestrator.plan.study import Scale, plan_of
from orchestrator.results.compare import to_dict
from orchestrator.results.rows import comparison_of
from orchestrator.results.table import render
from orchestrator.store import open_store
from t5core.cli import main as t5core
from t5core.corpora import corpus_at, identify, read_documents
from t5core.tasks import choose_tasks, identify_tasks
from t5core.vocabulary import Vocabulary


@dataclass(frozen=True)
class Language:
    """Parts of sentences, one of each column, what joins them, and a size of vocabulary that so little text allows."""

    parts: tuple[tuple[str, ...], ...]
    joined_by: str
    end: str
    times: tuple[str, str]
    pieces: int = 300

    def sentences(self):
        return [f"{self.joined_by.join(parts)}{self.end}" for parts in itertools.product(*self.parts)]


LANGUAGES = {
    "ja": Language(
        parts=(
            ("朝早く", "夜おそく"),
            ("漁師は", "パン屋は", "子どもたちは", "灯台守は", "船長は"),
            ("小さな港で", "島の北で", "古い橋のそばで", "静かな海辺で", "市場の前で"),
            ("船を待っています", "手紙を読んでいます", "魚を売っています", "歌をうたっています"),
        ),
        joined_by="",
        end="。",
        times=("朝早く", "夜おそく"),
        pieces=340,
    ),
    "ar": Language(
        parts=(
            ("في الصباح", "في المساء"),
            ("ينتظر الصياد", "ينتظر الخباز", "تنتظر المعلمة", "ينتظر القبطان", "ينتظر الأطفال"),
            ("السفينة القديمة", "الرسالة الطويلة", "الخبز الطازج", "المطر الأول"),
            ("قرب الميناء الصغير", "عند باب المنارة", "فوق الجسر الحجري", "أمام سوق المدينة", "على شاطئ البحر"),
        ),
        joined_by=" ",
        end=".",
        times=("في الصباح", "في المساء"),
    ),
    "hi": Language(
        parts=(
            ("सुबह के समय", "रात के समय"),
            ("मछुआरा", "नानबाई", "छोटा बच्चा", "नाव का कप्तान", "बूढ़ा अध्यापक"),
            ("बंदरगाह के पास", "द्वीप के उत्तर में", "पुराने पुल पर", "समुद्र के किनारे", "बाज़ार के सामने"),
            ("नाव की राह देखता है", "लंबी चिट्ठी पढ़ता है", "ताज़ी मछली बेचता है", "पुराना गीत गाता है"),
        ),
        joined_by=" ",
        end="।",
        times=("सुबह के समय", "रात के समय"),
    ),
}
PAGES = 45


@pytest.fixture(params=LANGUAGES)
def own(request, tmp_path, monkeypatch):
    """A folder with captured pages and two tasks in a language; gives it and its name."""
    monkeypatch.chdir(tmp_path)
    language = LANGUAGES[request.param]
    sentences = language.sentences()
    pages = ["\n".join(sentences[(4 * n + k) * 37 % len(sentences)] for k in range(4)) for n in range(PAGES)]
    rows = [{"text": f"{page}\nmenu", "url": f"http://a.org/{n}"} for n, page in enumerate(pages)]
    rows.append(
        {"text": "The old river is wide.\nPeople cross it by boat here.\nIt is slow at noon.", "url": "http://e"}
    )
    with gzip.open("crawl.json.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    for name, fields in (("times", "labels: {label: [%s, %s]}" % language.times), ("endings", "")):  # noqa: UP031
        (tmp_path / name).mkdir()
        for split, chosen in (("train", sentences[::2][:60]), ("validation", sentences[1::9][:12])):
            examples = [
                {"text": s, "label": int(s.startswith(language.times[1])), "end": s[-12:]} for s in chosen
            ]  # fmt: skip
            lines = "".join(json.dumps(example) + "\n" for example in examples)
            (tmp_path / name / f"{split}.jsonl").write_text(lines, encoding="utf-8")
        target, metric = (
            ("{label}", "accuracy")
            if name == "times"
            else ("{end}", "rouge" if request.param == "hi" else "rouge_any_script")
        )
        (tmp_path / f"{name}.yaml").write_text(
            f'name: {name}\nsource: {name}\ninputs: "{name}: {{text}}"\ntargets: "{target}"\n'
            f"metrics: [{metric}]\n{fields}\n",
            encoding="utf-8",
        )
    return tmp_path, request.param


def test_text_in_a_language_of_ones_own_becomes_a_table(own, capsys):
    folder, language = own
    clean = [
        "clean",
        "crawl.json.gz",
        "--language",
        language,
        "--out",
        "corpus",
        "--bad-words",
        "none",
        "--shards",
        "1",
    ]
    assert t5core(clean) == 0
    assert f"{PAGES} of {PAGES + 1} pages" in capsys.readouterr().out
    tasks = tuple(str(folder / f"{name}.yaml") for name in ("times", "endings"))
    for task in tasks:
        assert t5core(["tasks", "--check", task]) == 0

    micro = micro_study.experiment(folder / "nothing")
    corpus = identify(corpus_at((str(folder / "corpus"),)).replace(validation_fraction=0.3, min_chars=20))
    vocabulary_config = micro.vocabulary.replace(num_pieces=LANGUAGES[language].pieces)
    baseline = micro.replace(
        vocabulary=vocabulary_config,
        model=micro.model.replace(vocab_size=vocabulary_config.size),
        corpus=corpus,
        tasks=identify_tasks(choose_tasks(tasks, micro.tasks)),
    )
    plan = plan_of(micro_study.study(), Scale(name="micro", purpose="a test", baseline=baseline))
    store = open_store(folder / "store")
    outcomes = run_locally(plan, store)
    assert outcomes.ok, [getattr(outcome, "error", None) for outcome in outcomes.values()]

    stages = {stage.kind: stage for stage in plan.stages.values()}
    vocabulary = Vocabulary.load(store.path(stages["vocabulary"]) / "vocabulary.model")
    texts = [row["text"] for side in ("train", "validation") for row in read_documents(
        store.path(stages["corpus"]) / f"{side}.jsonl")]  # fmt: skip
    assert len(texts) > 20 and "menu" not in "".join(texts)
    for text in [*LANGUAGES[language].sentences(), *texts, "𐍈 嶨 ꙮ"]:
        ids = vocabulary.encode(text)
        assert 2 not in ids  # unknown
        assert vocabulary.decode(ids) == vocabulary.normalize(text)
    assert sum(len(vocabulary.encode(text)) for text in texts) < sum(map(len, texts))

    comparison = comparison_of(plan, outcomes, store)
    out = io.StringIO()
    render(comparison, Console(file=out, width=200))
    assert "times accuracy" in out.getvalue() and "endings rouge1" in out.getvalue()
    assert ("endings: ROUGE's words are ASCII" in out.getvalue()) == (language == "hi")  # else it sees the letters
    assert [row.status for row in comparison.rows] == ["done", "done"]
    page = render_page(to_dict(comparison), study="trial", scale="micro")
    assert "No pre-training" in page and "times" in page
