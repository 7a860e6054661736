import json
import subprocess
import sys
import warnings

import numpy as np
import pytest

from t5core import metrics
from t5core.errors import ConfigError, DataError
from t5core.metrics import (
    F1,
    Accuracy,
    Answers,
    AnswersF1,
    Bleu,
    Classes,
    ExactMatch,
    Matthews,
    MeanF1,
    MeanOf,
    Numbers,
    Pearson,
    Questions,
    Referents,
    Rouge,
    SameText,
    Spearman,
    Summaries,
    TokenF1,
    Translations,
    WholeQuestions,
    glue_average,
    paper_columns,
    string_to_float,
    super_glue_average,
)
from t5core.metrics.averages import GLUE, SUPER_GLUE
from t5core.metrics.rouge_rows import rouge_rows

NO_OR_YES = Classes(("no", "yes"))
THREE = Classes(("a", "b", "c"))
WORD_TEXT = "the ferry sank near an island in a storm and all of its crew were rescued by fishermen"
WORDS = WORD_TEXT.split()


def value(metric, targets, predictions, contexts=None):
    return metric.aggregate(metric.example_scores(targets, predictions, contexts))


def texts(ids, classes=NO_OR_YES):
    return ["neither" if i < 0 else classes.labels[i] for i in ids]


def summaries(count, seed=0):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, 14)) + " . " + " ".join(rng.choice(WORDS, 9)) + " ." for _ in range(count)]


@pytest.mark.parametrize("seed", range(5))
def test_label_metrics_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    target, predicted = rng.integers(0, 2, 40).tolist(), rng.integers(-1, 2, 40).tolist()
    given = texts(target), texts(predicted)
    assert value(Accuracy(NO_OR_YES), *given) == pytest.approx(metrics.accuracy(target, predicted)["accuracy"])
    assert value(F1(NO_OR_YES), *given) == pytest.approx(metrics.f1_score_with_invalid(target, predicted)["f1"])
    ours = value(Matthews(NO_OR_YES), *given)
    assert ours == pytest.approx(metrics.matthews_corrcoef(target, predicted)["matthews_corrcoef"])
    target, predicted = rng.integers(0, 3, 40).tolist(), rng.integers(-1, 3, 40).tolist()
    ours = value(MeanF1(THREE), texts(target, THREE), texts(predicted, THREE))
    assert ours == pytest.approx(metrics.mean_multiclass_f1(3)(target, predicted)["mean_3class_f1"])


def test_outputs_that_are_no_label_count_as_wrong_and_are_counted():
    target, predicted = [1, 1, 0, 0, 1, 0, 1], [1, -1, 0, -1, 0, 1, 1]
    given = texts(target), texts(predicted)
    assert value(Accuracy(NO_OR_YES), *given) == pytest.approx(100 * 3 / 7)
    # -1 is taken for the other label: predictions 1 0 0 1 0 1 1, so 2 right of 4 guessed and 4 wanted
    assert value(F1(NO_OR_YES), *given) == pytest.approx(50)
    # -1 is a class of its own in scikit-learn's form for several classes
    assert value(Matthews(NO_OR_YES), *given) == pytest.approx(10.825317547305485)
    assert NO_OR_YES.invalid(given[1]) == 2
    assert NO_OR_YES.invalid(["Yes", "yes.", " yes", "yes"]) == 3
    assert Numbers().invalid(["1.2", "nan", "", "x", "-3"]) == 3
    assert Referents().invalid(["", "the", "Bob"]) == 2


def test_correlations_agree_with_scipy_ties_included():
    rng = np.random.default_rng(1)
    target = np.round(rng.uniform(0, 5, 50), 1)
    predicted = np.round(target + rng.normal(0, 1, 50))
    given = [str(x) for x in target], [str(x) for x in predicted]
    assert value(Pearson(), *given) == pytest.approx(metrics.pearson_corrcoef(target, predicted)["pearson_corrcoef"])
    ours = value(Spearman(), *given)
    assert ours == pytest.approx(metrics.spearman_corrcoef(target, predicted)["spearman_corrcoef"])


