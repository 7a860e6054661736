"""What files beside a SentencePiece model say of it: how many sentinels lie above it, and which tokens were added.

    vocabulary.json          ours: num_sentinels, added_tokens
    tokenizer_config.json    Hugging Face's: extra_ids, added_tokens_decoder, additional_special_tokens, sep_token, ...
    special_tokens_map.json  additional_special_tokens, sep_token, ...
    tokenizer.json           added_tokens
    added_tokens.json        {token: id}

They may say the same thing several times, and have to agree. What they name without saying how to use it is refused,
not left out: a model that was trained with a token answers nonsense without it.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from t5core.errors import ConfigError
from t5core.vocabulary.added import AddedToken, merged

SETTINGS_FILE = "vocabulary.json"
TOKENIZER_CONFIG_FILE = "tokenizer_config.json"
ADDED_TOKENS_FILE = "added_tokens.json"
_SPECIAL_FILE = "special_tokens_map.json"
_TOKENIZER_FILE = "tokenizer.json"
_NAMED = ("additional_special_tokens", "extra_special_tokens")
_ROLES = tuple(f"{role}_token" for role in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_SENTINEL = re.compile(r"▁?<extra_id_(0|[1-9]\d{0,8})>")


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What the files say.

    Attributes:
        told: how many sentinels there are, by ``vocabulary.json`` or ``extra_ids``; None where neither says it.
        ours: whether ``vocabulary.json`` does.
        added_tokens: by id; sentinels and special pieces may be among them.
        named: the numbers of sentinels that are among them or named without id.
        roles: tokens that are named for what they do, as sep_token, and the key and file that do it.
    """

    told: int | None
    ours: bool
    added_tokens: tuple[AddedToken, ...]
    named: frozenset[int]
    roles: tuple[tuple[str, str, Path], ...] = ()

    def check_roles(self, is_piece: Callable[[str], bool]) -> None:
        """Holds the tokens that are named for what they do against the model.

        Args:
            is_piece: whether the vocabulary has a piece or sentinel that is written so.

        Raises:
            ConfigError: one is neither a piece nor a sentinel nor an added token.
        """
        added = {token.content for token in self.added_tokens}
        for content, key, source in self.roles:
            if content not in added and not is_piece(content):
                way_out = f"{source} names it, but it is no piece of the model and no file says its id"
                raise ConfigError(key, content, f"{way_out}: write it into {ADDED_TOKENS_FILE}, or take it out")

    def above(self) -> int | None:
        """Returns how many sentinels lie above a model that holds none itself; None where no file says it.

        Raises:
            ConfigError: they are named with a gap.
        """
        if self.ours or self.told:
            return self.told
        listed = frozenset(k for t in self.added_tokens if (k := sentinel_number(t.content)) is not None)
        # extra_ids: 0 puts those without ids where pieces are
        numbers = self.named if self.told is None else listed
        gaps = set(range(max(numbers, default=-1))) - numbers
        if gaps:
            way_out = f"the files beside the model name <extra_id_{max(numbers)}> without it: name all of them or none"
            raise ConfigError("added token", f"<extra_id_{min(gaps)}>", way_out)
        return len(numbers) or self.told


def sentinel_number(piece: str) -> int | None:
    """Returns k for ``<extra_id_k>`` with or without the mark of a blank before it, None for any other piece."""
    match = _SENTINEL.fullmatch(piece)
    return int(match[1]) if match else None


def read_beside(model: Path) -> Beside:
    """Reads the files beside a ``.model`` file; none has to be there.

    Raises:
        ConfigError: one cannot be read, or they disagree; names the file and the token.
    """
    settings, config = model.with_name(SETTINGS_FILE), model.with_name(TOKENIZER_CONFIG_FILE)
    ours = settings.exists()
    values = _read_json(config)
    told, added = _read_settings(settings) if ours else (_extra_ids(values, config), ())
    tokens = merged([*added, *_hf_tokens(model.parent, values)])
    known = {token.content for token in tokens}
    if values.get("legacy") is False and any(
        sentinel_number(token.content) is None for token in tokens if token.id > 2
    ):
        way_out = "text is cut at added tokens as legacy: true does: give that if the model was trained so"
        raise ConfigError("legacy", False, f"{way_out} ({config})")
    names = dict(_named(model.parent, values))
    for name, source in names.items():
        if name not in known and sentinel_number(name) is None:
            way_out = f"{source} names it, but no file says its id: write it into {ADDED_TOKENS_FILE}, or take it out"
            raise ConfigError("added token", name, way_out)
    roles = tuple(_roles(model.parent, values))
    named = frozenset(k for name in {*known, *names} if (k := sentinel_number(name)) is not None)
    return Beside(told=told, ours=ours, added_tokens=tokens, named=named, roles=roles)


