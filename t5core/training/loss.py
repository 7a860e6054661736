"""The loss: teacher-forced cross-entropy with z-loss (paper section 3.1.1; Mesh TensorFlow ``softmax_cross_entropy``).

Shapes: B batch, T target positions, V vocabulary.
"""

import torch
from torch import Tensor

PAD_ID = 0


def token_losses(logits_BTV: Tensor, targets_BT: Tensor, z_loss: float) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the summed training loss, the summed cross-entropy alone, and the number of target tokens.

    Padding weighs nothing. ``z_loss * log(Z)^2`` keeps the softmax normaliser near 1; it is part of the training
    loss, not of the reported cross-entropy.
    """
    weights_BT = (targets_BT != PAD_ID).to(torch.float32)
    # log_softmax is one fused kernel in both directions; log Z follows from it at the target's place
    log_probs_BTV = torch.log_softmax(logits_BTV.float(), dim=-1)
    negative_log_likelihood_BT = -log_probs_BTV.gather(-1, targets_BT[..., None])[..., 0]
    log_z_BT = logits_BTV.gather(-1, targets_BT[..., None])[..., 0].float() + negative_log_likelihood_BT
    cross_entropy_BT = negative_log_likelihood_BT * weights_BT
    training_BT = cross_entropy_BT + z_loss * log_z_BT.square() * weights_BT
    return training_BT.sum(), cross_entropy_BT.sum().detach(), weights_BT.sum()
