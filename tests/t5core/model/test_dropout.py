import pytest
import torch

from t5core.model import Dropout

GOLDEN = ["110100100010100010011001", "111110100100101101111010"]


def drop(rate=0.25, key=11, **more):
    return Dropout(rate=rate, key=torch.tensor(key), **more)


def test_masks_keep_the_asked_share_and_scale_what_they_keep():
    masks = drop().masks(0, 4, 8, 4000)
    assert masks.shape == (4, 8, 4000)
    assert masks.unique().tolist() == pytest.approx([0.0, 1 / 0.75])
    assert masks.eq(0).float().mean().item() == pytest.approx(0.25, abs=0.005)
    shares = masks.eq(0).float().mean(dim=-1)
    assert shares.std().item() == pytest.approx((0.25 * 0.75 / 4000) ** 0.5, rel=0.4)  # as of independent draws


def test_layers_rows_sites_and_keys_have_masks_of_their_own():
    dropout = drop(rate=0.5)
    masks = [dropout.masks(site, 3, 5, 200) for site in (0, 1, 100)] + [drop(rate=0.5, key=12).masks(0, 3, 5, 200)]
    rows = torch.cat([mask.reshape(-1, 200) for mask in masks])
    assert len({tuple(row.tolist()) for row in rows}) == 4 * 15
    correlations = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlations.abs().max().item() < 0.35  # 60 choose 2 pairs of 200 fair coins: 4.8 standard deviations


def test_masks_depend_on_the_row_of_the_global_batch():
    whole = drop().masks(2, 3, 6, 50)
    assert torch.equal(drop(first_row=4).masks(2, 3, 2, 50), whole[:, 4:])
    assert torch.equal(drop().elsewhere(2).masks(0, 3, 6, 50), whole)


def test_a_mask_is_the_same_number_by_number_from_release_to_release():
    kept = drop(rate=0.5, key=2**32 - 1).masks(101, 1, 2, 24).ne(0).int()
    assert ["".join(map(str, row)) for row in kept[0].tolist()] == GOLDEN


@pytest.mark.parametrize("key", [0, 11, 2**31, 2**32 - 1])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.75, 1 - 2**-40])
def test_words_of_32_bits_give_the_same_masks(key, rate):
    signed = torch.tensor(key - 2**32 if key >> 31 else key, dtype=torch.int32)
    narrow, wide = Dropout(rate=rate, key=signed, first_row=70_000), drop(rate=rate, key=key, first_row=70_000)
    for site in (0, 1, 101):
        assert torch.equal(narrow.masks(site, 3, 5, 300), wide.masks(site, 3, 5, 300))
