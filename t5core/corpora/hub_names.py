"""What a person writes for a set on the Hugging Face hub: ``hf:NAME[:CONFIG][:SPLIT][@REVISION]``."""

import re
from typing import NamedTuple

from t5core.corpora.places import HUB_PREFIX
from t5core.errors import ConfigError

FORM = "hf:NAME[:CONFIG][:SPLIT][@REVISION]"
"""For messages."""

_DEFAULT_SPLIT = "train"
_COMMIT = re.compile(r"[0-9a-f]{40}")


class HubName(NamedTuple):
    """What a person asks for; "" for what is left to the set: its only config, its newest commit."""

    path: str
    config: str
    split: str
    revision: str

    @property
    def is_clone(self) -> bool:
        """Whether it is a folder with the files of a set's repository."""
        return self.path.startswith("/")

    @property
    def is_pinned(self) -> bool:
        """Whether it is a set on the hub at a whole commit: what that holds never changes."""
        return not self.is_clone and _COMMIT.fullmatch(self.revision) is not None

    def __str__(self) -> str:
        """Returns it in the form of ``hub_name``."""
        revision = f"@{self.revision}" if self.revision else ""
        return f"{HUB_PREFIX}{self.path}:{self.config}:{self.split}{revision}"


def hub_name(text: str, field: str) -> HubName:
    """Returns what ``hf:NAME[:CONFIG][:SPLIT][@REVISION]`` asks for.

    Raises:
        ConfigError: it is not of that form.
    """
    given, at, revision = text.removeprefix(HUB_PREFIX), "", ""
    if not given.startswith("/"):
        given, at, revision = given.partition("@")
    path, *rest = given.split(":")
    if not path or len(rest) > 2 or (at and not revision):
        raise ConfigError(field, text, f"give {FORM}")
    if path.startswith((".", "~")):
        raise ConfigError(field, text, "give the clone's absolute path")
    config, split = (*rest, "", "")[:2]
    return HubName(path, config, split or _DEFAULT_SPLIT, revision)


def pinned_name(text: str, field: str) -> HubName | None:
    """Returns the name of a set on the hub at a whole commit, None for whatever else may be given in its place.

    Raises:
        ConfigError: it begins as the name of a set on the hub and is not of that form.
    """
    if not text.startswith(HUB_PREFIX) or text.startswith(f"{HUB_PREFIX}//"):
        return None
    name = hub_name(text, field)
    return name if name.is_pinned else None
