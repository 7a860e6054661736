import gzip
import json

import pytest

PAIR = {"premise": "Rain fell.", "hypothesis": "It rained.", "label": 0, "idx": 0}


def test_render_gives_the_text_of_every_example_in_order(t5core, tmp_path):
    record = {"passage": "p", "query": "q", "entities": ["a"], "answers": ["a", "b"], "idx": {}}
    code, out, err = t5core("render", "super_glue_record", stdin=[record, dict(record, answers=[])])
    assert (code, err) == (0, "")
    inputs = "record query: q entities: a passage: p"
    assert [json.loads(line) for line in out.splitlines()] == [
        {"inputs": inputs, "targets": target} for target in ("a", "b", "<unk>")
    ]
    path = tmp_path / "some.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(PAIR).encode()))
    assert t5core("render", "glue_mnli", "--file", path)[:2] == (
        0,
        '{"inputs": "mnli hypothesis: It rained. premise: Rain fell.", "targets": "entailment"}\n',
    )


def test_mixed_newlines_null_bytes_and_half_a_surrogate_pair(t5core):
    stdin = b'{"sentence": "a\\u0000b\\u2028c", "label": 1}\r\n\n\r{"sentence": "\\ud83d \xc3\xa9", "label": 0}\n\0'
    code, out, _ = t5core("render", "glue_cola", stdin=stdin)
    assert code == 0
    first, second = out.removesuffix("\n").split("\n")
    assert json.loads(first)["inputs"] == "cola sentence: a\0b\u2028c"
    assert json.loads(second)["inputs"] == "cola sentence: \ud83d é"


def test_score_prints_metrics_and_counts_outputs_that_are_no_label(t5core):
    rows = [{"target": "acceptable", "prediction": p} for p in ("acceptable", "Acceptable", "")]
    rows.append({"target": "unacceptable", "prediction": "unacceptable"})
    code, out, err = t5core("score", "glue_cola", stdin=rows)
    assert code == 0 and set(json.loads(out)) == {"matthews_corrcoef"}
    assert err == "t5core: 2 of 4 outputs are nothing that a target can be: they count as wrong\n"


def test_what_a_metric_needs_stands_beside_the_target_or_in_context(t5core):
    rows = [{"target": "x", "prediction": "y", "context": {"answers": ["Y"]}}]
    rows.append({"target": "x", "prediction": "y", "answers": ["z", "y"]})
    code, out, _ = t5core("score", "squad", stdin=rows)
    assert code == 0 and json.loads(out) == {"em": 100.0, "f1": 100.0}
    row = {"target": "Ann", "prediction": "the Ann", "label": 1, "targets": "Ann"}
    assert json.loads(t5core("score", "super_glue_wsc", stdin=[row])[1]) == {"accuracy": 100.0}


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (
            ("render", "glue_mnli"),
            [PAIR, {"premise": "a"}],
            "stdin:2: hypothesis=None: the example has no such field",
        ),
        (("render", "glue_mnli"), [dict(PAIR, label=3)], "stdin:1: label=3: labels are 0 entailment"),
        (("render", "glue_mnli"), b'{"premise": "\xe9"}', "stdin:1=b"),
        (("render", "glue_mnli"), "not json\n", "this line is not JSON"),
        (("render", "glue_mnli"), "\n\n", "file='stdin': there is nothing in it"),
        (("render", "glue_mnli", "--file", "nowhere"), "", "file='nowhere': cannot be read: No such file"),
        (("render", "glue_mnly"), "", "did you mean 'glue_mnli'"),
        (("render",), "", "see t5core render --help"),
        (
            ("score", "glue_rte"),
            [{"target": "entailment"}],
            "stdin:1: prediction=None: the line has no such field",
        ),
        (("score", "glue_rte"), [{"target": "entailed", "prediction": ""}], "stdin:1: target='entailed'"),
        (("score", "glue_rte"), [{"target": 1, "prediction": ""}], "stdin:1: target=1: this field has to be text"),
        (
            ("score", "super_glue_wsc"),
            [{"target": "a", "prediction": "a"}],
            "stdin:1: label=None: the metric needs",
        ),
        (("score", "squad"), [{"target": "a", "prediction": "", "answers": "a"}], "stdin:1: answers='a'"),
        (
            ("score", "glue_rte"),
            [{"target": None, "prediction": ""}],
            "stdin:1: target=None: target is null in this line",
        ),
        (("render", "glue_rte"), [{"sentence1": None}], "stdin:1: sentence1=None: sentence1 is null in this line"),
        (("tasks", "--check", "nowhere.yaml"), "", "tasks='nowhere.yaml': no such file"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(t5core, arguments, stdin, message):
    code, out, err = t5core(*arguments, stdin=stdin)
    assert code == 2 and message in err and err.startswith("t5core: error: ") and err.count("\n") == 1
    assert out == "" or json.loads(out)  # what came before the bad line


def test_tasks_are_listed(t5core):
    code, out, _ = t5core("tasks")
    assert code == 0
    for shown in ("glue_cola", "super_glue_wsc_train", "wmt_en_ro", "doc_cloze", "rajpurkar/squad", "rouge2*"):
        assert shown in out


def test_a_task_of_ones_own_is_checked_and_three_examples_are_shown(t5core, tmp_path):
    rows = [json.dumps({"a": f"text {i}", "b": str(i)}) for i in range(5)]
    for split in ("train", "validation"):
        (tmp_path / f"{split}.jsonl").write_text("\n".join(rows))
    (tmp_path / "mine.yaml").write_text('name: mine\nsource: .\ninputs: "x {a}"\ntargets: "{b}"\nmetrics: accuracy\n')
    code, out, _ = t5core("tasks", "--check", tmp_path / "mine.yaml")
    assert code == 0 and out.startswith("mine: accuracy; ranked by accuracy\ntrain: 5 examples, fingerprint ")
    assert out.count("; all were read and are good\n") == 2
    assert out.count("inputs:  x text ") == out.count("targets: ") == 3
    code, out, _ = t5core("render", tmp_path / "mine.yaml", stdin=[{"a": "1", "b": "2"}])
    assert json.loads(out) == {"inputs": "x 1", "targets": "2"}
