"""Unlabeled text: where it comes from, how it is cleaned, and the split that nothing leaks through."""

from t5core.corpora.build import TRAIN_FILE, VALIDATION_FILE, build_corpus, identify
from t5core.corpora.documents import read_documents

__all__ = ["TRAIN_FILE", "VALIDATION_FILE", "build_corpus", "identify", "read_documents"]
