"""From an address to a store: a folder, or a bucket through fsspec."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from orchestrator.store.bucket import BucketStore
from orchestrator.store.local import LocalStore
from orchestrator.store.store import Store
from t5core.errors import ConfigError
from t5core.lease import HEARTBEAT_S, STALE_AFTER_S
from t5core.uris import check_user_info, local_path, masked_address


def open_store(
    uri: str | Path,
    *,
    cache_dir: Path | None = None,
    heartbeat_s: float = HEARTBEAT_S,
    stale_after_s: float = STALE_AFTER_S,
) -> Store:
    """Opens a store; touches nothing yet.

    Args:
        uri: a folder, or ``file://``, ``s3://``, ``gs://``, ``memory://``, or what else fsspec knows.
        cache_dir: for buckets: where work and downloads lie, by default the user's cache folder.
        heartbeat_s: how often a held lease is refreshed.
        stale_after_s: without a heartbeat for that long, a lease is taken over.

    Raises:
        ConfigError: no such kind of store, or its fsspec package is not installed; nobody's home; a password that is
            not written as it has to be.
    """
    text = str(uri)
    scheme, colon, _ = text.partition("://")
    if not text.strip():
        raise ConfigError("store", text, "name a folder, or a bucket like s3://bucket/folder")
    if not colon:
        return LocalStore(local_path(text, "store"), heartbeat_s=heartbeat_s, stale_after_s=stale_after_s)
    if scheme in ("file", "local"):
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost"):
            raise ConfigError(
                "store", masked_address(text), "a file:// address takes three slashes: file:///absolute/path"
            )
        return LocalStore(Path(unquote(parts.path)), heartbeat_s=heartbeat_s, stale_after_s=stale_after_s)
    check_user_info(text, "store")
    return BucketStore(text, cache_dir=cache_dir, heartbeat_s=heartbeat_s, stale_after_s=stale_after_s)
