"""Training a SentencePiece vocabulary (paper section 2.2): a pure function of the sampled text and the config.

SentencePiece's own sampling depends on the order of its input, so it is switched off: ``t5core.vocabulary.sampling``
chooses the text, and documents come in the order of their hashes.
"""

import io
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import sentencepiece

from t5core.config import VocabularyConfig
from t5core.errors import ConfigError
from t5core.vocabulary.pieces import EOS_ID, PAD_ID, UNK_ID, Vocabulary
from t5core.vocabulary.sampling import SourceSample, TextSource, merged, sample_sources

# SentencePiece skips training lines above this many bytes; ours are cut below it.
_MAX_LINE_BYTES = 4096
_ERRORS_ONLY = 2


def train_vocabulary(texts: Iterable[str], config: VocabularyConfig, folder: Path) -> Vocabulary:
    """Trains a unigram vocabulary on one text and writes ``vocabulary.model`` and ``vocabulary.json`` into ``folder``.

    The same texts, in any order, and the same config give the same bytes. Takes about 2 s per million characters
    on one core.

    Args:
        texts: documents; read once. At most twice ``config.train_chars`` characters of them are held while reading.
        config: sizes, sample and coverage.
        folder: where the two files go.

    Raises:
        ConfigError: ``num_pieces`` is too small for the text's characters, or too large for the amount of text.
    """
    samples = sample_sources([TextSource(texts=texts)], train_chars=config.train_chars, seed=config.seed)
    return train_on_samples(samples, config, folder)


def train_on_samples(samples: Sequence[SourceSample], config: VocabularyConfig, folder: Path) -> Vocabulary:
    """Trains like ``train_vocabulary`` on what ``sample_sources`` drew from several texts, in any order.

    Raises:
        ConfigError: as ``train_vocabulary``.
    """
    lines = list(_lines(merged(samples)))
    if not lines:
        raise ConfigError("corpus", "", "there is no text to train a vocabulary on")
    _check_characters(lines, config)
    writer = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=writer,
            model_type="unigram",
            vocab_size=config.num_pieces,
            character_coverage=config.character_coverage,
            normalization_rule_name="nmt_nfkc",
            byte_fallback=True,
            pad_id=PAD_ID,
            eos_id=EOS_ID,
            unk_id=UNK_ID,
            bos_id=-1,
            seed_sentencepiece_size=min(1_000_000, max(100_000, 40 * config.num_pieces)),
            # one sub-iteration compresses as well as the default two (2.457 characters a token) in 3/4 of the time
            num_sub_iterations=1,
            num_threads=1,
            shuffle_input_sentence=False,
            max_sentence_length=2 * _MAX_LINE_BYTES,
            minloglevel=_ERRORS_ONLY,
        )
    except RuntimeError as error:
        raise _explained(error, config) from error
    vocabulary = Vocabulary(writer.getvalue(), config.num_sentinels)
    vocabulary.save_to(folder)
    return vocabulary


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Training lines: no line break, not empty, short enough for SentencePiece not to skip them."""
    width = _MAX_LINE_BYTES // 4  # a character is at most four bytes
    for text in texts:
        for line in text.replace("\x00", " ").splitlines():
            for start in range(0, len(line), width):
                part = line[start : start + width].strip()
                if part:
                    yield part.encode("utf-8", "replace").decode("utf-8")


def _check_characters(lines: Sequence[str], config: VocabularyConfig) -> None:
    # 3 special pieces and 256 bytes always; SentencePiece itself counts the characters, after normalisation.
    if config.num_pieces <= 3 + 256:
        characters = len(set("".join(lines)))
        raise ConfigError(
            "num_pieces",
            config.num_pieces,
            f"3 special pieces, 256 bytes and {characters} characters need room: give {3 + 256 + characters} or more",
        )


def _explained(error: RuntimeError, config: VocabularyConfig) -> ConfigError:
    message = str(error)
    if small := re.search(r"(\d+)\s+vs\s+(\d+)", message):
        return ConfigError(
            "num_pieces",
            config.num_pieces,
            f"256 bytes, 3 special pieces and the characters need {small[2]} or more; or lower character_coverage",
        )
    if large := re.search(r"<=\s*(\d+)", message):
        return ConfigError(
            "num_pieces", config.num_pieces, f"too many for so little text: give {large[1]} or fewer, or more text"
        )
    reason = message.splitlines()[-1]
    return ConfigError("num_pieces", config.num_pieces, f"SentencePiece cannot train on this text: {reason}")
