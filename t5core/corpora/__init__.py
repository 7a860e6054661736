"""Unlabeled text: where it comes from, how it is cleaned, and the split that nothing leaks through.

In: files, stores, captures, the hub, or the prose of the installed packages. Out: documents, and a corpus as two files
of them, one to train on and one held out. Never: tokens, or a line in the first that is in the second.
"""

from t5core.corpora.build import TRAIN_FILE, VALIDATION_FILE, build_corpus, corpus_at, identify
from t5core.corpora.documents import read_documents

__all__ = ["TRAIN_FILE", "VALIDATION_FILE", "build_corpus", "corpus_at", "identify", "read_documents"]
