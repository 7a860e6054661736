"""GLUE's own files: folders and files as they are called there, quotes that are text, labels that are words."""

import pickle

import pytest

from t5core.errors import DataError
from t5core.tasks import get_task, identities


def read(data_dir, split="train", name="glue_cola"):
    return [(pair.inputs, pair.targets) for pair in get_task(name).read(split, data_dir)]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cola").mkdir()
    return tmp_path / "cola"


NLI = 'index\tsentence1\tsentence2\tlabel\n0\tRain "fell.\tIt rained.\tentailment\n1\ta\tb\tnot_entailment\n'
MRPC = '\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\tHe "left.\tHe went.\n0\t7\t9\ta\tb\n'
MNLI = 'index\tgenre\tsentence1\tsentence2\tlabel1\tgold_label\n0\tx\tRain fell.\tIt "rained.\tneutral\tcontradiction\n'
OWN = {
    "glue_rte": (NLI, [('rte sentence1: Rain "fell. sentence2: It rained.', "entailment")]),
    "glue_qnli": (
        NLI.replace("sentence1", "question").replace("sentence2", "sentence"),
        [('qnli question: Rain "fell. sentence: It rained.', "entailment")],
    ),
    "glue_sst2": ('sentence\tlabel\n"Warm bread \t1\n', [('sst2 sentence: "Warm bread ', "positive")]),
    "glue_mrpc": (MRPC, [('mrpc sentence1: He "left. sentence2: He went.', "equivalent")]),
    "glue_qqp": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\tWho?\tWhy?\t0\n",
        [("qqp question1: Who? question2: Why?", "not_duplicate")],
    ),
    "glue_stsb": (
        "index\tgenre\tsentence1\tsentence2\tscore\n0\tx\ta\tb\t3.800\n",
        [("stsb sentence1: a sentence2: b", "3.8")],
    ),
    "glue_mnli": (MNLI, [('mnli hypothesis: It "rained. premise: Rain fell.', "contradiction")]),
    "glue_mnli_mismatched": (MNLI, [('mnli hypothesis: It "rained. premise: Rain fell.', "contradiction")]),
}


@pytest.mark.parametrize("name", OWN)
def test_glues_own_files_are_read_as_they_are(tmp_path, name):
    content, expected = OWN[name]
    folder = tmp_path / get_task(name).source.folders[0]
    folder.mkdir()
    (folder / "dev.tsv").write_text(content, encoding="utf-8")
    assert read(tmp_path, "validation", name)[:1] == expected
    assert len(read(tmp_path, "validation", name)) == content.count("\n") - 1


def test_cola_without_a_header_is_refused_with_what_to_do(folder):
    (folder / "train.tsv").write_text("gj04\t1\t\tOur friends won't buy it.\ngj04\t0\t*\tThey drank the pub.\n")
    message = r"train\.tsv:1=.gj04, 1, , Our .*: the first line has to be the header, and names none of sentence, label"
    with pytest.raises(DataError, match=rf"{message}.* \(above GLUE's CoLA: source\\tlabel\\tmark\\tsentence\)"):
        read(folder.parent)
    lines = (folder / "train.tsv").read_text()
    (folder / "train.tsv").write_text(f"source\tlabel\tmark\tsentence\n{lines}")
    assert read(folder.parent) == [
        ("cola sentence: Our friends won't buy it.", "acceptable"),
        ("cola sentence: They drank the pub.", "unacceptable"),
    ]


def test_super_glues_own_labels_are_words(tmp_path):
    (tmp_path / "cb").mkdir()
    (tmp_path / "cb" / "train.jsonl").write_text('{"premise": "a", "hypothesis": "b", "label": "neutral", "idx": 0}\n')
    assert read(tmp_path, "train", "super_glue_cb") == [("cb hypothesis: b premise: a", "neutral")]


