"""Decoding: from a model and its inputs to token ids, or to how likely given ones are.

In: a model, or several as an ensemble; ids of inputs; how to search, greedily or by beams, or what is to be measured.
Out: ids up to the end mark; ``likelihood``: nats and bytes of a task's right answers. Never: scores of text, or a
change of the model.
"""

from t5core.decoding.beam import Hypotheses, beam_search
from t5core.decoding.search import decode, generate

__all__ = ["Hypotheses", "beam_search", "decode", "generate"]
