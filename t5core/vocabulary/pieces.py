"""Text to ids and back: SentencePiece pieces with sentinels on top (paper section 2.2).

Ids, low to high::

    0 pad   1 end of sequence   2 unknown   3..258 the 256 bytes   259.. pieces   | <extra_id_N-1> ... <extra_id_0>
    └────────────────────── num_pieces (the SentencePiece model) ───────────────┘ └──── num_sentinels ────────────┘

Sentinels are not in the SentencePiece model. They lie above it, and ``<extra_id_0>`` has the highest id, as in
the released vocabularies. A character without a piece of its own is spelled in bytes, so no input is lost: what
comes back from ``decode(encode(text))`` is the text after NFKC normalisation with white space squeezed.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sentencepiece

from t5core.errors import ConfigError

PAD_ID = 0
EOS_ID = 1
UNK_ID = 2

MODEL_FILE = "vocabulary.model"
SETTINGS_FILE = "vocabulary.json"
DEFAULT_SENTINELS = 100

_SENTINEL = re.compile(r"<extra_id_(\d{1,9})>")  # longer numbers are no sentinel's, and int() takes no 5,000 digits


class Vocabulary:
    """A SentencePiece model with sentinels on top of it.

    Args:
        model: the bytes of a SentencePiece ``.model`` file with pad 0, end of sequence 1 and unknown 2.
        num_sentinels: how many ``<extra_id_k>`` lie above its pieces.

    Raises:
        ConfigError: the bytes are no SentencePiece model, or its special ids are others.
    """

    def __init__(self, model: bytes, num_sentinels: int = DEFAULT_SENTINELS) -> None:
        self._model = model
        self._pieces = sentencepiece.SentencePieceProcessor()
        try:
            self._pieces.LoadFromSerializedProto(model)
            ids = (self._pieces.pad_id(), self._pieces.eos_id(), self._pieces.unk_id())
        except (RuntimeError, OSError) as error:
            raise ConfigError("vocabulary", f"{len(model)} bytes", "these are not a SentencePiece model") from error
        if ids != (PAD_ID, EOS_ID, UNK_ID):
            raise ConfigError("vocabulary", ids, "pad, end and unknown have to be ids 0, 1 and 2: train one of ours")
        self.num_pieces: int = self._pieces.get_piece_size()
        self.num_sentinels = num_sentinels
        self.size = self.num_pieces + num_sentinels

    def __reduce__(self) -> tuple[type["Vocabulary"], tuple[bytes, int]]:
        """Travels between processes as its model's bytes."""
        return (Vocabulary, (self._model, self.num_sentinels))

    @classmethod
    def load(cls, path: Path) -> "Vocabulary":
        """Reads a ``.model`` file; the number of sentinels comes from ``vocabulary.json`` beside it, else it is 100.

        Raises:
            ConfigError: no such file, not a model of ours, or a broken ``vocabulary.json``.
        """
        path = Path(path)
        try:
            model = path.read_bytes()
        except OSError as error:
            raise ConfigError("vocabulary", str(path), f"{error.strerror}: give a .model file") from error
        settings = path.with_name(SETTINGS_FILE)
        num_sentinels = DEFAULT_SENTINELS
        if settings.exists():
            num_sentinels = _read_num_sentinels(settings)
        return cls(model, num_sentinels)

    def save_to(self, folder: Path) -> None:
        """Writes ``vocabulary.model`` and ``vocabulary.json`` into ``folder``, which is made when missing."""
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"num_pieces": self.num_pieces, "num_sentinels": self.num_sentinels}
        (folder / MODEL_FILE).write_bytes(self._model)
        (folder / SETTINGS_FILE).write_text(json.dumps(settings) + "\n", encoding="utf-8")

    def sentinel_id(self, k: int) -> int:
        """Returns the id of ``<extra_id_k>``: the highest id for k = 0, then downwards.

        Raises:
            ConfigError: there is no such sentinel.
        """
        if not 0 <= k < self.num_sentinels:
            raise ConfigError("num_sentinels", self.num_sentinels, f"there is no <extra_id_{k}>: ask for more")
        return self.size - 1 - k

    def encode(self, text: str) -> list[int]:
        """Returns the ids of ``text``, no end of sequence added; ``<extra_id_k>`` in it becomes the sentinel's id."""
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
        for i, text in enumerate(texts):
            if "<extra_id_" in text:
                encoded[i] = self._encode_with_sentinels(text)
        return encoded

    def _encode_with_sentinels(self, text: str) -> list[int]:
        ids: list[int] = []
        # re.split with one group gives text, number, text, number, ..., text
        for i, part in enumerate(_SENTINEL.split(text)):
            if i % 2 == 0:
                ids += self._pieces.encode(part)
            elif int(part) < self.num_sentinels:
                ids.append(self.sentinel_id(int(part)))
            else:
                ids += self._pieces.encode(f"<extra_id_{part}>")
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        """Returns the text of ``ids`` up to the first end of sequence; padding is skipped.

        Sentinels are shown as ``<extra_id_k>``. Ids outside the vocabulary, which a model with a padded embedding
        table can give, are skipped too.
        """
        parts: list[str] = []
        run: list[int] = []
        for token in map(int, ids):
            if token == EOS_ID:
                break
            if PAD_ID < token < self.num_pieces:
                run.append(token)
            elif self.num_pieces <= token < self.size:
                parts += [self._pieces.decode(run), f"<extra_id_{self.size - 1 - token}>"]
                run = []
        parts.append(self._pieces.decode(run))
        return " ".join(part for part in parts if part)

    def normalize(self, text: str) -> str:
        """Returns ``text`` as the vocabulary sees it: NFKC, control characters gone, white space squeezed."""
        normalized: str = self._pieces.normalize(text)
        return normalized.replace("▁", " ").strip(" ")

    def piece(self, token: int) -> str:
        """Returns how one id looks, for people: ``▁the``, ``<0x41>``, ``<extra_id_0>``; ``<?>`` outside the range."""
        if self.num_pieces <= token < self.size:
            return f"<extra_id_{self.size - 1 - token}>"
        return str(self._pieces.id_to_piece(token)) if 0 <= token < self.num_pieces else "<?>"


def _read_num_sentinels(settings: Path) -> int:
    way_out = 'give it {"num_sentinels": 100}, with the number that the vocabulary was trained for, or train one anew'
    try:
        number = json.loads(settings.read_text(encoding="utf-8"))["num_sentinels"]
    except OSError as error:
        raise ConfigError("vocabulary", str(settings), f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError("vocabulary", str(settings), f"holds no num_sentinels: {way_out}") from error
    if type(number) is not int or number < 0:
        raise ConfigError("vocabulary", str(settings), f"its num_sentinels is no whole number: {way_out}")
    return number