FOLDERS = {
    **{"CoLA": "glue_cola", "SST-2": "glue_sst2", "STS-B": "glue_stsb", "MNLI": "glue_mnli", "RTE": "glue_rte"},
    **{"QNLI": "glue_qnli", "MRPC": "glue_mrpc", "QQP": "glue_qqp", "WNLI": "glue_wnli_simple", "sst-2": "glue_sst2"},
    **{"diagnostic": "glue_ax", "AX": "glue_ax", "BoolQ": "super_glue_boolq", "AX-b": "super_glue_axb"},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_are_found_by_the_benchmarks_names(tmp_path, name):
    (tmp_path / name).mkdir()
    opened = get_task(FOLDERS[name]).source.open(tmp_path)
    assert opened.path == tmp_path / name
    (tmp_path / "unlike").mkdir()
    with pytest.raises(DataError, match="no such set there"):
        get_task(FOLDERS[name]).source.open(tmp_path / "unlike")


def test_the_exact_name_comes_first_and_two_others_are_not_guessed(tmp_path):
    for name in ("SST-2", "Sst2"):
        (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=r"data_dir=.*: it has sst2 twice, as SST-2 and Sst2: keep one of them"):
        get_task("glue_sst2").source.open(tmp_path)
    (tmp_path / "sst2").mkdir()
    assert get_task("glue_sst2").source.open(tmp_path).path == tmp_path / "sst2"


def mnli(text, label="neutral"):
    return f"index\tsentence1\tsentence2\tgold_label\n0\t{text}\tb\t{label}\n"


@pytest.mark.parametrize(("begin", "ending"), [("dev", ".tsv"), ("validation", ".tsv"), ("dev", "-00000-of-00001.tsv")])
def test_both_development_sets_of_mnli_lie_in_one_folder(tmp_path, begin, ending):
    (tmp_path / "MNLI").mkdir()
    for kind in ("matched", "mismatched"):
        (tmp_path / "MNLI" / f"{begin}_{kind}{ending}").write_text(mnli(kind))
        (tmp_path / "MNLI" / f"test_{kind}.tsv").write_text(f"index\tsentence1\tsentence2\n0\t{kind} test\tb\n")
    (tmp_path / "MNLI" / "train.tsv").write_text(mnli("train"))
    for name, kind in (("mnli", "matched"), ("mnli_matched", "matched"), ("mnli_mismatched", "mismatched")):
        expected = [(f"mnli hypothesis: b premise: {kind}", "neutral")]
        assert read(tmp_path, "validation", f"glue_{name}") == expected
        assert read(tmp_path, "test", f"glue_{name}") == [(f"mnli hypothesis: b premise: {kind} test", "<unk>")]
    assert identities(get_task("glue_mnli"), tmp_path).keys() == {"train", "validation"}
    (tmp_path / "MNLI" / "dev.tsv").write_text(mnli("again"))
    with pytest.raises(DataError, match=r"has it twice, as .*dev\.tsv"):
        read(tmp_path, "validation", "glue_mnli")
    assert read(tmp_path, "validation", "glue_mnli_mismatched")
    (tmp_path / "MNLI" / f"{begin}_mismatched{ending}").unlink()
    with pytest.raises(DataError, match=r"no file validation_mismatched\.jsonl .*it has dev\.tsv"):
        read(tmp_path, "validation", "glue_mnli_mismatched")


def test_two_names_of_a_split_are_not_read_as_one(folder):
    for name in ("dev.tsv", "validation.tsv"):
        (folder / name).write_text("sentence\tlabel\nSo it goes.\t1\n")
    with pytest.raises(DataError, match=r"has it twice, as dev\.tsv and validation\.tsv: keep one of them"):
        read(folder.parent, "validation")


@pytest.mark.parametrize("name", ["diagnostic/diagnostic.tsv", "ax/test.tsv"])
def test_the_diagnostic_set_has_no_labels(tmp_path, name):
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text("index\tsentence1\tsentence2\n0\tRain fell.\tIt rained.\n")
    assert read(tmp_path, "test", "glue_ax") == [("mnli hypothesis: It rained. premise: Rain fell.", "<unk>")]


TESTS = {
    "glue_cola": ("index\tsentence\n0\tSo.\n", "cola sentence: So.", "<unk>"),
    "glue_mrpc": ("index\t#1 String\t#2 String\n0\ta\tb\n", "mrpc sentence1: a sentence2: b", "<unk>"),
    "glue_stsb": ("index\tsentence1\tsentence2\n0\ta\tb\n", "stsb sentence1: a sentence2: b", "-1.0"),
    "super_glue_record": (
        'passage\tquery\tentities\np\tq\t["a"]\n',
        "record query: q entities: a passage: p",
        "<unk>",
    ),
    "super_glue_wsc": (
        "text\tspan1_text\tspan1_index\tspan2_text\tspan2_index\nAnn said she won.\tAnn\t0\tshe\t2\n",
        "wsc: Ann said *she* won.",
        "Ann",
    ),
}


@pytest.mark.parametrize("name", TESTS)
def test_a_test_file_needs_no_label(tmp_path, name):
    content, inputs, target = TESTS[name]
    folder = tmp_path / get_task(name).source.folders[0]
    folder.mkdir()
    for split in ("test", "train"):
        (folder / f"{split}.tsv").write_text(content)
    assert read(tmp_path, "test", name) == [(inputs, target)]
    with pytest.raises(DataError, match=r"train\.tsv:2: (label|answers)=None: the example has no such field"):
        read(tmp_path, "train", name)


@pytest.mark.parametrize("cells", ["133273\t213221\t213222\tHow?", "0"])
def test_a_row_that_is_too_short_is_told(tmp_path, cells):
    (tmp_path / "QQP").mkdir()
    header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate"
    (tmp_path / "QQP" / "train.tsv").write_text(f"{header}\n0\t1\t2\tWho?\tWhy?\t0\n{cells}\n")
    count = cells.count("\t") + 1
    with pytest.raises(DataError) as caught:
        read(tmp_path, "train", "glue_qqp")
    said = f"this row has fewer cells than the header, {count} of 6: give it all of them, or take it out"
    assert str(caught.value) == f"{tmp_path / 'QQP' / 'train.tsv'}:3={cells!r}: {said}"


@pytest.mark.parametrize("name", ["glue_mnli", "glue_mnli_mismatched", "glue_ax", "glue_rte"])
def test_sets_travel_between_processes(name):
    source = get_task(name).source
    assert pickle.loads(pickle.dumps(source)) == source
