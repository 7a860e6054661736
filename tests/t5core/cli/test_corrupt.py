import json

import pytest

from t5core.config import VocabularyConfig
from t5core.vocabulary import train_vocabulary

TEXT = "Thank you for inviting me to your party last week . It was a pleasure to meet all of your friends ."
NAMES = [
    *("span", "iid", "bert", "mass", "drop", "deshuffle"),
    *("prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens"),
]


@pytest.fixture
def corrupt(t5core):
    return lambda *arguments, text=TEXT: t5core("corrupt", *arguments, stdin=text)


def pair(out):
    inputs, targets = out.splitlines()
    assert inputs.startswith("inputs:  ") and targets.startswith("targets: ")
    return inputs.removeprefix("inputs:  "), targets.removeprefix("targets: ")


def test_span_corruption_shows_words_and_sentinels(corrupt):
    code, out, err = corrupt("--objective", "span", "--mean-span", "3", "--rate", "0.15", "--seed", "0")
    inputs, targets = pair(out)
    assert code == 0 and len(err.splitlines()) == 1
    # 22 words: 3 are noise, in one span
    before, after = inputs.split("<extra_id_0>")
    assert targets.startswith("<extra_id_0> ") and len(targets.split()) == 4
    assert f"{before}{targets.removeprefix('<extra_id_0> ')}{after}" == TEXT


@pytest.mark.parametrize("name", NAMES)
def test_every_objective_has_something_to_show(corrupt, name):
    code, out, _ = corrupt("--objective", name, "--rate", "0.3")
    inputs, targets = pair(out)
    assert code == 0 and inputs and targets
    if name in ("bert", "mass", "deshuffle"):
        assert targets == TEXT and inputs != TEXT
    if name == "prefix_lm":
        assert f"{inputs} {targets}" == TEXT


def test_the_seed_decides(corrupt):
    runs = [corrupt("--objective", "iid", "--seed", seed)[1] for seed in ("0", "0", "1", "2", "3")]
    assert runs[0] == runs[1] and len(set(runs)) > 1


def test_long_texts_are_shown_part_by_part(corrupt):
    _, out, _ = corrupt("--length", "16", "--objective", "mass")
    parts = out.split("\n\n")
    assert len(parts) == 2 and parts[0].count("inputs:") == 1


def test_json_has_one_object_per_line(corrupt):
    _, out, _ = corrupt("--json", "--length", "16", "--objective", "drop")
    rows = [json.loads(line) for line in out.splitlines()]
    assert len(rows) == 2 and all(set(row) == {"inputs", "targets"} for row in rows)


def test_a_vocabulary_shows_its_pieces_and_their_ids(corrupt, tmp_path):
    config = VocabularyConfig(num_pieces=285, num_sentinels=10, character_coverage=1.0)
    vocabulary = train_vocabulary([TEXT] * 5, config, tmp_path)
    code, out, err = corrupt("--vocabulary", str(tmp_path), "--json")
    row = json.loads(out.splitlines()[0])
    assert code == 0 and err == ""
    assert row["input_ids"][-1] == row["target_ids"][-1] == 1
    assert vocabulary.sentinel_id(0) in row["input_ids"] and "<extra_id_0>" in row["inputs"]
    assert vocabulary.decode(row["target_ids"]) == row["targets"]


def test_flags_an_objective_has_no_use_for_are_said(corrupt):
    code, _, err = corrupt("--objective", "prefix_lm", "--rate", "0.5", "--mean-span", "3")
    assert code == 0 and "--rate is not used" in err and "--mean-span is not used" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--rate", "2"), "rate=2.0: give a corruption rate between 0 and 1, like 0.15"),
        (("--rate", "0"), "rate=0.0: give"),
        (("--rate", "nan"), "rate=nan: give"),
        (("--rate", "much"), "rate='much': give a number"),
        (("--objective", "spam"), "(did you mean 'span'?)"),
        (("--mean-span", "0.5"), "mean_span=0.5: give"),
        (("--length", "3"), "length=3: give"),
        (("--seed", "-1"), "seed='-1': give a whole number"),
        (("--vocabulary", "nowhere"), "vocabulary='nowhere': "),
        (("--rat", "0.1"), "arguments='unrecognized arguments: --rat 0.1'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(corrupt, arguments, message):
    code, out, err = corrupt(*arguments)
    assert code == 2 and out == "" and len(err.splitlines()) == 1
    assert err.startswith("t5core: error: ") and message in err


@pytest.mark.parametrize("text", ["", " \n", b"\xff\xfe"])
def test_input_that_is_no_text_is_an_error(corrupt, text):
    code, out, err = corrupt(text=text)
    assert code == 2 and out == "" and err.startswith("t5core: error: stdin=") and len(err.splitlines()) == 1
