"""Decoding: from a model and its inputs to token ids.

In: a model, or several as an ensemble; ids of inputs; how to search, greedily or by beams. Out: ids up to the end mark.
Never: text, scores, or a change of the model.
"""

from t5core.decoding.beam import Hypotheses, beam_search
from t5core.decoding.search import decode, generate

__all__ = ["Hypotheses", "beam_search", "decode", "generate"]
