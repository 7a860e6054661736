"""HTTP bodies as they were sent: in chunks, and packed as ``Content-Encoding`` says.

Crawlers differ in whether they keep a body packed or unpack it and leave the header, and servers name encodings that
are none ("utf-8", "none"). So a body that is not what its header says is taken as it is where it looks like text, and
is no page where it does not: a body that nobody here can unpack would be rubbish in a corpus.
"""

import re
import zlib
from collections.abc import Callable, Mapping

_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n")
_CONTROL = bytes({*range(32)} - set(b"\t\n\r\f\x1b"))
_WIDE = (b"\xff\xfe", b"\xfe\xff")  # UTF-16 and UTF-32 begin with one of them, or say so in the charset
_LOOKED_AT_BYTES = 4096
_CONTROL_SHARE = 0.02


def sent_body(data: bytes, headers: Mapping[str, str], max_bytes: int, charset: str | None = None) -> bytes | None:
    """Returns an HTTP body without its chunks and unpacked; None for one that is packed in a way that is not undone.

    Args:
        data: the body as captured.
        headers: of the answer, names as they came.
        max_bytes: unpacking stops there.
        charset: that the header names, if any.
    """
    by_name = {name.lower(): value.lower() for name, value in headers.items()}
    sent = _names(by_name.get("transfer-encoding", ""))
    if "chunked" in sent:
        data = _without_chunks(data)
    encodings = [*_names(by_name.get("content-encoding", "")), *(name for name in sent if name != "chunked")]
    for encoding in reversed(encodings or _packed_by(data)):  # named in the order in which they were applied
        unpacked = _unpack(encoding, data, max_bytes)
        if unpacked is None:
            break
        data = unpacked
    return data if _looks_like_text(data, charset) else None


def _names(header: str) -> list[str]:
    """The encodings of a header, without weights and quotes."""
    names = (name.partition(";")[0].strip().strip("\"'") for name in header.split(","))
    return [name for name in names if name]


def _packed_by(data: bytes) -> list[str]:
    """The encoding that a body without a word of one begins with."""
    return [
        name for magic, name in ((b"\x1f\x8b\x08", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")) if data.startswith(magic)
    ]


def _unpack(encoding: str, data: bytes, max_bytes: int) -> bytes | None:
    """The bytes without one encoding; None where it is unknown or they are not in it."""
    unpack = _UNPACKED_BY.get(encoding.removeprefix("x-"))
    return None if unpack is None else unpack(data, max_bytes)


def _inflated(data: bytes, max_bytes: int) -> bytes | None:
    # servers call both of zlib's forms and the bare stream "deflate"
    for wbits in (47, -15):
        try:
            return zlib.decompressobj(wbits=wbits).decompress(data, max_bytes)
        except zlib.error:
            continue
    return None


def _gunzipped(data: bytes, max_bytes: int) -> bytes | None:
    parts: list[bytes] = []
    while data and sum(map(len, parts)) < max_bytes:  # one member after another
        inflate = zlib.decompressobj(wbits=47)
        try:
            parts.append(inflate.decompress(data, max_bytes - sum(map(len, parts))))
        except zlib.error:
            break
        data = inflate.unused_data
    return b"".join(parts) if parts else None


def _unbrotli(data: bytes, max_bytes: int) -> bytes | None:
    import brotli

    try:
        unpacked: bytes = brotli.Decompressor().process(data, output_buffer_limit=max_bytes)
    except brotli.error:
        return None
    return unpacked


def _unzstd(data: bytes, max_bytes: int) -> bytes | None:
    import pyarrow  # type: ignore[import-untyped]

    parts, size = [], 0
    try:
        with pyarrow.CompressedInputStream(pyarrow.BufferReader(data), "zstd") as stream:
            while size < max_bytes and (part := stream.read(min(1 << 16, max_bytes - size))):
                parts.append(part)
                size += len(part)
    except OSError:  # a stream that is cut short gives what it has, as with the other encodings
        if not parts:
            return None
    return b"".join(parts)


_UNPACKED_BY: Mapping[str, Callable[[bytes, int], bytes | None]] = {
    "gzip": _gunzipped,
    "deflate": _inflated,
    "br": _unbrotli,
    "zstd": _unzstd,
    "identity": lambda data, _: data,
}


def _looks_like_text(data: bytes, charset: str | None) -> bool:
    """Whether bytes hold next to no control characters, of which what is packed has one in ten."""
    start = data[:_LOOKED_AT_BYTES]
    wide = (charset or "").lower()
    if start.startswith(_WIDE) or wide.startswith(("utf-16", "utf-32")):
        try:
            text = start.decode(wide if wide.startswith("utf") else "utf-16", "replace")
        except LookupError:
            return False
        start = text.encode("utf-8", "replace")
        if text.count("\ufffd") > _CONTROL_SHARE * len(text) + 1:  # the last letter may be cut
            return False
    return len(start) - len(start.translate(None, _CONTROL)) <= _CONTROL_SHARE * len(start)


def _without_chunks(data: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        size = _CHUNK_SIZE.match(data, at)
        if size is None:
            return b"".join(parts) if parts else data
        at = size.end() + int(size[1], 16)
        if at == size.end():
            return b"".join(parts)
        parts.append(data[size.end() : at])
        at += 2 if data.startswith(b"\r\n", at) else 0
