"""Decoding: from a model and its inputs to token ids."""

from t5core.decoding.beam import Hypotheses, beam_search
from t5core.decoding.search import decode, generate

__all__ = ["Hypotheses", "beam_search", "decode", "generate"]
