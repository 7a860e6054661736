"""The numbers of the paper's tables from the scores of single tasks.

GLUE and SuperGLUE are each the mean over their sets, and a set with two metrics counts as the mean of them (section
2.3 of the paper). On test sets GLUE has WNLI as a ninth.

    GLUE     = mean(CoLA, SST-2, mean(MRPC F1, acc), mean(STS-B P, S), mean(QQP F1, acc), mean(MNLI m, mm), QNLI, RTE)
    SuperGLUE = mean(BoolQ, mean(CB F1, acc), COPA, mean(MultiRC F1a, EM), mean(ReCoRD F1, EM), RTE, WiC, WSC)
"""

from collections.abc import Mapping
from types import MappingProxyType

from t5core.errors import DataError

Scores = Mapping[str, Mapping[str, float]]
"""Task name -> metric name -> value x100."""
Cells = tuple[tuple[str, str], ...]
"""(task, metric) pairs, of which the mean is taken."""

GLUE: Mapping[str, Cells] = MappingProxyType(
    {
        "CoLA": (("glue_cola", "matthews_corrcoef"),),
        "SST-2": (("glue_sst2", "accuracy"),),
        "MRPC": (("glue_mrpc", "f1"), ("glue_mrpc", "accuracy")),
        "STS-B": (("glue_stsb", "pearson_corrcoef"), ("glue_stsb", "spearman_corrcoef")),
        "QQP": (("glue_qqp", "f1"), ("glue_qqp", "accuracy")),
        "MNLI": (("glue_mnli_matched", "accuracy"), ("glue_mnli_mismatched", "accuracy")),
        "QNLI": (("glue_qnli", "accuracy"),),
        "RTE": (("glue_rte", "accuracy"),),
    }
)
WNLI: Mapping[str, Cells] = MappingProxyType({"WNLI": (("glue_wnli_simple", "accuracy"),)})
SUPER_GLUE: Mapping[str, Cells] = MappingProxyType(
    {
        "BoolQ": (("super_glue_boolq", "accuracy"),),
        "CB": (("super_glue_cb", "mean_3class_f1"), ("super_glue_cb", "accuracy")),
        "COPA": (("super_glue_copa", "accuracy"),),
        "MultiRC": (("super_glue_multirc", "f1"), ("super_glue_multirc", "exact_match")),
        "ReCoRD": (("super_glue_record", "f1"), ("super_glue_record", "em")),
        "RTE": (("super_glue_rte", "accuracy"),),
        "WiC": (("super_glue_wic", "accuracy"),),
        "WSC": (("super_glue_wsc", "accuracy"),),
    }
)
OTHERS: Mapping[str, Cells] = MappingProxyType(
    {
        "CNNDM": (("cnn_dailymail", "rouge2"),),
        "SQuAD": (("squad", "em"),),
        "EnDe": (("wmt_en_de", "bleu"),),
        "EnFr": (("wmt_en_fr", "bleu"),),
        "EnRo": (("wmt_en_ro", "bleu"),),
    }
)
PAPER_COLUMNS = ("GLUE", "CNNDM", "SQuAD", "SGLUE", "EnDe", "EnFr", "EnRo")
"""In the order of the paper's tables."""


def set_scores(scores: Scores, sets: Mapping[str, Cells]) -> dict[str, float]:
    """Returns the score of every set whose metrics are all there, x100.

    Where only "glue_mnli" was judged, that is MNLI's matched set.
    """
    if "glue_mnli" in scores:
        scores = {"glue_mnli_matched": scores["glue_mnli"], **scores}
    known = {
        name: [scores[task][metric] for task, metric in cells if metric in scores.get(task, {})]
        for name, cells in sets.items()
    }
    return {name: sum(values) / len(values) for name, values in known.items() if len(values) == len(sets[name])}


def glue_average(scores: Scores, *, test: bool = False) -> float:
    """Returns the GLUE average x100 of eight sets, on test sets of nine.

    Raises:
        DataError: a score is missing: which.
    """
    return _average("glue_average", scores, {**GLUE, **WNLI} if test else GLUE)


def super_glue_average(scores: Scores) -> float:
    """Returns the SuperGLUE average x100 of eight sets.

    Raises:
        DataError: a score is missing: which.
    """
    return _average("super_glue_average", scores, SUPER_GLUE)


def paper_columns(scores: Scores) -> dict[str, float]:
    """Returns the columns of the paper's tables, x100, as far as all their scores are there, in the tables' order."""
    columns = set_scores(scores, OTHERS)
    for name, sets in (("GLUE", GLUE), ("SGLUE", SUPER_GLUE)):
        known = set_scores(scores, sets)
        if len(known) == len(sets):
            columns[name] = sum(known.values()) / len(known)
    return {name: columns[name] for name in PAPER_COLUMNS if name in columns}


def _average(field: str, scores: Scores, sets: Mapping[str, Cells]) -> float:
    known = set_scores(scores, sets)
    missing = [name for name in sets if name not in known]
    if missing:
        raise DataError(field, ", ".join(known), f"no score, or not every metric, of {', '.join(missing)}")
    return sum(known.values()) / len(known)
