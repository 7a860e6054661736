"""A random order of 0 ... n - 1 that is computed, not stored.

A feed over a billion segments needs the segment at place 712,003,441 of epoch 3, without shuffling a billion numbers
first. A keyed permutation gives it: an unbalanced Feistel network is a bijection on the numbers of ``bits`` bits,
whatever its round function, and following the cycle until it is back below n ("cycle walking") turns that into a
bijection on 0 ... n - 1. As 2^bits < 2n (but for n < 3), fewer than two walks are needed on
average. Memory is that of the batch.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_ROUNDS = 6
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX2 = np.uint64(0x94D049BB133111EB)


def permuted(
    positions: npt.NDArray[np.integer[Any]],
    sizes: npt.NDArray[np.integer[Any]] | int,
    *keys: npt.NDArray[np.integer[Any]] | int,
) -> npt.NDArray[np.int64]:
    """Returns where each position lands in the random order that belongs to its size and keys.

    Args:
        positions: ``[N]``, each from 0 up to, not including, its size.
        sizes: how many things are put in order: one number, or one for each position.
        keys: numbers that name the order, such as seed and epoch; each one number, or one for each position.

    Returns:
        int64 ``[N]``. For one size and key, the positions 0 ... n - 1 give 0 ... n - 1 in another order.
    """
    x = positions.astype(np.uint64)
    n = np.broadcast_to(np.asarray(sizes, dtype=np.uint64), x.shape)
    key = np.zeros(x.shape, dtype=np.uint64)
    for part in keys:
        key = mix(key ^ mix(np.atleast_1d(part).astype(np.uint64) + _GOLDEN))
    # bits that hold n - 1, at least 2 so that either half has one; frexp's exponent is the bit length
    bits = np.maximum(np.frexp((n - np.uint64(1)).astype(np.float64))[1], 2).astype(np.uint64)
    x = _feistel(x, bits, key)
    outside = np.flatnonzero(x >= n)
    while outside.size:
        x[outside] = _feistel(x[outside], bits[outside], key[outside])
        outside = outside[x[outside] >= n[outside]]
    return x.astype(np.int64)


def mix(x: U64) -> U64:
    """Scrambles 64 bits (the finaliser of splitmix64): close numbers become far apart."""
    x = (x ^ (x >> np.uint64(30))) * _MIX1
    x = (x ^ (x >> np.uint64(27))) * _MIX2
    return x ^ (x >> np.uint64(31))


def _feistel(x: U64, bits: U64, key: U64) -> U64:
    """One bijection on the numbers of ``bits`` bits: six rounds that xor one half with a keyed hash of the other."""
    low_bits = bits // np.uint64(2)
    high_bits = bits - low_bits
    low_mask = (np.uint64(1) << low_bits) - np.uint64(1)
    high_mask = (np.uint64(1) << high_bits) - np.uint64(1)
    low, high = x & low_mask, x >> low_bits
    for _ in range(_ROUNDS // 2):
        low = low ^ (mix(high + key) & low_mask)
        key = key + _GOLDEN
        high = high ^ (mix(low + key) & high_mask)
        key = key + _GOLDEN
    out: U64 = (high << low_bits) | low
    return out
