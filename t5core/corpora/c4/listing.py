"""Which pages a recipe takes, by their URL: those on some domains, or those that are on a list.

RealNews-like text is what is found on news domains, WebText-like text what people thought worth a link. Both lists are
the user's: text files with a domain a line, or with a URL and its score a line. What follows from a list is a digest of
what it says, so that remarks and the order of lines do not count. Every worker holds the whole list in memory.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from urllib.parse import urlsplit

from t5core.corpora.c4.list_file import list_bytes
from t5core.corpora.urls import normalized_url
from t5core.errors import ConfigError, DataError
from t5core.uris import masked

MIN_SCORE = 3
"""WebText's limit: pages that Reddit linked to with a score of 3 or more."""

_WITH_HOST = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?//", re.I)


@dataclass(frozen=True)
class Listing:
    """The pages that are taken; all of them where nothing is listed.

    Attributes:
        domains: a domain stands for all hosts below it too.
        urls: normalised.
    """

    domains: frozenset[str] = frozenset()
    urls: frozenset[str] = frozenset()

    @cached_property
    def digest(self) -> str:
        """16 hex digits that stand for it, "" where nothing is listed."""
        lines = [*sorted(self.domains), "", *sorted(self.urls)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] if len(lines) > 1 else ""

    def takes(self, url: str) -> bool:
        """Says whether the page at a URL is taken."""
        if not self.digest:
            return True
        return normalized_url(url) in self.urls or on_domains(url, self.domains)

    def to_dict(self) -> dict[str, list[str]]:
        """Returns plain values."""
        return {"domains": sorted(self.domains), "urls": sorted(self.urls)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Rebuilds a listing from ``to_dict()``'s output."""
        return cls(frozenset(values["domains"]), frozenset(values["urls"]))


ALL_PAGES = Listing()
"""Takes every page."""


def encyclopedia(language: str) -> Listing:
    """Returns Wikipedia in a language by its letters, or in all for "none"."""
    hosts = ("",) if language == "none" else (f"{language}.", f"{language}.m.")
    return Listing(domains=frozenset(f"{host}wikipedia.org" for host in hosts))


def on_domains(url: str, domains: Iterable[str]) -> bool:
    """Says whether a URL's host is one of the domains or below one."""
    known = frozenset(domains)
    parts = host_of(url).split(".")
    return any(".".join(parts[i:]) in known for i in range(len(parts)))


def host_of(url: str) -> str:
    """Returns the host of a URL with or without scheme, in lower case, without outer dots; "" where there is none.

    >>> host_of("News.example.org:80/a//b")
    'news.example.org'
    """
    url = url.strip()
    try:
        host = urlsplit(url if _WITH_HOST.match(url) else f"//{url}").hostname or ""
    except ValueError:  # "http://[news/": found in crawls
        return ""
    return host.strip().strip(".").lower()


def read_domains(paths: Sequence[str]) -> Listing:
    """Returns what text files with a domain a line take: ``example.org`` stands for all hosts below it too.

    Raises:
        ConfigError: a file that cannot be read or holds none.
        DataError: a line that is no domain.
    """
    domains: set[str] = set()
    for line in listed_lines("domains", paths):
        host = host_of(normalized_url(line.lower().removeprefix("*.")))
        if not host:
            raise DataError("domains", masked(line[:80]), "give a domain, like example.org, on each line")
        domains.add(host)
    return Listing(domains=frozenset(domains))


def read_scores(paths: Sequence[str], min_score: float = MIN_SCORE) -> Listing:
    """Returns what text files with a URL and its score a line take; of a URL that comes often the highest one counts.

    Raises:
        ConfigError: a file that cannot be read, holds none, or none with so high a score.
        DataError: a line that is no URL with a number.
    """
    urls: set[str] = set()
    for line in listed_lines("scores", paths):
        url, *rest = line.split()
        try:
            score = float(rest[0])
            if math.isnan(score):
                raise ValueError(rest[0])
        except (ValueError, IndexError) as error:
            raise DataError("scores", masked(line[:80]), "give a URL, a space and its score on each line") from error
        if score >= min_score:
            urls.add(normalized_url(url))
    if not urls:
        raise ConfigError("scores", masked(", ".join(paths)), f"no URL in it has a score of {min_score:g} or more")
    return Listing(urls=frozenset(urls))


def listed_lines(field: str, paths: Sequence[str]) -> list[str]:
    """Returns the lines of text files without remarks (#) and empty ones.

    Args:
        field: what the user calls the list.
        paths: of the files, or URIs.

    Raises:
        ConfigError: one that cannot be read, or no line in any.
    """
    lines: list[str] = []
    for path in paths:
        text = list_bytes(field, path).decode("utf-8-sig", errors="replace")
        lines += (line.strip() for line in text.splitlines())
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise ConfigError(field, masked(", ".join(paths)), "there is no line in it")
    return lines
