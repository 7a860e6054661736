"""Which text a vocabulary is trained on: each source's share of the characters, drawn by hash in one pass.

The paper's vocabulary comes from 10 parts of English to 1 part each of German, French and Romanian (section 2.2). It
does not say parts of what. Here they are characters, the unit of ``VocabularyConfig.train_chars`` and of what
SentencePiece counts: documents differ in length from source to source, and bytes would give a language less text for
each letter with an accent.

The documents with the lowest hashes are kept, so the same text comes out whatever order it arrives in, and memory holds
no more than twice a source's share, however long the source or one of its documents is.
"""

import hashlib
import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from t5core.errors import ConfigError

Ranked = tuple[int, str]
"""A document and its hash, which it is ranked by."""


@dataclass(frozen=True, kw_only=True)
class TextSource:
    """One of the texts that a vocabulary is trained on.

    Attributes:
        texts: documents; read once.
        parts: how much of it there is, in proportion to the other sources' parts.
        name: for people, in errors and tables.
    """

    texts: Iterable[str]
    parts: float = 1.0
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceSample:
    """What was drawn from a source.

    Attributes:
        name: the source's.
        parts: the source's, brought to the smallest whole numbers in the same proportion.
        found_documents, found_chars: all that the source has.
        wanted_chars: its share of ``train_chars``.
        ranked: what was drawn, by hash.
    """

    name: str
    parts: int
    found_documents: int
    found_chars: int
    wanted_chars: int
    ranked: tuple[Ranked, ...]

    @property
    def documents(self) -> int:
        """How many documents were drawn; the last of them may be cut."""
        return len(self.ranked)

    @property
    def chars(self) -> int:
        """How many characters were drawn."""
        return sum(len(text) for _, text in self.ranked)

    @property
    def texts(self) -> Iterator[str]:
        """The documents that were drawn."""
        return (text for _, text in self.ranked)

    @property
    def is_short(self) -> bool:
        """Whether the source has less text than its share."""
        return self.found_chars < self.wanted_chars


def whole_parts(parts: Sequence[float]) -> tuple[int, ...]:
    """Returns the smallest whole numbers in the proportion of ``parts``: (10, 1) for 10 and 1, 5 and 0.5.

    Raises:
        ConfigError: one of them is not a number above 0.
    """
    for part in parts:
        if not (math.isfinite(part) and part > 0):
            raise ConfigError("parts", part, "give a number above 0")
    exact = [Fraction(str(part)) for part in parts]  # by way of text: 0.1 is a tenth
    whole = [int(part * math.lcm(*(p.denominator for p in exact))) for part in exact]
    return tuple(part // math.gcd(*whole) for part in whole)


def sample_sources(sources: Sequence[TextSource], *, train_chars: int, seed: int) -> tuple[SourceSample, ...]:
    """Draws each source's share of ``train_chars`` characters, in one pass over it.

    Proportions hold: where a source has less text than its share, less is drawn from the others too.

    Raises:
        ConfigError: parts that are no numbers above 0; a source without text.
    """
    parts = whole_parts([source.parts for source in sources])
    samples = [
        _sample(source, part, max(1, train_chars * part // sum(parts)), seed)
        for source, part in zip(sources, parts, strict=True)
    ]
    for sample in samples:
        if not any(text.strip() for text in sample.texts):
            raise ConfigError("corpus", sample.name, "there is no text to train a vocabulary on")
    possible = min(Fraction(sample.chars, sample.wanted_chars) for sample in samples)
    return tuple(
        replace(sample, ranked=_first(sample.ranked, max(1, int(sample.wanted_chars * possible)))) for sample in samples
    )


def merged(samples: Iterable[SourceSample]) -> Iterator[str]:
    """Yields the documents of all samples in the order of their hashes, whatever the order of the sources."""
    return (text for _, text in heapq.merge(*(sample.ranked for sample in samples)))


def _sample(source: TextSource, parts: int, wanted_chars: int, seed: int) -> SourceSample:
    """The documents with the lowest hashes, up to ``wanted_chars`` characters: the same set whatever their order."""
    kept: list[Ranked] = []  # a heap with the highest hash on top, so that it is the first to go
    total = found_documents = found_chars = 0
    for text in source.texts:
        found_documents += 1
        found_chars += len(text)
        digest = hashlib.blake2b(f"{seed}\n{text}".encode("utf-8", "replace"), digest_size=8).digest()
        part = text[:wanted_chars]  # more of it is never drawn
        heapq.heappush(kept, (-int.from_bytes(digest, "big"), part))
        total += len(part)
        while total - len(kept[0][1]) >= wanted_chars:
            total -= len(heapq.heappop(kept)[1])
    return SourceSample(
        name=source.name,
        parts=parts,
        found_documents=found_documents,
        found_chars=found_chars,
        wanted_chars=wanted_chars,
        ranked=_first(sorted((-rank, text) for rank, text in kept), wanted_chars),
    )


def _first(ranked: Iterable[Ranked], max_chars: int) -> tuple[Ranked, ...]:
    """The first of some documents, up to ``max_chars`` characters."""
    chosen: list[Ranked] = []
    left = max_chars
    for rank, text in ranked:
        if left <= 0:
            break
        chosen.append((rank, text[:left]))
        left -= len(text)
    return tuple(chosen)
