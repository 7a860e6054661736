"""Numbers as people read them: seconds and bytes, the same words wherever they are shown."""


def duration(seconds: float | None) -> str:
    """Returns seconds for people: ``42 s``, ``3:07``, ``2:03:07``; "" for None."""
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


def readable_bytes(count: float) -> str:
    """Returns bytes for people, in powers of 1000: ``950 B``, ``1.2 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
