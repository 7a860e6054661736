"""Which configs a change of the code touches: the predicates of the revisions in the table of kinds.

Each compares what the code does now with what it did before, which is written down here, as small as can be.
"""

from collections.abc import Mapping
from typing import Any

from t5core.config import ObjectiveConfig
from t5core.mixing import UNSUPERVISED
from t5core.objectives import lengths


def own_text(config: Mapping[str, Any]) -> bool:
    """Whether a corpus holds text of files: it keeps lines of any script now, and is split at its sentences."""
    corpus = config.get("corpus", {})
    return corpus.get("source") in ("files", "hub") or bool(corpus.get("extra_content"))


def has_cloze(config: Mapping[str, Any]) -> bool:
    """Whether embedded clozes are among the tasks: a gap behind a bracket or a quote has a blank before it now."""
    return "doc_cloze" in config.get("tasks", {}).get("names", ())


def pretrain_span_lengths(config: Mapping[str, Any]) -> bool:
    """Whether a pre-training's text or targets are of another length since 127 single tokens fill 128 inputs."""
    targets_length = config.get("train", {}).get("targets_length")
    return _other_span_lengths(config, targets_given=targets_length is not None)


def multitask_span_lengths(config: Mapping[str, Any]) -> bool:
    """The same of multi-task training, where it draws text; its targets are as long as the objective needs."""
    return _draws_text(config) and _other_span_lengths(config, targets_given=False)


def packed_shares(config: Mapping[str, Any]) -> bool:
    """Whether multi-task training draws text beside packed rows: its share is of the examples now, not of the rows."""
    return bool(config.get("train", {}).get("packed")) and _draws_text(config)


def _draws_text(config: Mapping[str, Any]) -> bool:
    mixture = config.get("mixture", {})
    weights = {weight["name"]: weight["weight"] for weight in mixture.get("weights", ())}
    return mixture.get("unsupervised") is not None and weights.get(UNSUPERVISED, 1) > 0


def _other_span_lengths(config: Mapping[str, Any], *, targets_given: bool) -> bool:
    if "objective" not in config:
        return False
    objective = ObjectiveConfig.from_dict(dict(config["objective"]))
    if objective.kind != "replace_spans" or objective.mean_noise_span_length is None:
        return False
    inputs_length = config["train"]["inputs_length"]
    now = lengths(objective, inputs_length)
    raw_tokens, targets = _earlier_lengths(inputs_length, objective.noise_density, objective.mean_noise_span_length)
    return now.raw_tokens != raw_tokens or (not targets_given and now.targets != targets)


def _earlier_lengths(inputs_length: int, density: float, mean_span_length: float) -> tuple[int, int]:
    """Raw tokens and targets as they were: never less text than inputs, and no more targets than text."""

    def sizes(tokens: int) -> tuple[int, int]:
        noise = round(tokens * density)
        spans = round(noise / mean_span_length)
        return tokens - noise + spans + 1, noise + spans + 1

    raw_tokens = inputs_length
    while sizes(raw_tokens + 1)[0] <= inputs_length:
        raw_tokens += 1
    reached, targets = sizes(raw_tokens)
    if density == 0.5 and targets > reached:
        raw_tokens, targets = raw_tokens - 1, targets - 1
    return raw_tokens, min(targets, raw_tokens)
