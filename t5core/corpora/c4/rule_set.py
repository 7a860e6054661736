"""Rules with the lists that they go by: what every step of cleaning is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from t5core.corpora.c4.bad_words import digest
from t5core.corpora.c4.config import C4Config
from t5core.corpora.c4.listing import ALL_PAGES, Listing
from t5core.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What becomes of a page.

    Attributes:
        config: thresholds and switches; it holds the lists' digests.
        words: bad ones, () for no such rule.
        listing: which pages are taken.

    Raises:
        DataError: a list is not the one whose digest the config holds.
    """

    config: C4Config
    words: tuple[str, ...] = ()
    listing: Listing = ALL_PAGES

    def __post_init__(self) -> None:
        if self.config.bad_words != digest(self.words):
            raise DataError("bad_words", self.config.bad_words, f"the words' digest is {digest(self.words)!r}")
        if self.config.listing != self.listing.digest:
            raise DataError("listing", self.config.listing, f"the listing's digest is {self.listing.digest!r}")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values."""
        return {
            "config": self.config.to_dict(),
            "words": list(self.words),
            "listing": self.listing.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuilds rules from ``to_dict()``'s output."""
        return cls(
            config=C4Config.from_dict(values["config"]),
            words=tuple(values["words"]),
            listing=Listing.from_dict(values["listing"]),
        )
