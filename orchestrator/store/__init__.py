"""Where results live: a folder, or a bucket through fsspec. Files are the ledger; everything else is a view.

    ROOT/{kind}/{name}-{key}/...              a finished stage: its files, and manifest.json, written last
    ROOT/work/{kind}/{name}-{key}/...         an unfinished one; kept between attempts so that they can resume
    ROOT/leases/{key}.json                    who works on it now
    ROOT/plans/{study}-{scale}-{key}.json     what was to be done; likewise reports/, runs/, failures/

A stage is finished when its manifest is there, and a manifest is never changed. What identifies a stage is its key
alone: the name is for people, so a stage that another study finished under another name is found.

    store = open_store("results")                     # or s3://bucket/results, gs://..., memory://...
    store.check_writable()
    with store.lease(stage):
        if store.finished(stage) is None:
            work = store.work(stage)
            result = run(work)
            store.commit(stage, work, result)
    folder = store.path(stage)

Buckets have no folders, no renames and no locks. There the work is done in a local cache folder, which is itself a
local store; a commit uploads the files and then the manifest; ``path`` downloads into the cache, once. Leases on
buckets are best effort: two hosts that start within the same moment may both work on a stage, which costs time but
not truth, because the same key means the same content.
"""

from orchestrator.store.bucket import BucketStore
from orchestrator.store.local import LocalStore
from orchestrator.store.manifest import FileEntry, Manifest, StoreError
from orchestrator.store.opening import open_store
from orchestrator.store.store import Store, Unfinished
from t5core.lease import Busy as StageBusy
from t5core.lease import Lease, Owner

__all__ = [
    "BucketStore",
    "FileEntry",
    "Lease",
    "LocalStore",
    "Manifest",
    "Owner",
    "StageBusy",
    "Store",
    "StoreError",
    "Unfinished",
    "open_store",
]
