"""How much text a span-corrupted example of a given length holds.

Span corruption shortens a text by an amount that is known in advance, because the number of noise tokens and of
spans depends on the length alone. So 568 tokens are read to fill 512 input positions: at 15 % and mean length 3 they
have 85 noise tokens in 28 spans, hence inputs of 568 - 85 + 28 + 1 = 512 and targets of 85 + 28 + 1 = 114 tokens,
one sentinel per span and one EOS on either side. Spans of one token shorten nothing: 127 tokens and EOS fill 128.
"""


def random_spans_lengths(inputs_length: int, noise_density: float, mean_noise_span_length: float) -> tuple[int, int]:
    """Returns ``(tokens_length, targets_length)``: raw tokens to read, and tokens in the target, EOS included.

    Args:
        inputs_length: tokens in the input, EOS included.
        noise_density: share of the raw tokens that is corrupted.
        mean_noise_span_length: mean tokens per corrupted span.

    The rules are the released code's, its special case too: at density 0.5 one raw token less is read when that
    makes the targets as long as the inputs, which is a rounder number.
    """

    def sizes(tokens_length: int) -> tuple[int, int]:
        noise = round(tokens_length * noise_density)
        spans = round(noise / mean_noise_span_length)
        return tokens_length - noise + spans + 1, noise + spans + 1

    tokens_length = inputs_length - 1  # and EOS: spans of 1 token or more make no text longer
    while sizes(tokens_length + 1)[0] <= inputs_length:
        tokens_length += 1
    reached, targets_length = sizes(tokens_length)
    if noise_density == 0.5 and targets_length > reached:
        tokens_length -= 1
        targets_length -= 1
    return tokens_length, targets_length
