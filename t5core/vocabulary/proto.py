"""The bytes of a SentencePiece model with other pieces in it, as far as sentinels need it.

A ``.model`` file is a protocol buffer whose field 1 repeats, once for each piece in the order of ids: its text (field
1), score (field 2) and type (field 3). Buffers of a repeated field may be put end to end, so new pieces are appended.
"""

from collections.abc import Collection, Iterable, Iterator

_PIECE = b"\x0a"  # field 1, of so many bytes: a piece in the model, and the text in a piece
_USER_DEFINED = b"\x15\x00\x00\x00\x00\x18\x04"  # field 2: score 0.0; field 3: type 4, which encoding never cuts
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5


def with_pieces(model: bytes, texts: Iterable[str]) -> bytes:
    """Returns a model with more pieces behind its own, of the type that encoding never cuts."""
    return model + b"".join(map(_piece, texts))


def with_uncut(model: bytes, ids: Collection[int]) -> bytes:
    """Returns a model with the pieces of some ids turned into the type that encoding never cuts."""
    parts = []
    token = -1
    for start, body, end in _fields(model):
        is_piece = model[start : start + 1] == _PIECE
        token += is_piece
        if is_piece and token in ids:
            piece = model[body:end]
            text = next(piece[b:e] for s, b, e in _fields(piece) if piece[s : s + 1] == _PIECE)
            parts.append(_piece(text.decode()))
        else:
            parts.append(model[start:end])
    return b"".join(parts)


def _piece(text: str) -> bytes:
    body = _sized(text.encode()) + _USER_DEFINED
    return _sized(body)


def _sized(body: bytes) -> bytes:
    size, rest = [], len(body)
    while rest > 0x7F:
        size.append(rest & 0x7F | 0x80)
        rest >>= 7
    return _PIECE + bytes([*size, rest]) + body


def _fields(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Gives where each field of a buffer, its value, and the next field start."""
    at = 0
    while at < len(data):
        start = at
        tag, at = _varint(data, at)
        body = at
        if tag & 7 == _VARINT:
            _, at = _varint(data, at)
        elif tag & 7 == _SIZED:
            size, body = _varint(data, at)
            at = body + size
        elif tag & 7 in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if tag & 7 == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"no field starts at byte {start}")
        yield start, body, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
