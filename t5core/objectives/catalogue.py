"""Every unsupervised objective of the paper's Tables 2 to 7, as a recipe of noise, inputs and targets.

============== ============== ================================== ================================= =========
kind           noise          inputs                             targets                           documents
============== ============== ================================== ================================= =========
lm             none           nothing                            the whole text                    joined
prefix_lm      all from a cut the text up to the cut             the rest                          alone
bert_style     i.i.d.         90 % mask, 10 % random token       the whole text                    joined
deshuffling    none           all tokens in random order         the whole text                    alone
mass_style     i.i.d.         mask for each corrupted token      the whole text                    joined
replace_spans  i.i.d., spans  a new sentinel per corrupted span  a new sentinel per kept span      joined
drop_tokens    i.i.d.         kept tokens only                   corrupted tokens only             joined
============== ============== ================================== ================================= =========

With ``mean_noise_span_length`` set, noise comes in random spans, for any kind that has noise. "Joined": documents
are laid end to end before they are cut to length; "alone": each document is cut by itself (released code).
"lm" is for decoder-only models, which have nothing to put an input into.
"""

import math
from dataclasses import dataclass
from typing import Literal

from t5core.config import ObjectiveConfig
from t5core.errors import ConfigError
from t5core.objectives.spans import random_spans_lengths

NoiseKind = Literal["none", "prefix", "iid", "spans"]
MIN_INPUTS_LENGTH = 8  # below this, a corrupted text holds no text

# Target lengths of the released configurations at 512 inputs, for i.i.d. noise
_RELEASED_INPUTS_LENGTH = 512
_RELEASED_TARGETS = {
    ("replace_spans", 0.1): 103,
    ("replace_spans", 0.15): 192,
    ("replace_spans", 0.25): 256,
    ("replace_spans", 0.5): 512,
    ("drop_tokens", 0.15): 104,
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one objective makes a pair out of a text.

    Attributes:
        noise: which masks are drawn, see ``t5core.objectives.noise``.
        inputs: how the input is made: a function of ``t5core.objectives.encodings``, "permute", "nothing" or
            "noise_token_to_random_token_or_sentinel".
        targets: a function of ``t5core.objectives.encodings``, or "text" for the whole text.
        joined: documents are joined before they are cut to length.
    """

    noise: NoiseKind
    inputs: str
    targets: str
    joined: bool = True


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Static lengths of an objective's examples, in tokens; inputs and targets count their EOS.

    Attributes:
        raw_tokens: text read per example.
        inputs, targets: columns of a batch; no inputs for "lm".
    """

    raw_tokens: int
    inputs: int
    targets: int


def recipe(objective: ObjectiveConfig) -> Recipe:
    """Returns the recipe of an objective: a row of the module's table."""
    noise: NoiseKind = "iid" if objective.mean_noise_span_length is None else "spans"
    match objective.kind:
        case "lm":
            return Recipe(noise="none", inputs="nothing", targets="text")
        case "prefix_lm":
            return Recipe(noise="prefix", inputs="drop_noise_tokens", targets="drop_nonnoise_tokens", joined=False)
        case "bert_style":
            return Recipe(noise=noise, inputs="noise_token_to_random_token_or_sentinel", targets="text")
        case "deshuffling":
            return Recipe(noise="none", inputs="permute", targets="text", joined=False)
        case "mass_style":
            return Recipe(noise=noise, inputs="noise_token_to_sentinel", targets="text")
        case "replace_spans":
            return Recipe(
                noise=noise, inputs="noise_span_to_unique_sentinel", targets="nonnoise_span_to_unique_sentinel"
            )
        case "drop_tokens":
            return Recipe(noise=noise, inputs="drop_noise_tokens", targets="drop_nonnoise_tokens")
        case kind:
            raise AssertionError(f"ObjectiveConfig let an unknown kind through: {kind}")


def lengths(objective: ObjectiveConfig, inputs_length: int) -> Lengths:
    """Returns how much text an objective reads per example, and how long inputs and targets are.

    Span corruption reads just as much text as fills the inputs (``random_spans_lengths``), and has no more targets
    than the longer of the two. "lm" has no inputs, and as many targets as others have inputs: one token less than that
    of text, and EOS. Everything else reads ``inputs_length`` tokens, the last of which makes room for EOS where nothing
    else does. With i.i.d. noise the number of target tokens varies: at 512 the released configurations' numbers are
    used (103, 192, 256, 512 for 10, 15, 25, 50 %; 104 for dropping 15 %), elsewhere the expected number and one
    standard deviation, at most ``inputs_length``. What does not fit is cut off, on either side.

    Raises:
        ConfigError: for inputs too short to hold a corrupted text.
    """
    if inputs_length < MIN_INPUTS_LENGTH:
        raise ConfigError("inputs_length", inputs_length, f"give {MIN_INPUTS_LENGTH} or more tokens")
    how = recipe(objective)
    if how.inputs == "nothing":
        return Lengths(raw_tokens=inputs_length - 1, inputs=0, targets=inputs_length)
    raw_tokens = inputs_length
    if how.targets == "text" or how.noise == "prefix":
        targets = inputs_length
    elif how.noise == "iid":
        targets = _iid_targets(objective, inputs_length)
    elif objective.kind == "replace_spans":
        assert objective.mean_noise_span_length is not None
        raw_tokens, targets = random_spans_lengths(
            inputs_length, objective.noise_density, objective.mean_noise_span_length
        )
    else:
        targets = max(1, round(inputs_length * objective.noise_density)) + 1
    return Lengths(raw_tokens=raw_tokens, inputs=inputs_length, targets=min(targets, max(raw_tokens, inputs_length)))


def _iid_targets(objective: ObjectiveConfig, inputs_length: int) -> int:
    density = objective.noise_density
    released = _RELEASED_TARGETS.get((objective.kind, density))
    if inputs_length == _RELEASED_INPUTS_LENGTH and released is not None:
        return released
    variance = density * (1 - density)
    mean, deviation = inputs_length * density, math.sqrt(inputs_length * variance)
    if objective.kind == "replace_spans":  # and one sentinel for each run of kept tokens
        mean += inputs_length * variance + 1
        deviation += math.sqrt(inputs_length * variance * max(0.0, 1 - 3 * variance))
    return min(inputs_length, math.ceil(mean + deviation) + 1)
