"""URLs, as far as a corpus cares: which of them name the same page."""

import re

_SCHEME = re.compile(r"https?://(?:www\.)?")
_TRACKING = re.compile(r"\?(?:utm_|ref|feed).*")


def normalized_url(url: str) -> str:
    """Returns a URL without scheme, ``www.``, what tracks visitors and the last slashes, as C4's released code has it.

    >>> normalized_url("https://www.example.org/news/?utm_source=mail")
    'example.org/news'
    """
    return _TRACKING.sub("", _SCHEME.sub("", url)).rstrip("/")
