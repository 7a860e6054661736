"""ROUGE (rouge-score) and BLEU (SacreBLEU), read pair by pair.

ROUGE of a set is, as in the released code, the middle of a bootstrap: the median of the mean F-measure over 1,000
sets drawn from it. The released code draws anew at every call; here the draws are those of one fixed seed, so that a
score is a number and not a range. With one pair it is that pair's F-measure.

    counts_DN    how often each of N pairs is in each of D = 1,000 draws
    median over D of (f_N @ counts_DN.T / N)

BLEU needs the whole set: a pair is read as its lengths and n-gram counts, and the counts are added up first. It is the
paper's: "exp" smoothing, "intl" tokens, not lower-cased.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from t5core.errors import ConfigError
from t5core.metrics.metric import Context, Contexts, Floats, Metric, plain
from t5core.metrics.rouge_rows import KINDS, rouge_rows
from t5core.scripts import is_unparted

DRAWS = 1_000
_MAX_NGRAM = 4
_DRAWN_NUMBERS = 1 << 24


@dataclass(frozen=True)
class Summaries:
    """Reads summaries: [N, 3], the F-measures of ROUGE-1, ROUGE-2 and ROUGE-Lsum.

    Sentences are told apart at line ends and after " . ". Many pairs are read by several processes; see ``rouge_rows``.

    Args:
        stemmed: take words by their Porter stems; the released code does not.
        any_script: take words of any script; the released code's are runs of ASCII letters and digits, so that texts in
            Russian have none and get 0.
        processes: at most so many; None: one for each core that this process may use.
    """

    stemmed: bool = False
    any_script: bool = False
    processes: int | None = None

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 3]."""
        pairs = list(zip(targets, predictions, strict=True))
        return rouge_rows(pairs, stemmed=self.stemmed, any_script=self.any_script, processes=self.processes)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns 0: any text may be a summary."""
        return 0

    def note(self, targets: Sequence[str]) -> str:
        """Returns what a score has to be read with: that most of some targets' letters are not seen; or ""."""
        unseen = 0 if self.any_script else sum(map(_is_mostly_unseen, targets))
        if not unseen:
            return ""
        return (
            f"ROUGE's words are ASCII letters and digits, as in the released code: {unseen} of {len(targets)} targets "
            "are mostly of others; tasks of your own may take rouge_any_script"
        )

    def check(self, target: str, context: Context) -> None:
        """Takes any target."""


def _is_mostly_unseen(text: str) -> bool:
    if text.isascii():
        return False
    letters = sum(map(str.isalnum, text))
    return 2 * sum(char.isascii() and char.isalnum() for char in text) < letters


@dataclass(frozen=True)
class Rouge(Metric):
    """ROUGE F-measure.

    Args:
        name: "rouge1", "rouge2" or "rougeLsum".
    """

    name: str
    reading: Summaries = Summaries()

    def __post_init__(self) -> None:
        if self.name not in KINDS:
            raise ConfigError("metrics", self.name, f"choose from {', '.join(KINDS)}", choices=KINDS)

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns the middle of the bootstrap x100."""
        values = scores_Uk[..., KINDS.index(self.name)]
        if values.shape[-1] == 0:
            return plain(np.zeros(values.shape[:-1]))
        return plain(100.0 * np.median(_drawn_means(values), axis=-1))


@dataclass(frozen=True)
class Translations:
    """Reads translations: [N, 10], tokens of output and target, then matching and all n-grams of 1 to 4 tokens.

    Args:
        tokenizer: SacreBLEU's: "intl" as in the released code, "char" for scripts that part no words by blanks.
    """

    tokenizer: str = "intl"

    def __call__(self, targets: Sequence[str], predictions: Sequence[str], contexts: Contexts = None) -> Floats:
        """Returns float64 [N, 10]."""
        from sacrebleu.metrics.bleu import BLEU

        # effective_order does not touch the counts; without it every sentence is warned about
        bleu = BLEU(tokenize=self.tokenizer, effective_order=True)
        rows = []
        for target, prediction in zip(targets, predictions, strict=True):
            score = bleu.sentence_score(prediction, [target])
            rows.append([score.sys_len, score.ref_len, *score.counts, *score.totals])
        return np.array(rows, dtype=np.float64).reshape(-1, 2 + 2 * _MAX_NGRAM)

    def invalid(self, predictions: Sequence[str]) -> int:
        """Returns 0: any text may be a translation."""
        return 0

    def note(self, targets: Sequence[str]) -> str:
        """Returns what a score has to be read with: that tokens are whole clauses where blanks part no words; or ""."""
        unparted = 0 if self.tokenizer != "intl" else sum(map(is_unparted, targets))
        if not unparted:
            return ""
        return (
            f"BLEU's tokens are parted by blanks and marks, as in the released code: {unparted} of {len(targets)} "
            "targets are in a script without blanks; tasks of your own may take bleu_characters"
        )

    def check(self, target: str, context: Context) -> None:
        """Takes any target."""


@dataclass(frozen=True)
class Bleu(Metric):
    """Corpus BLEU."""

    reading: Translations = Translations()
    name: str = "bleu"

    def aggregate(self, scores_Uk: Floats) -> Any:
        """Returns BLEU, 0 to 100; 0 where no n-gram matches."""
        totals = scores_Uk.sum(-2)
        flat = totals.reshape(-1, totals.shape[-1])
        return plain(np.array([_bleu(row) for row in flat]).reshape(totals.shape[:-1]))


def _bleu(row: Floats) -> float:
    from sacrebleu.metrics.bleu import BLEU

    sys_len, ref_len, *counts = (int(value) for value in row)
    correct, total = counts[:_MAX_NGRAM], counts[_MAX_NGRAM:]
    return float(BLEU.compute_bleu(correct, total, sys_len, ref_len, smooth_method="exp").score)


def _drawn_means(values: Floats) -> Floats:
    """The mean of every draw: [..., D] from [..., N]; draws that do not fit into memory at once go in parts."""
    count = values.shape[-1]
    at_once = max(1, _DRAWN_NUMBERS // count)
    means = [values @ _counts(count, first, min(at_once, DRAWS - first)).T for first in range(0, DRAWS, at_once)]
    drawn: Floats = np.concatenate(means, axis=-1) / count
    return drawn


@lru_cache(maxsize=2)
def _counts(count: int, first: int, draws: int) -> Floats:
    """How often each of ``count`` pairs is in draws ``first`` and following: [draws, count]."""
    rng = np.random.default_rng([count, first])
    return rng.multinomial(count, np.full(count, 1.0 / count), size=draws).astype(np.float64)
