"""The paper's metrics: as classes that can be bootstrapped, and as plain functions under the field's names.

In: targets, predictions, and what else a scorer has to know. Out: values x100, and for each example the numbers that
they are computed from. Never: a model.

See ``t5core.metrics.metric`` for how they are made. Definitions follow the released evaluation code: an output that is
no label is wrong; text that is no number counts as -1; constant outputs have no correlation and get 0.
"""

from t5core.metrics.answers import (
    Answers,
    ExactMatch,
    Referents,
    TokenF1,
    lower_text,
    normalize_squad,
    normalize_trivia_qa,
)
from t5core.metrics.averages import glue_average, paper_columns, super_glue_average
from t5core.metrics.classes import (
    F1,
    Accuracy,
    AnswersF1,
    Classes,
    Matthews,
    MeanF1,
    Questions,
    SameText,
    WholeQuestions,
    string_label_to_class_id,
)
from t5core.metrics.functions import (
    accuracy,
    all_match,
    bleu,
    deduplicate_metric,
    f1_score_with_invalid,
    matthews_corrcoef,
    mean_group_metric,
    mean_multiclass_f1,
    pearson_corrcoef,
    rank_classification,
    rouge,
    sequence_accuracy,
    spearman_corrcoef,
    squad,
    trivia_qa,
)
from t5core.metrics.metric import Context, Contexts, Floats, MeanOf, Metric, Reading
from t5core.metrics.numbers import Numbers, Pearson, Spearman, string_to_float
from t5core.metrics.overlap import Bleu, Rouge, Summaries, Translations

__all__ = [
    "F1",
    "Accuracy",
    "Answers",
    "AnswersF1",
    "Bleu",
    "Classes",
    "Context",
    "Contexts",
    "ExactMatch",
    "Floats",
    "Matthews",
    "MeanF1",
    "MeanOf",
    "Metric",
    "Numbers",
    "Pearson",
    "Questions",
    "Reading",
    "Referents",
    "Rouge",
    "SameText",
    "Spearman",
    "Summaries",
    "TokenF1",
    "Translations",
    "WholeQuestions",
    "accuracy",
    "all_match",
    "bleu",
    "deduplicate_metric",
    "f1_score_with_invalid",
    "glue_average",
    "lower_text",
    "matthews_corrcoef",
    "mean_group_metric",
    "mean_multiclass_f1",
    "normalize_squad",
    "normalize_trivia_qa",
    "paper_columns",
    "pearson_corrcoef",
    "rank_classification",
    "rouge",
    "sequence_accuracy",
    "spearman_corrcoef",
    "squad",
    "string_label_to_class_id",
    "string_to_float",
    "super_glue_average",
    "trivia_qa",
]