def _extra_ids(values: dict[str, Any], config: Path) -> int | None:
    told = values.get("extra_ids")
    if told is not None and (type(told) is not int or told < 0):
        raise ConfigError("extra_ids", told, f"give a whole number from 0 up in {config}")
    return told


def _hf_tokens(folder: Path, config: dict[str, Any]) -> Iterator[AddedToken]:
    """The tokens with ids, files that say the flags first."""
    source = str(folder / TOKENIZER_CONFIG_FILE)
    for token, values in _entries(config.get("added_tokens_decoder"), dict, source).items():
        yield AddedToken.from_dict(values, source, token)
    path = folder / _TOKENIZER_FILE
    for values in _entries(_read_json(path).get("added_tokens"), list, str(path)):
        yield AddedToken.from_dict(values, str(path))
    path = folder / ADDED_TOKENS_FILE
    for content, token in _read_json(path).items():
        yield AddedToken.from_dict(content, str(path), token)


def _named(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, Path]]:
    """The tokens that are only named, and where."""
    for values, path in _naming(folder, config):
        for key in _NAMED:
            listed = values.get(key) or ()
            for name in listed.values() if isinstance(listed, dict) else listed:
                yield _content(name, key, path), path


def _roles(folder: Path, config: dict[str, Any]) -> Iterator[tuple[str, str, Path]]:
    """The tokens that are named for what they do, by which key and where."""
    for values, path in _naming(folder, config):
        for key in _ROLES:
            if values.get(key) not in (None, ""):
                yield _content(values[key], key, path), key, path


def _naming(folder: Path, config: dict[str, Any]) -> Iterator[tuple[dict[str, Any], Path]]:
    """What the files say that name tokens."""
    yield config, folder / TOKENIZER_CONFIG_FILE
    yield _read_json(folder / _SPECIAL_FILE), folder / _SPECIAL_FILE


def _content(name: Any, key: str, path: Path) -> str:
    content = name.get("content") if isinstance(name, dict) else name
    if not isinstance(content, str):
        raise ConfigError(key, name, f"this is no token in {path}: write it as Hugging Face does")
    return content


def _entries(found: Any, kind: type, source: str) -> Any:
    if not isinstance(found or kind(), kind):
        raise ConfigError("added tokens", found, f"not in the form of Hugging Face in {source}")
    return found or kind()


def _read_settings(path: Path) -> tuple[int, tuple[AddedToken, ...]]:
    way_out = 'give it {"num_sentinels": 100}, with the number that the vocabulary was trained for, or train one anew'
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
        number = settings["num_sentinels"]
    except OSError as error:
        raise ConfigError("vocabulary", str(path), f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("vocabulary", str(path), f"holds no num_sentinels: {way_out}") from error
    if type(number) is not int or number < 0:
        raise ConfigError("vocabulary", str(path), f"its num_sentinels is no whole number: {way_out}")
    added = _entries(settings.get("added_tokens"), list, str(path))
    return number, tuple(AddedToken.from_dict(values, str(path)) for values in added)


def _read_json(path: Path) -> dict[str, Any]:
    """What a file of Hugging Face's says; nothing where there is none."""
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = f"not readable as JSON ({error}): copy it anew, or take it away if no token was added"
        raise ConfigError("vocabulary", str(path), reason) from error
    if not isinstance(values, dict):
        raise ConfigError("vocabulary", str(path), "give a JSON object, or take it away if no token was added")
    return values
