import itertools
import random
import re
from collections import Counter

import pytest

from t5core.errors import ConfigError
from t5core.tasks import EMBEDDED_TASKS, Document, get_task, make_splits
from t5core.tasks.prose import Cap, Entry, entries, sentences

TASKS = pytest.mark.parametrize("task", EMBEDDED_TASKS, ids=lambda task: task.name)
BALANCED = ("doc_acceptability", "doc_pair")


def test_the_families_stand_in_for_the_papers_columns():
    assert {task.name: task.paper_column for task in EMBEDDED_TASKS} == {
        "doc_acceptability": "GLUE",
        "doc_pair": "GLUE",
        "doc_similarity": "GLUE",
        "doc_summary": "CNNDM",
        "doc_qa": "SQuAD",
        "doc_cloze": "SGLUE",
        "doc_topic": "GLUE",
        "doc_completion": "SGLUE",
    }


def test_an_unknown_task_is_named_with_the_nearest():
    assert get_task("doc_qa").metric_names == ("em", "f1")
    with pytest.raises(ConfigError, match=r"tasks='doc_qaa': choose from .*did you mean 'doc_qa'"):
        get_task("doc_qaa")


@TASKS
def test_examples_are_a_function_of_documents_and_seed(task, splits):
    documents = splits[1]
    first = list(task.examples(documents, seed=3, limit=60))
    assert first == list(task.examples(iter(documents), seed=3, limit=60))
    assert len(first) == 60
    assert list(task.examples(documents, seed=3, limit=24)) == first[:24]
    if task.name != "doc_summary":  # which has nothing to draw
        assert first != list(task.examples(documents, seed=4, limit=60))


@TASKS
def test_examples_are_short_distinct_and_begin_with_the_tasks_name(task, splits):
    pairs = list(task.examples(splits[0], seed=0, limit=300))
    assert len({pair.inputs for pair in pairs}) == len(pairs)
    for pair in pairs:
        assert pair.inputs.startswith(task.prefix)
        assert pair.targets and pair.targets == " ".join(pair.targets.split())
        assert pair.inputs == " ".join(pair.inputs.split())
        assert len(pair.inputs) < 400 and len(pair.targets) <= 90


@TASKS
def test_the_targets_score_full_marks_and_the_commonest_answer_scores_chance(task, splits):
    pairs = list(task.examples(splits[1], seed=0, limit=100))
    targets = [pair.targets for pair in pairs]
    perfect = task.score(targets, targets)
    assert tuple(perfect) == task.metric_names
    assert all(value == pytest.approx(100.0, abs=1.0) for value in perfect.values())
    commonest = Counter(targets).most_common(1)[0][0]
    assert task.score(targets, [commonest] * len(targets))[task.main.name] <= task.chance + 13
    assert set(task.score(targets, ["@"] * len(targets)).values()) == {0.0}
    assert task.aggregate(task.example_scores(targets, targets)) == perfect[task.main.name]


