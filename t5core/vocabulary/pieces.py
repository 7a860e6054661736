"""Text to ids and back: SentencePiece pieces with sentinels on top (paper section 2.2).

Ids, low to high::

    0 pad   1 end of sequence   2 unknown   3..258 the 256 bytes   259.. pieces   | <extra_id_N-1> ... <extra_id_0> |
    └────────────────────── num_pieces (the SentencePiece model) ───────────────┘ └──── num_sentinels ────────────┘

The sentinels of our models, and of T5's, are not in the SentencePiece model. They lie above it, and ``<extra_id_0>``
has the highest id, as in the released vocabularies. A model that holds pieces of these names, as mT5's does, holds its
sentinels: they keep its ids. Tokens that were added later lie above all of them (``t5core.vocabulary.added``).

Sentinels are pieces with a blank before them, ``▁<extra_id_0>``, as in the released code: SentencePiece finds them
where a word may start, and takes ``door<extra_id_0>`` for text.

A character without a piece of its own is spelled in bytes, so no input is lost: what comes back from
``decode(encode(text))`` is the text after NFKC normalisation with white space squeezed.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece

from t5core.errors import ConfigError
from t5core.vocabulary.added import AddedToken, Splitter, merged
from t5core.vocabulary.beside import SETTINGS_FILE, Beside, read_beside, sentinel_number
from t5core.vocabulary.proto import with_pieces, with_uncut

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2

MODEL_FILE = "vocabulary.model"
DEFAULT_SENTINELS = 100
_MOST_ROWS_ABOVE = DEFAULT_SENTINELS + 128  # released models have rows for the next multiple of 128


class Vocabulary:
    """A SentencePiece model with its sentinels, and the tokens that were added to them.

    Args:
        model: the bytes of a SentencePiece ``.model`` file with pad 0, end of sequence 1 and unknown 2.
        num_sentinels: how many ``<extra_id_k>`` there are; None: as many as the model holds, or 100 above one that
            holds none.
        added_tokens: others with ids of their own. Sentinels and special pieces among them have to have their ids.

    Attributes:
        num_pieces: pieces of the model that are no sentinels.
        num_sentinels: how many sentinels there are.
        holds_sentinels: whether the model itself has them.
        added_tokens: those that are neither sentinels nor special pieces, by id.
        size: one more than the highest id.

    Raises:
        ConfigError: the bytes are no SentencePiece model, its special ids are others, its sentinels have a gap or are
            not as many as is said, or an added token has an id that something else has.
    """

    def __init__(self, model: bytes, num_sentinels: int | None = None, added_tokens: Sequence[AddedToken] = ()) -> None:
        self._model = model
        try:
            pieces = _loaded(model)
            ids = (pieces.pad_id(), pieces.eos_id(), pieces.unk_id())
        except (RuntimeError, OSError) as error:
            raise ConfigError("vocabulary", f"{len(model)} bytes", "these are not a SentencePiece model") from error
        if ids != (PAD_ID, EOS_ID, UNK_ID):
            raise ConfigError("vocabulary", ids, "pad, end and unknown have to be ids 0, 1 and 2: train one of ours")
        held = _held_sentinels(pieces) if b"<extra_id_" in model else ()
        if held and num_sentinels not in (None, len(held)):
            way_out = f"the model itself holds {len(held)}, <extra_id_0> at id {held[0]:,}: give that number, or none"
            raise ConfigError("num_sentinels", num_sentinels, way_out)
        size = pieces.get_piece_size()
        self.holds_sentinels = bool(held)
        self.num_sentinels = len(held) or (DEFAULT_SENTINELS if num_sentinels is None else num_sentinels)
        self.num_pieces: int = size - len(held)
        top = size + self.num_sentinels
        self._sentinels = held or tuple(range(top - 1, size - 1, -1))
        self._numbers = {token: k for k, token in enumerate(self._sentinels)}
        names = (f"▁<extra_id_{k}>" for k in reversed(range(self.num_sentinels)))
        self._pieces = _loaded(with_uncut(model, held) if held else with_pieces(model, names))
        self._size: int = self._pieces.get_piece_size()
        self.added_tokens = tuple(token for token in merged(added_tokens) if not self._is_known(token))
        self._added = {token.id: token.content for token in self.added_tokens}
        self._splitter = Splitter(self.added_tokens) if self.added_tokens else None
        self.size = max([self._size, *(token + 1 for token in self._added)])

    def __reduce__(self) -> tuple[type["Vocabulary"], tuple[bytes, int, tuple[AddedToken, ...]]]:
        """Travels between processes as its model's bytes."""
        return (Vocabulary, (self._model, self.num_sentinels, self.added_tokens))

    @classmethod
    def load(cls, path: Path, rows: int | None = None) -> "Vocabulary":
        """Reads a ``.model`` file and what lies beside it: ``vocabulary.json``, or Hugging Face's tokenizer files.

        Where neither they nor the model say how many sentinels there are, it is 100.

        Args:
            path: the file.
            rows: of the embedding of the model that it belongs to. Ours have a row for each id, so ``vocabulary.model``
                has as many sentinels as there are rows above its pieces; any other file 100, or fewer where there is no
                room for them.

        Raises:
            ConfigError: no such file, not a model of ours, or files beside it that are broken or disagree with it.
        """
        path = Path(path)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise ConfigError("vocabulary", str(path), f"{error.strerror}: give a .model file") from error
        beside = read_beside(path)
        bare = cls(model)
        if bare.holds_sentinels:
            number = None
            if beside.told and beside.told != bare.num_sentinels:
                held = f"it holds {bare.num_sentinels} sentinels itself"
                way_out = f"{held}, but the files beside it say {beside.told}: give them the number that it holds"
                raise ConfigError("vocabulary", str(path), way_out)
        elif (number := beside.above()) is None:
            number = _fitting(bare.num_pieces, beside, rows, ours=path.name == MODEL_FILE)
        is_whole = number in (None, bare.num_sentinels) and not beside.added_tokens
        vocabulary = bare if is_whole else cls(model, number, beside.added_tokens)
        if beside.named and max(beside.named) >= vocabulary.num_sentinels:
            way_out = (
                f"the files beside {path} name it, but {vocabulary.num_sentinels} sentinels are there: agree on one"
            )
            raise ConfigError("added token", f"<extra_id_{max(beside.named)}>", way_out)
        beside.check_roles(vocabulary._has)
        return vocabulary

    def save_to(self, folder: Path) -> None:
        """Writes ``vocabulary.model`` and ``vocabulary.json`` into ``folder``, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {"num_pieces": self.num_pieces, "num_sentinels": self.num_sentinels}
        if self.added_tokens:
            settings["added_tokens"] = [token.to_dict() for token in self.added_tokens]
        (folder / MODEL_FILE).write_bytes(self._model)
        (folder / SETTINGS_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    @property
    def model(self) -> bytes:
        """The bytes of the SentencePiece model."""
        return self._model

    @property
    def sentinels_end(self) -> int:
        """One more than the id of ``<extra_id_0>``, from where objectives count sentinels downwards.

        Raises:
            ConfigError: the model holds its sentinels in another order.
        """
        if not self._sentinels:
            return self._size
        first = self._sentinels[0]
        if self._sentinels != tuple(range(first, first - self.num_sentinels, -1)):
            ids = ", ".join(map(str, self._sentinels[:3]))
            way_out = f"objectives need ids that fall one by one from <extra_id_0> on, like mT5's; these are {ids}, ..."
            raise ConfigError("vocabulary", f"{self.num_sentinels} sentinels", way_out)
        return first + 1

    def sentinel_id(self, k: int) -> int:
        """Returns the id of ``<extra_id_k>``: the highest id for k = 0, then downwards, unless the model has others.

        Raises:
            ConfigError: there is no such sentinel.
        """
        if not 0 <= k < self.num_sentinels:
            raise ConfigError("num_sentinels", self.num_sentinels, f"there is no <extra_id_{k}>: ask for more")
        return self._sentinels[k]

    def encode(self, text: str) -> list[int]:
        """Returns the ids of ``text``, no end of sequence added; ``<extra_id_k>`` at a word's start is the sentinel."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Returns ``encode`` of each text, in one call to SentencePiece (several times faster for many texts).

        Half surrogate pairs, which are no text in UTF-8, become question marks.
        """
        encoded: list[list[int]] = self._encoded(texts)
        return encoded

    def encode_flat(
        self, texts: Sequence[str], threads: int = -1
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Returns ``encode`` of each text, end to end, without making a Python number of each id.

        Other threads of Python go on meanwhile. The ids are the same with any number of threads.

        Args:
            texts: what to encode.
            threads: how many to use; -1: SentencePiece decides, which takes all cores.

        Returns:
            The ids, int32 ``[total]``, and how many each text has, int64 ``[N]``.
        """
        # releases of SentencePiece before 0.2.2 give lists only
        arrays = hasattr(self._pieces, "EncodeAsNumpy")
        rows = self._encoded(texts, out_type="numpy" if arrays else int, num_threads=threads)
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        if not len(rows):
            return np.zeros(0, np.int32), sizes
        return np.concatenate([np.asarray(row, np.int32) for row in rows]), sizes

    def _encoded(self, texts: Sequence[str], **how: Any) -> list[Any]:
        try:
            encoded: list[Any] = self._pieces.encode(list(texts), **how)
        except (TypeError, UnicodeEncodeError):  # what SentencePiece says of them depends on its version
            texts = [text.encode("utf-8", "replace").decode() for text in texts]
            encoded = self._pieces.encode(texts, **how)
        if self._splitter is not None:
            for i, text in enumerate(texts):
                if self._splitter.finds(text):
                    encoded[i] = self._encode_with_added(self._splitter, text)
        return encoded

    def _encode_with_added(self, splitter: Splitter, text: str) -> list[int]:
        ids: list[int] = []
        for part in splitter.parts(text):
            ids += [part] if isinstance(part, int) else self._pieces.encode(part)
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ``ids`` up to the first end of sequence; padding is skipped.

        Sentinels are shown as ``<extra_id_k>``. Ids outside the vocabulary, which a model with a padded embedding
        table can give, are skipped too.
        """
        text = ""
        run: list[int] = []
        for token in map(int, ids):
            if token == EOS_ID:
                break
            if token in self._added:
                text += self._decoded(run, text) + self._added[token]
                run = []
            elif PAD_ID < token < self._size:
                run.append(token)
        return text + self._decoded(run, text)

    def _decoded(self, run: list[int], before: str) -> str:
        """A run of pieces; SentencePiece drops the blank before the first, which belongs to it behind other text."""
        blank = " " if before and run and self._pieces.id_to_piece(run[0]).startswith("▁") else ""
        return blank + str(self._pieces.decode(run))

    def normalize(self, text: str) -> str:
        """Returns ``text`` as the vocabulary sees it: NFKC, control characters gone, white space squeezed."""
        normalized: str = self._pieces.normalize(text)
        return normalized.replace("▁", " ").strip(" ")

    def piece(self, token: int) -> str:
        """Returns how one id looks, for people: ``▁the``, ``<0x41>``, ``<extra_id_0>``; ``<?>`` outside the range."""
        if token in self._numbers:
            return f"<extra_id_{self._numbers[token]}>"
        if token in self._added:
            return self._added[token]
        return str(self._pieces.id_to_piece(token)) if 0 <= token < self._size else "<?>"

    def _has(self, content: str) -> bool:
        """Whether a piece or a sentinel is written so."""
        if (number := sentinel_number(content)) is not None:
            return number < self.num_sentinels
        return bool(self._pieces.id_to_piece(self._pieces.piece_to_id(content)) == content)

    def _is_known(self, token: AddedToken) -> bool:
        """Whether a token is a sentinel or a special piece, with its id; refuses it if something else has the id."""
        number = sentinel_number(token.content)
        if number is not None:
            place = self._sentinels[number] if number < self.num_sentinels else None
        else:
            place = {self._pieces.id_to_piece(i): i for i in (PAD_ID, EOS_ID, UNK_ID)}.get(token.content)
        if place == token.id:
            return True
        if number is not None or place is not None:
            has = f"has it at {place:,}" if place is not None else f"has {self.num_sentinels} sentinels"
            way_out = "take it out, or give the model and the number of its sentinels"
            raise token.refused(f"but the vocabulary {has}: {way_out}")
        if token.id < self._size:
            piece = self._pieces.id_to_piece(token.id)
            if token.content not in (piece, piece.removeprefix("▁")):
                way_out = f"give ids from {self._size:,} up, or the number of sentinels"
                raise token.refused(f"which is that of {piece!r}: {way_out}")
        return False


def _loaded(model: bytes) -> sentencepiece.SentencePieceProcessor:
    pieces = sentencepiece.SentencePieceProcessor()
    pieces.LoadFromSerializedProto(model)
    return pieces


def _held_sentinels(pieces: sentencepiece.SentencePieceProcessor) -> tuple[int, ...]:
    """The ids of the sentinels that a model holds, ``<extra_id_0>`` first."""
    held: dict[int, int] = {}
    for token in range(pieces.get_piece_size()):
        piece = pieces.id_to_piece(token)
        number = sentinel_number(piece)
        if number is None:
            continue
        if number in held:
            way_out = f"the model holds it twice, at ids {held[number]:,} and {token:,}: give the one of the training"
            raise ConfigError("vocabulary", piece, way_out)
        held[number] = token
    gaps = set(range(max(held, default=-1))) - held.keys()
    if gaps:
        way_out = f"the model holds <extra_id_{max(held)}> without it: give the model of the training, with all of them"
        raise ConfigError("vocabulary", f"<extra_id_{min(gaps)}>", way_out)
    return tuple(held[number] for number in range(len(held)))


def _fitting(num_pieces: int, beside: Beside, rows: int | None, *, ours: bool) -> int:
    """How many sentinels there are where nothing says it, from what lies above the pieces."""
    added = min((token.id for token in beside.added_tokens if token.id >= num_pieces), default=None)
    if added is not None:
        return 0 if added == num_pieces else DEFAULT_SENTINELS
    above = -1 if rows is None else rows - num_pieces
    if not 0 <= above < _MOST_ROWS_ABOVE:
        return DEFAULT_SENTINELS
    return above if ours else min(above, DEFAULT_SENTINELS)