@pytest.mark.parametrize("constant", ["3.0", "nothing"])
def test_constant_predictions_get_zero_and_no_warning(constant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        targets = [f"{i / 5:.1f}" for i in range(20)]
        assert value(Pearson(), targets, [constant] * 20) == 0.0
        assert value(Spearman(), targets, [constant] * 20) == 0.0
        assert value(Matthews(NO_OR_YES), texts([0, 1] * 10), ["yes"] * 20) == 0.0
        assert value(Matthews(NO_OR_YES), texts([0, 1] * 10), [constant] * 20) == 0.0
        assert value(F1(NO_OR_YES), ["no"] * 4, ["no"] * 4) == 0.0
        every = (Accuracy(NO_OR_YES), F1(NO_OR_YES), Matthews(NO_OR_YES), MeanF1(THREE), Pearson(), Spearman())
        for metric in (
            *every,
            ExactMatch(),
            Rouge("rouge2"),
            Bleu(),
            WholeQuestions(Questions()),
            Accuracy(SameText()),
        ):
            assert value(metric, [], []) == 0.0


def test_text_that_is_no_number_is_minus_one():
    given = ("3.8", " 2 ", "", "x", "nan", "inf", "1.2.3")
    assert Numbers()(["0"] * 7, given)[:, 1].tolist() == [3.8, 2.0, -1, -1, -1, -1, -1]
    assert string_to_float("inf") == float("inf") and string_to_float("x", default=0.0) == 0.0


def test_f1_needs_two_labels():
    with pytest.raises(DataError, match="F1 is of two labels"):
        F1(THREE)


def test_answers_take_the_best_of_several_and_normalise():
    assert value(ExactMatch(), ["None"], ["none."]) == 100.0
    assert value(ExactMatch(), ["x", "y"], ["the x", "z"]) == 50.0
    # two of three words right, nothing too much: P = 1, R = 2/3
    assert value(TokenF1(), ["red green blue"], ["red blue"]) == pytest.approx(80.0)
    # without words nothing is shared, though the texts match
    contexts = [{"answers": ["a b c", "b"]}, {"answers": ["a"]}]
    assert value(TokenF1(), ["", ""], ["b", "the"], contexts) == 50.0
    assert value(ExactMatch(), ["", ""], ["b", "the"], contexts) == 100.0
    assert value(ExactMatch(), ["x y"], ["y x"], [{"answers": []}]) == 0.0


def test_copies_of_one_query_count_once():
    queries = Answers(unit=("idx.passage", "idx.query"))
    contexts = [{"idx": {"passage": 1, "query": q}, "answers": ["Ann", "Bo"]} for q in (7, 7, 8)]
    assert queries(["Ann", "Bo", "Ann"], ["Bo", "Cy", "Cy"], contexts).tolist() == [[1.0, 1.0], [0.0, 0.0]]
    with pytest.raises(DataError, match=r"idx\.query=None: the metric needs this field"):
        queries(["Ann", "Bo"], ["Bo", "Cy"], [contexts[0], {"idx": {"passage": 1}}])
    with pytest.raises(DataError, match=r"idx\.passage=None: the metric needs this field"):
        queries(["Ann"], ["Bo"])


def test_questions_agree_with_the_functions_over_answers_and_groups():
    rng = np.random.default_rng(4)
    groups, target = rng.integers(0, 12, 60).tolist(), rng.integers(0, 2, 60).tolist()
    predicted = [t if rng.random() < 0.8 else int(rng.integers(-1, 2)) for t in target]
    truth = Classes(("False", "True"))
    given = texts(target, truth), texts(predicted, truth), [{"idx": {"question": g}} for g in groups]
    f1 = metrics.f1_score_with_invalid(target, predicted)["f1"]
    by_group = metrics.mean_group_metric(metrics.all_match)(
        [{"group": g, "value": t} for g, t in zip(groups, target, strict=True)], [{"value": p} for p in predicted]
    )
    assert value(AnswersF1(Questions()), *given) == pytest.approx(f1)
    assert value(WholeQuestions(Questions()), *given) == pytest.approx(by_group["exact_match"])


def test_a_referent_is_named_by_some_of_its_words():
    for prediction, referent, named in (
        ("the fuzzy bunny", "bunny", 1),
        ("Bob", "Bob's hat", 0),
        ("THE Police", "police officers", 1),
        ("his", "Bob", -1),
        (" Ann ", "ann", 1),
        ("Ann Lee", "Ann Ray", 0),
    ):
        assert Referents()([referent], [prediction], [{"label": 1}]).tolist() == [[1.0, named]], prediction


def test_rouge_is_the_middle_of_a_bootstrap_and_always_the_same():
    targets, predictions = summaries(30), summaries(30, seed=1)
    rows_N3 = Summaries()(targets, predictions)
    for column, kind in enumerate(("rouge1", "rouge2", "rougeLsum")):
        middle = Rouge(kind).aggregate(rows_N3)
        assert middle == Rouge(kind).aggregate(rows_N3)
        rng = np.random.default_rng(9)
        drawn = 100 * np.median([rows_N3[rng.integers(0, 30, 30), column].mean() for _ in range(2000)])
        assert middle == pytest.approx(drawn, abs=0.3)
    with pytest.raises(ConfigError, match="rougeL"):
        Rouge("rougeLL")


def test_rouge_can_count_stems():
    pair = ["returns the arrays"], ["return an array"]
    assert value(Rouge("rouge1", Summaries(stemmed=True)), *pair) == pytest.approx(200 / 3)
    assert value(Rouge("rouge1"), *pair) == 0.0
    # sentences are told apart at " . ", also where there is no line end
    one_line = "a b c . d e f"
    assert value(Rouge("rougeLsum"), [one_line.replace(" . ", " .\n")], [one_line]) == pytest.approx(100.0)
    assert value(Rouge("rougeLsum"), ["a b c . d e f"], ["d e f . a b c"]) == pytest.approx(100.0)


def test_rouge_sees_other_scripts_where_it_is_asked_to_and_says_so_where_not():
    pairs = (["Никто не помнит маяк", "没有人记得"], ["никто не знает маяк", "没有人知道"])
    seeing = Summaries(any_script=True)
    assert value(Rouge("rouge1"), *pairs) == 0.0
    assert value(Rouge("rouge1", seeing), pairs[0][:1], pairs[1][:1]) == pytest.approx(75.0)
    assert value(Rouge("rouge2", seeing), pairs[0][1:], pairs[1][1:]) == pytest.approx(50.0)
    assert Summaries().note([*pairs[0], "An ASCII text", "ein Bär"]) == (
        "ROUGE's words are ASCII letters and digits, as in the released code: 2 of 4 targets are mostly of others; "
        "tasks of your own may take rouge_any_script"
    )
    assert seeing.note(pairs[0]) == Summaries().note(["An ASCII text", "ein Bär"]) == ""


def test_bleu_sees_letters_where_it_is_asked_to_and_says_so_where_not():
    same = (["没有人记得是谁建造了灯塔"], ["没有人记得是谁建造了灯塔"])
    assert value(Bleu(), *same) == 0.0
    assert value(Bleu(Translations(tokenizer="char")), *same) == pytest.approx(100.0)
    assert Translations().note([same[0][0], "A text", "Никто"]) == (
        "BLEU's tokens are parted by blanks and marks, as in the released code: 1 of 3 targets are in a script without "
        "blanks; tasks of your own may take bleu_characters"
    )
    assert Translations(tokenizer="char").note(same[0]) == ""


def test_rouge_from_several_processes_is_the_same_also_in_a_script_without_a_main_guard(tmp_path):
    pairs = list(zip(summaries(21), summaries(21, seed=1), strict=True))
    (tmp_path / "score.py").write_text(
        "import json, sys\n"
        "from t5core.metrics.rouge_rows import rouge_rows\n"
        "print(json.dumps(rouge_rows(json.load(sys.stdin), processes=2, at_least=10).tolist()))\n"
    )
    done = subprocess.run(
        [sys.executable, "score.py"], input=json.dumps(pairs), capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert json.loads(done.stdout) == rouge_rows(pairs).tolist()
    two = {"processes": 2, "at_least": 1, "any_script": True}
    assert rouge_rows([("да", "да"), ("да", "нет")], **two).tolist() == [[1, 0, 1], [0, 0, 0]]
    assert rouge_rows([]).shape == (0, 3)


def test_bleu_is_sacrebleus_of_the_whole_set():
    import sacrebleu

    targets, predictions = summaries(20), summaries(20, seed=3)
    wanted = sacrebleu.corpus_bleu(predictions, [targets], tokenize="intl").score
    assert value(Bleu(), targets, predictions) == pytest.approx(wanted)
    assert metrics.bleu(targets, predictions)["bleu"] == pytest.approx(wanted)
    assert metrics.bleu([targets, predictions], predictions)["bleu"] == pytest.approx(100.0)


@pytest.mark.parametrize(
    "metric",
    [
        *(Accuracy(NO_OR_YES), F1(NO_OR_YES), Matthews(NO_OR_YES), MeanF1(NO_OR_YES), Pearson(), Spearman()),
        *(ExactMatch(), TokenF1(), AnswersF1(Questions()), WholeQuestions(Questions()), Rouge("rouge2"), Bleu()),
        MeanOf((F1(NO_OR_YES), Accuracy(NO_OR_YES))),
    ],
    ids=lambda metric: metric.name,
)
def test_a_stack_of_samples_is_aggregated_as_each_by_itself(metric):
    rng = np.random.default_rng(2)
    columns = metric.example_scores([], []).shape[1]
    low = 1 if columns == 10 else -1 if columns == 2 and metric.name not in ("em",) else 0
    stack_SUk = rng.integers(low, 2, (5, 30, columns)).astype(np.float64)
    assert metric.aggregate(stack_SUk) == pytest.approx([metric.aggregate(one_Uk) for one_Uk in stack_SUk])


def test_the_averages_weigh_every_set_alike():
    scores = {}
    for at, sets in ((50.0, GLUE), (70.0, SUPER_GLUE)):
        for cells in sets.values():
            for task, metric in cells:
                scores.setdefault(task, {})[metric] = at
    assert glue_average(scores) == pytest.approx(50.0) and super_glue_average(scores) == pytest.approx(70.0)
    # one of two metrics of one of eight sets
    scores["glue_mrpc"]["f1"] = 66.0
    assert glue_average(scores) == pytest.approx(51.0)
    scores["super_glue_wsc"]["accuracy"] = 78.0
    assert super_glue_average(scores) == pytest.approx(71.0)
    assert paper_columns(scores) == pytest.approx({"GLUE": 51.0, "SGLUE": 71.0})
    with pytest.raises(DataError, match="no score, or not every metric, of WNLI"):
        glue_average(scores, test=True)
    scores["glue_wnli_simple"] = {"accuracy": 60.0}
    assert glue_average(scores, test=True) == pytest.approx(52.0)
    scores["squad"] = {"em": 80.0, "f1": 88.0}
    scores["cnn_dailymail"] = {"rouge2": 19.0}
    scores["wmt_en_ro"] = {"bleu": 27.0}
    columns = paper_columns(scores)
    assert list(columns) == ["GLUE", "CNNDM", "SQuAD", "SGLUE", "EnRo"] and columns["SQuAD"] == 80.0
    del scores["glue_stsb"]["pearson_corrcoef"]
    with pytest.raises(DataError, match="of STS-B"):
        glue_average(scores)


def test_the_averages_reproduce_the_papers_baseline():
    """Table 16's first row."""
    scores = {
        "glue_cola": {"matthews_corrcoef": 53.84},
        "glue_sst2": {"accuracy": 92.68},
        "glue_mrpc": {"f1": 92.07, "accuracy": 88.92},
        "glue_stsb": {"pearson_corrcoef": 88.02, "spearman_corrcoef": 87.94},
        "glue_qqp": {"f1": 88.67, "accuracy": 91.56},
        "glue_mnli_matched": {"accuracy": 84.24},
        "glue_mnli_mismatched": {"accuracy": 84.57},
        "glue_qnli": {"accuracy": 90.48},
        "glue_rte": {"accuracy": 76.28},
    }
    assert glue_average(scores) == pytest.approx(83.28, abs=0.015)
    scores["glue_mnli"] = scores.pop("glue_mnli_matched")  # which is judged on the matched set as well
    assert glue_average(scores) == pytest.approx(83.28, abs=0.015)
