"""The loss: teacher-forced cross-entropy with z-loss (paper section 3.1.1; Mesh TensorFlow ``softmax_cross_entropy``).

Two paths to the same numbers. ``token_losses`` is the formula, on logits that are there. ``projected_token_losses`` is
what training uses: it multiplies the decoder's output by the embedding a few rows at a time and takes loss and
gradient of these rows at once, so that the logits of a batch never exist as a whole: a small vocabulary then stays in
the processor's cache, a large one out of a device's memory.

Shapes: B batch, T target positions, V vocabulary, D d_model, N = B·T positions, C positions of one chunk.
"""

from typing import Any

import torch
from torch import Tensor

from t5core.model.lookup import Lay, laid, less_at, numbers_at

PAD_ID = 0
MIN_CHUNK = 32
"""Rows; fewer would make the matrix products too small."""


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


def projected_token_losses(
    hidden_BTD: Tensor,
    embedding_VD: Tensor,
    targets_BT: Tensor,
    z_loss: float,
    chunk_bytes: int,
    lay: Lay | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns ``token_losses(hidden @ embedding.T, targets, z_loss)`` without keeping the logits.

    ``chunk_bytes`` is what the logits of one chunk may take: ``Device.loss_chunk_bytes``. ``lay`` cuts tensors on a
    mesh of devices: rows along "data" and the vocabulary along "model", so that no device holds all of a chunk.
    """
    apply: Any = _ProjectedLoss.apply
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), targets_BT.flatten()
    training, cross_entropy = apply(hidden_ND, embedding_VD, targets_N, z_loss, chunk_bytes, lay)
    return training, cross_entropy, (targets_BT != PAD_ID).sum().to(torch.float32)


class _ProjectedLoss(torch.autograd.Function):
    """Forward computes the gradients as well: they need the same logits."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        embedding_VD: Tensor,
        targets_N: Tensor,
        z_loss: float,
        chunk_bytes: int,
        lay: Lay | None,
    ) -> tuple[Tensor, Tensor]:
        needed = any(ctx.needs_input_grad[:2])
        # products in the activations' precision, sums in float32
        weight_VD = laid(lay, embedding_VD.to(hidden_ND.dtype), "model", None)
        hidden_gradients = []
        exact = torch.promote_types(embedding_VD.dtype, torch.float32)
        embedding_gradient_VD = torch.zeros_like(embedding_VD, dtype=exact) if needed else None
        training = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        cross_entropy = torch.zeros_like(training)
        # each chunk reads the matrix [V, D] and adds to its gradient: too few rows, and that is what takes the time
        size = max(MIN_CHUNK, embedding_VD.shape[1] // 2, chunk_bytes // (4 * embedding_VD.shape[0]))
        for hidden_CD, targets_C in zip(torch.split(hidden_ND, size), torch.split(targets_N, size), strict=True):
            hidden_CD = laid(lay, hidden_CD, "data", None)
            logits_CV = laid(lay, (hidden_CD @ weight_VD.T).float(), "data", "model")
            weights_C = (targets_C != PAD_ID).to(torch.float32)
            # one exp for loss and gradient: exp(logit - largest), which the sum makes a softmax
            largest_C = logits_CV.amax(dim=-1)
            logits_CV.sub_(largest_C[:, None])
            at_target_C = numbers_at(logits_CV, targets_C)
            exponentials_CV = logits_CV.exp_()
            sum_C = exponentials_CV.sum(dim=-1)
            log_sum_C = sum_C.log()
            log_z_C = log_sum_C + largest_C
            nll_C = (log_sum_C - at_target_C) * weights_C
            cross_entropy = cross_entropy + nll_C.sum()
            training = training + (nll_C + z_loss * log_z_C.square() * weights_C).sum()
            if embedding_gradient_VD is None:
                continue
            # d training / d logits = (softmax * (1 + 2 z log Z) - one hot of the target) * weight
            gradient_CV = exponentials_CV.mul_((weights_C * (1 + 2 * z_loss * log_z_C) / sum_C)[:, None])
            gradient_CV = less_at(gradient_CV, targets_C, weights_C).to(hidden_ND.dtype)
            gradient_CV = laid(lay, gradient_CV, "data", "model")
            hidden_gradients.append(laid(lay, gradient_CV @ weight_VD, "data", None))
            if gradient_CV.dtype == embedding_gradient_VD.dtype:
                embedding_gradient_VD.addmm_(gradient_CV.T, hidden_CD)
            else:
                embedding_gradient_VD += gradient_CV.T @ hidden_CD
        if embedding_gradient_VD is not None:
            # sums are float32 also where sharded weights are gathered in bfloat16
            ctx.save_for_backward(torch.cat(hidden_gradients), embedding_gradient_VD.to(embedding_VD.dtype))
        ctx.mark_non_differentiable(cross_entropy)
        return training, cross_entropy

    @staticmethod
    def backward(ctx: Any, training_gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        hidden_gradient_ND, embedding_gradient_VD = ctx.saved_tensors
        scale = training_gradient.to(hidden_gradient_ND.dtype)
        return hidden_gradient_ND * scale, embedding_gradient_VD * training_gradient, None, None, None, None
