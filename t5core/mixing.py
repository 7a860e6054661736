"""Mixtures: how often each task is drawn (sections 3.5.2 and 3.5.3 of the paper).

    examples-proportional    r = min(n, K), divided by the sum: K keeps large sets from drowning small ones
    temperature              r ** (1/T) of that: T = 1 is proportional, a large T nearly equal
    equal                    every task alike

    rates({"glue_rte": 2490, "glue_mnli": 392_702}, maximum=10_000)     # {"glue_rte": 0.199, "glue_mnli": 0.801}

The unsupervised task is one of the tasks; its artificial size stands for its weight. A size is the number of training
examples, so a task whose rate is higher than its share simply comes round more often.
"""

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from t5core.config import MixtureConfig
from t5core.errors import ConfigError

UNSUPERVISED = "unsupervised"
"""The name of training on unlabeled text among the tasks of a mixture."""
PAPER_MAXIMUMS = tuple(2**power for power in range(16, 22))
"""K in Table 11."""
PAPER_TEMPERATURES = (2.0, 4.0, 8.0)
"""T in Table 11, all with K = 2^21."""

GLUE_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "glue_cola": 8_551,
        "glue_sst2": 67_349,
        "glue_mrpc": 3_668,
        "glue_qqp": 363_849,
        "glue_stsb": 5_749,
        "glue_mnli": 392_702,
        "glue_qnli": 104_743,
        "glue_rte": 2_490,
    }
)
"""Training examples of GLUE's sets; without WNLI, which is never trained on."""
SUPER_GLUE_SIZES: Mapping[str, int] = MappingProxyType(
    {
        "dpr": 1_322,
        "super_glue_wsc_train": 259,
        "super_glue_boolq": 9_427,
        "super_glue_cb": 250,
        "super_glue_copa": 400,
        "super_glue_multirc": 27_243,
        "super_glue_record": 138_854,
        "super_glue_rte": 2_490,
        "super_glue_wic": 5_428,
    }
)
"""Training examples of SuperGLUE's sets, ReCoRD's by answers, WSC's of true candidates, and DPR, which joins them."""
PAPER_SIZES: Mapping[str, int] = MappingProxyType(
    {
        **GLUE_SIZES,
        **SUPER_GLUE_SIZES,
        "cnn_dailymail": 287_113,
        "squad": 87_599,
        "wmt_en_de": 4_592_289,
        "wmt_en_fr": 40_853_137,
        "wmt_en_ro": 610_320,
    }
)
"""Training examples of every supervised task of the paper."""


def rates(
    num_examples: Mapping[str, float], maximum: float | None = None, temperature: float = 1.0
) -> dict[str, float]:
    """Returns how often each task is drawn; the rates sum to 1.

    Args:
        num_examples: training examples of each task; 0 for one that is only evaluated.
        maximum: sizes count up to here (the paper's K); None or 0: as they are. It comes before the temperature.
        temperature: the paper's T, above 0.

    Raises:
        ConfigError: no task, a size below 0 or not finite, no size above 0, a limit or temperature that cannot be.
    """
    if not num_examples:
        raise ConfigError("num_examples", {}, "give the size of at least one task")
    for name, size in num_examples.items():
        if not _is_number(size) or size < 0:
            raise ConfigError(f"num_examples.{name}", size, "give a number of examples, 0 or more")
    if maximum is not None and (not _is_number(maximum) or maximum < 0):
        raise ConfigError("maximum", maximum, "give a number of examples above 0, or none")
    if not _is_number(temperature) or temperature <= 0:
        raise ConfigError("temperature", temperature, "give a number above 0; 1 is proportional")
    largest = max(num_examples.values())
    if largest == 0:
        raise ConfigError("num_examples", dict(num_examples), "give a size above 0 to at least one task")
    limit = min(largest, maximum) if maximum else largest
    # shares of the largest size: a power of them cannot overflow
    weights = {name: (min(size, limit) / limit) ** (1.0 / temperature) for name, size in num_examples.items()}
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def equal(names: Iterable[str]) -> dict[str, float]:
    """Returns the same rate for every task.

    Raises:
        ConfigError: no task.
    """
    return rates(dict.fromkeys(names, 1))


def size_between(num_examples: Mapping[str, float], place: float) -> float:
    """Returns the number at a place between the smallest size (0) and the largest (1), on a logarithmic scale.

    Sizes 1,000 and 16,000: 0.25 is 2,000.
    """
    known = [size for size in num_examples.values() if size > 0]
    if not known:
        raise ConfigError("num_examples", dict(num_examples), "give a size above 0 to at least one task")
    low, high = min(known), max(known)
    return float(low * (high / low) ** place)


def mixture_rates(mixture: MixtureConfig, num_examples: Mapping[str, float]) -> dict[str, float]:
    """Returns how often each task is drawn by a config; the rates sum to 1.

    RTE, where both benchmarks' are there, counts once, half in each.

    Args:
        mixture: which; if unlabeled text takes part, UNSUPERVISED is among the result's keys.
        num_examples: training examples of each task, without unlabeled text.

    Raises:
        ConfigError: weights that name other tasks than there are; see ``rates``.
    """
    sizes = share_rte(num_examples)
    maximum = mixture.maximum
    if mixture.maximum_between is not None:
        maximum = size_between(sizes, mixture.maximum_between)
    if mixture.unsupervised is not None:
        sizes[UNSUPERVISED] = mixture.unsupervised
    if mixture.kind == "equal":
        return equal(sizes)
    if mixture.kind == "proportional":
        return rates(sizes, maximum, mixture.temperature)
    weights = {w.name: w.weight for w in mixture.weights}
    for name in (*weights, *sizes):
        if name not in sizes:
            raise ConfigError("weights", name, f"no such task here; there are {', '.join(sizes)}", choices=sizes)
        if name not in weights:
            raise ConfigError("weights", name, "has no weight: give every task one, 0 to leave it out")
    return rates(weights)


def share_rte(num_examples: Mapping[str, float]) -> dict[str, float]:
    """Returns the sizes with both RTEs halved where both are in the mixture: they are the same examples."""
    twins = ("glue_rte", "super_glue_rte")
    both = all(name in num_examples for name in twins)
    return {name: size / 2 if both and name in twins else size for name, size in num_examples.items()}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
