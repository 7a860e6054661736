"""Numbers as people read them: seconds, bytes and counts, the same words wherever they are shown."""


def duration(seconds: float | None) -> str:
    """Returns seconds for people: ``42 s``, ``3:07``, ``2:03:07``; "" for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def readable_count(count: float) -> str:
    """Returns a count for people: ``7``, ``4.0k``, ``222.9M``; "" for 0."""
    for unit, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return f"{count:g}" if count else ""


def readable_bytes(count: float) -> str:
    """Returns bytes for people, in powers of 1000: ``950 B``, ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