@pytest.mark.parametrize("name", BALANCED)
@pytest.mark.parametrize("limit", [40, 41, 100])
def test_labels_are_exactly_balanced(name, limit, splits):
    counts = Counter(pair.targets for pair in get_task(name).examples(splits[1], seed=0, limit=limit))
    assert len(counts) == 2 and set(counts.values()) == {limit // 2}


@TASKS
def test_nothing_of_the_evaluation_is_trained_on(task, splits):
    train, evaluation = make_splits(task, *splits, seed=0, train_examples=400, eval_examples=100)
    assert not {pair.inputs for pair in train} & {pair.inputs for pair in evaluation}
    # handing over the same documents for both shows that shared inputs are left out
    again, same = make_splits(task, splits[1], splits[1], seed=0, train_examples=50, eval_examples=50)
    assert not {pair.inputs for pair in again} & {pair.inputs for pair in same}


def test_sentences_of_held_out_documents_are_not_in_training_documents(splits):
    trained = {sentence for document in splits[0] for sentence in sentences(document.text)}
    held_out = [sentence for document in splits[1] for sentence in sentences(document.text)]
    assert len(held_out) > 500
    assert not trained & set(held_out)


def test_a_limit_reads_no_more_documents_than_it_needs(splits):
    read = []
    documents = (read.append(d) or d for d in splits[0])
    assert len(list(get_task("doc_acceptability").examples(documents, seed=0, limit=20))) == 20
    assert len(read) < 100


def test_plain_text_without_parameters_gives_no_questions_and_no_error():
    plain = [Document(text="The river runs by the old town and on to the sea beyond it.")] * 5
    assert list(get_task("doc_qa").examples(plain, seed=0)) == []


def test_entries_are_read_in_both_forms():
    text = (
        "Parameters\n----\naxis : int, optional (default=-1)\n    The axis. It counts.\ncopy : bool, default True\n"
        "kind : {'a', 'b'}, optional\n    Which one. Defaults to 'a'.\nArgs:\n    name (str, optional): Its name."
    )
    assert entries(text) == [
        Entry(name="axis", type="int", default="-1", description="The axis. It counts."),
        Entry(name="copy", type="bool", default="True", description=""),
        Entry(name="kind", type="{'a', 'b'}", default="a", description="Which one. Defaults to 'a'."),
        Entry(name="name", type="str", default="", description="Its name."),
    ]


def test_answers_of_questions_stand_in_the_context_and_clozes_have_one_gap(splits):
    for pair in get_task("doc_qa").examples(splits[0], seed=0, limit=200):
        question, _, context = pair.inputs.partition(" context: ")
        assert pair.targets in context, pair
        assert pair.targets not in re.sub(r"(of|type) .*", "", question.removeprefix("question: "))
    for pair in get_task("doc_cloze").examples(splits[0], seed=0, limit=200):
        assert pair.inputs.count("<extra_id_0>") == 1 and " " not in pair.targets
        assert " <extra_id_0>" in pair.inputs


def test_a_gap_behind_a_bracket_is_a_sentinel_for_a_vocabulary():
    documents = [Document(text="Ab cd (ef gh) returns a list of Ij values.", source="x")]
    generate = get_task("doc_cloze").source.generate
    found = {pair.inputs for i in range(60) for pair in generate(documents, random.Random(i))}
    assert "cloze passage: Ab cd ( <extra_id_0> gh) returns a list of Ij values." in found
    assert "cloze passage: Ab <extra_id_0> (ef gh) returns a list of Ij values." in found


def test_a_similarity_is_the_share_of_common_words_in_steps_of_a_fifth(splits):
    scores = Counter()
    for pair in get_task("doc_similarity").examples(splits[0], seed=0, limit=400):
        first, second = re.match(r"similarity sentence1: (.*) sentence2: (.*)", pair.inputs).groups()
        common = (Counter(first.split()) & Counter(second.split())).total()
        exact = 10 * common / len(f"{first} {second}".split())
        assert float(pair.targets) == pytest.approx(exact, abs=0.1 + 1e-9)
        assert re.fullmatch(r"[0-5]\.[02468]", pair.targets)
        scores[pair.targets] += 1
    # a fifth of the sentences is left as it is, by the throw of a die: 80 of 400, with a standard deviation of 8
    assert len(scores) > 20 and max(scores, key=scores.__getitem__) == "5.0" and abs(scores["5.0"] - 80) < 5 * 8


def test_scrambled_sentences_hold_the_same_words_without_their_tells(splits):
    for pair in get_task("doc_acceptability").examples(splits[0], seed=0, limit=200):
        words = pair.inputs.removeprefix("acceptability sentence: ").split()
        assert 6 <= len(words) <= 20
        if pair.targets == "acceptable":
            assert not words[-1].endswith(".")


def test_a_completion_asks_for_the_last_words_of_a_sentence(splits):
    known = {sentence for document in splits[0] for sentence in sentences(document.text)}
    for pair in get_task("doc_completion").examples(splits[0], seed=0, limit=200):
        sentence = f"{pair.inputs.removeprefix('complete: ')} {pair.targets}"
        assert sentence in known
        assert len(pair.targets.split()) == min(5, max(3, len(sentence.split()) // 3))


def test_topics_come_in_turns_and_no_sentence_names_its_library():
    sources = {"networkx": "graphs", "scikit-learn": "learning", "scipy": "science", "torch": "tensors"}
    sources |= {"SQLAlchemy": "databases", "sympy": "algebra"}
    said = "The number {} stands for a thing of {} and nothing else."
    documents = [
        Document(
            text=f"{said.format(n, topic)}\n\nThis sentence is about {source} and is left out.", source=f"{source}:m:f"
        )
        for n in range(3)
        for source, topic in sources.items()
    ]
    documents.insert(0, Document(text=said.format(9, "any other sort"), source="click:m:f"))
    pairs = list(get_task("doc_topic").examples(documents, seed=0))
    assert len(pairs) == 18
    for pair in pairs:
        assert f"a thing of {pair.targets} and" in pair.inputs and "left out" not in pair.inputs
    for turn in range(3):
        assert {pair.targets for pair in pairs[6 * turn : 6 * turn + 6]} == set(sources.values())


def test_no_answer_becomes_a_good_guess():
    cap = Cap(0.1, start=2)
    admitted = [answer for i in range(500) for answer in ("int", f"other {i}") if cap.admits(answer)]
    assert 0.08 < admitted.count("int") / len(admitted) < 0.12


OTHER_SCRIPTS = {
    "russian": (
        "{} старый рыбак из маленькой гавани снова {} на {} корабль у причала.",
        "Утром Ночью Осенью Весной",
        "смотрит ждёт рисует строит",
        "синий белый новый чужой",
    ),
    "korean": (
        "{} 작은 항구의 늙은 어부는 다시 부두에서 {} 배를 오래오래 조용히 {} 있다.",
        "아침마다 저녁마다 가을마다 겨울마다",
        "커다란 새하얀 새로운 조그만",
        "기다리고 바라보고 수리하고 지켜보고",
    ),
    "hindi": (
        "{} छोटे बंदरगाह का बूढ़ा मछुआरा {} नाव को घाट पर {} है।",
        "सुबह शाम रात दोपहर",
        "नीली सफ़ेद पुरानी अनजान",
        "देखता ढूँढता बनाता सजाता",
    ),
}


@pytest.mark.parametrize("script", OTHER_SCRIPTS)
def test_text_of_another_script_gives_examples_of_every_task_for_any_text(script):
    pattern, *columns = OTHER_SCRIPTS[script]
    filled = [pattern.format(*words) for words in itertools.product(*(column.split() for column in columns))]
    documents = [
        Document(text="\n\n".join([" ".join(filled[n : n + 2]), *filled[n + 2 : n + 6]]), source=str(n))
        for n in range(0, 60, 3)
    ]
    assert len(sentences(documents[0].text)) == 6
    for name in (
        "doc_acceptability",
        "doc_pair",
        "doc_similarity",
        "doc_cloze",
        "doc_completion",
    ):
        pairs = list(get_task(name).examples(documents, seed=0, limit=10))
        assert len(pairs) >= 8, name
        assert not any(pair.inputs.isascii() for pair in pairs)
    assert not any(pair.targets.isascii() for pair in get_task("doc_cloze").examples(documents, seed=0, limit=10))
