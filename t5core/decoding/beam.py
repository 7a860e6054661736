"""Beam search, in the two forms that results are compared with.

Both grow K beams by one token at a time, take the 2K best continuations, go on with the K best of those that have
not ended, and keep the K best of those that have. They differ in four places:

|                                   | "hf": transformers, no early stopping  | "t5": the released code              |
|-----------------------------------|----------------------------------------|--------------------------------------|
| score of n tokens, EOS counted    | log-probability / n^alpha              | log-probability / ((5+n)/6)^alpha    |
| which of the 2K may be kept       | ended ones among the first K           | all that have ended                  |
| at the length limit               | beams are kept as if they had ended    | beams count only if nothing has ended|
| an example is done when the worst | all K are kept, and beat the best beam | those kept beat the best beam's      |
| kept score cannot be bettered     | at its present length                  | score at the length limit            |

(``GenerationMixin._beam_search`` with ``early_stopping=False``; ``mesh_tensorflow.beam_search`` with ``stop_early``.)
A row's result does not depend on the other rows of its batch.

Example, "hf", alpha 1, K 2: kept are -2.0 and -2.4; the best beam has log-probability -15 after 6 tokens, -2.5 a
token. The example is done, although more tokens could still bring it to -2.3: transformers has it so.

Shapes: B examples still in the batch, A all examples, K beams, R = B·K rows, C = 2K continuations, N new tokens,
V vocab_size.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from t5core.decoding.ensemble import Ensemble
from t5core.decoding.greedy import EOS_ID
from t5core.decoding.pace import Pace
from t5core.model.inputs import PAD_ID

NEVER = -1e9
"""A score that no continuation has; finite, as differences of infinities are not numbers."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Hypotheses:
    """What a beam search found, the best first.

    Attributes:
        ids_AKN: up to and including EOS, then padding; no start token.
        scores_AK: log-probability with length penalty; NEVER where fewer than K were found.
    """

    ids_AKN: Tensor
    scores_AK: Tensor


class Rules(Protocol):
    """Where the two forms differ."""

    def penalty(self, length: int) -> float:
        """Returns what the log-probability of so many tokens is divided by."""

    def may_be_kept(self, ended_BC: Tensor, last: Tensor) -> Tensor:
        """Returns which continuations may be kept; ``last`` (bool, no dimensions): the length limit is reached."""

    def is_open(self, best_B: Tensor, kept: "Kept", penalty: Tensor, last_penalty: Tensor) -> Tensor:
        """Returns which examples may still find something better, bool ``[B]``.

        Args:
            best_B: log-probability of the best beam.
            kept: what has ended.
            penalty: at the present length.
            last_penalty: at the length limit.
        """


@dataclass(frozen=True, kw_only=True, eq=False)
class Kept:
    """The best hypotheses that have ended: ids ``[B, K, N]``, scores ``[B, K]``, and which of them are real."""

    ids_BKN: Tensor
    scores_BK: Tensor
    real_BK: Tensor

    def with_(self, ids_BCN: Tensor, scores_BC: Tensor, allowed_BC: Tensor) -> "Kept":
        """Returns the best K of these and those continuations that are allowed."""
        scores = torch.cat([self.scores_BK, torch.where(allowed_BC, scores_BC, NEVER)], dim=1)
        scores_BK, best_BK = scores.topk(self.scores_BK.shape[1], dim=1)
        ids = torch.cat([self.ids_BKN, ids_BCN], dim=1)
        real = torch.cat([self.real_BK, allowed_BC], dim=1)
        return Kept(ids_BKN=_of(ids, best_BK), scores_BK=scores_BK, real_BK=real.gather(1, best_BK))

    def select(self, examples_N: Tensor) -> "Kept":
        """Returns those of some examples."""
        ids, scores, real = (x[examples_N] for x in (self.ids_BKN, self.scores_BK, self.real_BK))
        return Kept(ids_BKN=ids, scores_BK=scores, real_BK=real)


@dataclass(frozen=True, kw_only=True)
class HuggingFaceRules:
    """transformers' beam search with ``early_stopping=False``."""

    alpha: float

    def penalty(self, length: int) -> float:
        """Returns ``length^alpha``."""
        return float(length**self.alpha)

    def may_be_kept(self, ended_BC: Tensor, last: Tensor) -> Tensor:
        """Returns the first K continuations if they have ended, by EOS or by the length limit."""
        first_C = torch.arange(ended_BC.shape[1], device=ended_BC.device) < ended_BC.shape[1] // 2
        return (ended_BC | last) & first_C

    def is_open(self, best_B: Tensor, kept: Kept, penalty: Tensor, last_penalty: Tensor) -> Tensor:
        """Returns whether K are not yet kept, or the best beam's score, as it is now, beats the worst of them."""
        return ~kept.real_BK.all(dim=1) | (best_B / penalty > kept.scores_BK.amin(dim=1))


@dataclass(frozen=True, kw_only=True)
class MeshRules:
    """The released code's beam search."""

    alpha: float

    def penalty(self, length: int) -> float:
        """Returns ``((5 + length) / 6)^alpha``."""
        return float(((5.0 + length) / 6.0) ** self.alpha)

    def may_be_kept(self, ended_BC: Tensor, last: Tensor) -> Tensor:
        """Returns the continuations that end in EOS."""
        return ended_BC

    def is_open(self, best_B: Tensor, kept: Kept, penalty: Tensor, last_penalty: Tensor) -> Tensor:
        """Returns whether nothing is kept, or the best beam could end with a better score than the worst kept."""
        worst_B = torch.where(kept.real_BK, kept.scores_BK, 0.0).amin(dim=1)  # scores are below 0
        return ~kept.real_BK.any(dim=1) | (best_B / last_penalty >= worst_B)


