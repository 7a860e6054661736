"""Text, as a model meets it: the corpus, the vocabulary, the objective."""

import math
import re
import types
from dataclasses import dataclass
from typing import Literal

from t5core.config.base import Config, added, unhashed
from t5core.errors import ConfigError

SourceKind = Literal["embedded", "files", "hub"]
CorpusVariant = Literal["plain", "c4", "unfiltered", "realnews_like", "webtext_like", "wikipedia", "wikipedia_books"]
_AT_A_COMMIT = re.compile(r"hf:[^:@]+:[^:@]*:[^:@]+@[0-9a-f]{40}")
EXTRA_OF_VARIANTS = types.MappingProxyType(
    {
        "realnews_like": "domains",
        "webtext_like": "scores",
        "wikipedia_books": "books",
    }
)
"""Variant -> what it needs besides pages: a file of domains, of URLs with scores, or books. The flags are called so."""


@dataclass(frozen=True, kw_only=True)
class CorpusConfig(Config):
    """Unlabeled text. ``source`` is where it comes from, ``content`` the identity of what lies there.

    Attributes:
        source: "embedded" (prose of the installed packages), "files" (see ``t5core.corpora.files``), or "hub": one set
            at one commit, whose name says what it holds, so that nothing has to be read to know it.
        paths: for "files": absolute paths, globs or URIs; for "hub": ``hf:NAME:CONFIG:SPLIT@COMMIT``. Does not count;
            ``content`` does.
        content: digest of the source's content, filled in by ``t5core.corpora.identify``; empty until then.
        validation_fraction: share of the documents, drawn by hash, that is held out.
        min_chars: shorter documents are dropped.
        variant: which of the source's text is trained on, by one of Table 8's recipes (``t5core.corpora.variants``);
            "plain": all of it. What is held out is the same for all.
        language: that the recipes for web pages ask for, by two letters, or "none"; the embedded source is English.
        extra: absolute paths of what the variant needs besides, but for "embedded": the list of domains or of URLs
            with scores, the books. Does not count; ``extra_content`` does.
        extra_content: digest of what lies there, filled in like ``content``.
    """

    source: SourceKind = "embedded"
    paths: tuple[str, ...] = unhashed(())
    content: str = ""
    validation_fraction: float = 0.05
    min_chars: int = 200
    variant: CorpusVariant = added("plain")
    language: str = added("en")
    extra: tuple[str, ...] = unhashed(())
    extra_content: str = added("")

    def __post_init__(self) -> None:
        self._one_of("source")
        if not 0 < self.validation_fraction < 1:
            raise ConfigError("validation_fraction", self.validation_fraction, "give a share between 0 and 1")
        if self.source == "files" and not self.paths:
            raise ConfigError("paths", self.paths, "name at least one file or folder of text")
        if self.source == "hub" and not (len(self.paths) == 1 and _AT_A_COMMIT.fullmatch(self.paths[0])):
            way_out = "name one set at a whole commit, hf:NAME:CONFIG:SPLIT@COMMIT"
            raise ConfigError("paths", ", ".join(self.paths), way_out)
        self._one_of("variant")
        needed = EXTRA_OF_VARIANTS.get(self.variant) if self.source != "embedded" else None
        if needed and not self.extra:
            raise ConfigError("variant", self.variant, f"from {self.source} it needs {needed} (extra)")
        if self.extra and not needed:
            raise ConfigError("extra", self.extra, f"{self.variant} from {self.source} takes none")


@dataclass(frozen=True, kw_only=True)
class VocabularyConfig(Config):
    """A SentencePiece unigram vocabulary with sentinels (paper section 2.2).

    Attributes:
        num_pieces: size of the SentencePiece model: 32,000 in the paper.
        num_sentinels: ``<extra_id_0>`` ... on top of the pieces, ``<extra_id_0>`` with the highest id.
        train_chars: text sampled from the corpus to train on, in characters.
        character_coverage: share of the text's characters that get a piece; the rest fall back to bytes.
        seed: which documents are sampled.
    """

    num_pieces: int = 32_000
    num_sentinels: int = 100
    train_chars: int = 50_000_000
    character_coverage: float = 0.9995
    seed: int = 0

    def __post_init__(self) -> None:
        self._positive("num_pieces", "num_sentinels", "train_chars")

    @property
    def size(self) -> int:
        """Rows a model's embedding needs: pieces and sentinels."""
        return self.num_pieces + self.num_sentinels


@dataclass(frozen=True, kw_only=True)
class VocabularySource(Config):
    """One of several corpora that a vocabulary is trained on, and how much of its text.

    Attributes:
        corpus: None for the text that the vocabulary would be trained on if there was no mix.
        parts: characters of it, in proportion to the other corpora's parts: 10 for English and 1 each for German,
            French and Romanian in the paper.
    """

    corpus: CorpusConfig | None = None
    parts: float = 1.0

    def __post_init__(self) -> None:
        self._positive("parts")
        if not math.isfinite(self.parts):
            raise ConfigError("parts", self.parts, "give a number above 0")


ObjectiveKind = Literal["lm", "prefix_lm", "bert_style", "deshuffling", "mass_style", "replace_spans", "drop_tokens"]


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig(Config):
    """One unsupervised objective: noise mask × what the input shows × what the target asks (Tables 2 to 7).

    Attributes:
        kind: see ``t5core.objectives.catalogue``; "replace_spans" with i.i.d. noise is the paper's baseline;
            "lm" is for decoder-only models.
        noise_density: share of the tokens that is corrupted, in (0, 1). Not used by lm, prefix_lm and deshuffling.
        mean_noise_span_length: None for i.i.d. noise, else the mean length of a corrupted span, in tokens.
        random_token_fraction: bert_style only: share of the corrupted tokens replaced by a random token.
    """

    kind: ObjectiveKind = "replace_spans"
    noise_density: float = 0.15
    mean_noise_span_length: float | None = None
    random_token_fraction: float = 0.1

    def __post_init__(self) -> None:
        self._one_of("kind")
        if not 0 < self.noise_density < 1:
            raise ConfigError("noise_density", self.noise_density, "give a corruption rate between 0 and 1, like 0.15")
        if self.mean_noise_span_length is not None and not self.mean_noise_span_length >= 1:
            raise ConfigError(
                "mean_noise_span_length", self.mean_noise_span_length, "give a mean span length of 1 or more tokens"
            )
        if not 0 <= self.random_token_fraction <= 1:
            raise ConfigError("random_token_fraction", self.random_token_fraction, "give a share between 0 and 1")