def rules(form: str, alpha: float) -> Rules:
    """Returns the rules of a form, "hf" or "t5"."""
    return HuggingFaceRules(alpha=alpha) if form == "hf" else MeshRules(alpha=alpha)


def beam_search(
    ensemble: Ensemble,
    inputs_AS: Tensor,
    visible_AS: Tensor | None,
    max_new_tokens: int,
    num_beams: int,
    rules: Rules,
    pace: Pace,
) -> Hypotheses:
    """Returns the K best hypotheses of every example."""
    examples, beams, length = inputs_AS.shape[0], num_beams, max_new_tokens
    device = inputs_AS.device
    state = ensemble.start(inputs_AS, length, visible_AS, beams, padded=pace.padded(visible_AS))
    ids_BKN = inputs_AS.new_full((examples, beams, length), PAD_ID)
    # all beams start equal: only the first one's continuations count
    log_probs_BK = torch.full((examples, beams), NEVER, device=device)
    log_probs_BK[:, 0] = 0.0
    never_BK = torch.full_like(log_probs_BK, NEVER)
    # ids of its own: where programs are recorded, one that reads a tensor twice is another than one that reads two
    kept = Kept(
        ids_BKN=torch.full_like(ids_BKN, PAD_ID),
        scores_BK=never_BK,
        real_BK=torch.zeros_like(never_BK, dtype=torch.bool),
    )
    open_B = torch.ones(examples, dtype=torch.bool, device=device)
    out = Hypotheses(ids_AKN=ids_BKN.clone(), scores_AK=never_BK.clone())
    places_B = torch.arange(examples, device=device)
    previous_R1 = ids_BKN.new_full((examples * beams, 1), PAD_ID)
    # numbers that change from step to step are data, looked up in tables, so that every step is the same program
    penalties_N = torch.tensor([rules.penalty(n + 1) for n in range(length)], dtype=torch.float32, device=device)
    counter_1 = torch.zeros(1, dtype=torch.int64, device=device)
    pace.end_step()  # the start is a program of its own, and all steps are one
    for n in range(length):
        logits_RV = ensemble.step(previous_R1, pace.position(n, counter_1), state)
        scores_BC, beam_BC, tokens_BC = _continuations(logits_RV, log_probs_BK)
        ids_BCN = _of(ids_BKN, beam_BC).index_copy(2, counter_1, tokens_BC[..., None])
        ended_BC = tokens_BC == EOS_ID
        penalty = penalties_N.index_select(0, counter_1)
        allowed_BC = rules.may_be_kept(ended_BC, counter_1 == length - 1) & open_B[:, None]
        kept = kept.with_(ids_BCN, scores_BC / penalty, allowed_BC)
        log_probs_BK, chosen_BK = (scores_BC + ended_BC * NEVER).topk(beams, dim=1)
        ids_BKN, beam_BK = _of(ids_BCN, chosen_BK), beam_BC.gather(1, chosen_BK)
        previous_R1 = tokens_BC.gather(1, chosen_BK).view(-1, 1)
        open_B = open_B & rules.is_open(log_probs_BK[:, 0], kept, penalty, penalties_N[-1:])
        rows_BK = beam_BK + beams * torch.arange(beam_BK.shape[0], device=device)[:, None]
        state.reorder(rows_BK.flatten(), None if pace.static_shapes else n + 1)
        counter_1 = counter_1 + 1
        pace.end_step()
        remaining_N = pace.remaining(n, open_B)
        if remaining_N is not None:
            _put(out, places_B, kept, ids_BKN, log_probs_BK)
            if remaining_N.shape[0] == 0:
                return out
            state, kept = state.select(remaining_N), kept.select(remaining_N)
            ids_BKN, log_probs_BK, open_B = ids_BKN[remaining_N], log_probs_BK[remaining_N], open_B[remaining_N]
            previous_R1 = previous_R1.view(-1, beams)[remaining_N].view(-1, 1)
            places_B = places_B[remaining_N]
    _put(out, places_B, kept, ids_BKN, log_probs_BK)
    return out


def _continuations(logits_RV: Tensor, log_probs_BK: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns log-probabilities, beams and tokens of the 2K best continuations of every example, ``[B, C]`` each."""
    beams = log_probs_BK.shape[1]
    logits_RV = logits_RV.float()
    each = min(2 * beams, logits_RV.shape[1])  # so many of one beam at most are among the 2K best of all
    best_RE, tokens_RE = logits_RV.topk(each, dim=1)
    best_RE = best_RE - logits_RV.logsumexp(dim=1, keepdim=True)
    totals_BX = (best_RE.view(-1, beams, each) + log_probs_BK[..., None]).flatten(1)
    scores_BC, index_BC = totals_BX.topk(2 * beams, dim=1)
    tokens_BC = tokens_RE.view(-1, beams * each).gather(1, index_BC)
    return scores_BC, torch.div(index_BC, each, rounding_mode="floor"), tokens_BC


def _of(ids_BKN: Tensor, index_BC: Tensor) -> Tensor:
    """Returns the sequences of some beams, ``[B, C, N]``."""
    return ids_BKN.gather(1, index_BC[..., None].expand(-1, -1, ids_BKN.shape[2]))


def _put(out: Hypotheses, places_B: Tensor, kept: Kept, alive_BKN: Tensor, log_probs_BK: Tensor) -> None:
    """Writes results to their places; an example for which nothing has ended gives its beams as they stand."""
    any_B1 = kept.real_BK.any(dim=1, keepdim=True)
    out.ids_AKN[places_B] = torch.where(any_B1[..., None], kept.ids_BKN, alive_BKN)
    out.scores_AK[places_B] = torch.where(any_B1, kept.scores_BK, log_probs_BK)
