"""The paper's models (sections 2.1 and 3.2): token ids in, logits over the vocabulary out.

    encoder-decoder    inputs ──► embedding ──► encoder ──────────┐ source
                       targets ─► shift right ─► embedding ─► decoder ─► · d_model^-½ ─► embedding^T ─► logits
    shared             the same; the encoder runs the decoder's blocks without their cross-attention, its position
                       bias and its final norm
    language model     inputs and targets joined ─► shift right ─► embedding ─► decoder, causal ─► ...
    prefix LM          the same, but the inputs see each other in both directions

``forward`` takes and gives what Hugging Face's T5 does. Training calls ``hidden`` and leaves the last product to the
loss, which takes it in pieces; decoding calls ``start`` and ``step``.

Shapes: B batch, S source positions, T target positions, D d_model, V vocab_size.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from t5core.config import ModelConfig
from t5core.errors import ConfigError
from t5core.model.activations import kept_for_backward
from t5core.model.dropout import Dropout
from t5core.model.incremental import BlockWeights, DecoderState, LayerState, laid_right
from t5core.model.initialise import initialise
from t5core.model.inputs import PAD_ID, ModelInputs, shifted_right
from t5core.model.kernels import Kernel, dense_bias, not_compiled, without_gradient
from t5core.model.layers import Embedding, Linear
from t5core.model.lookup import Lay
from t5core.model.products import RowsProduct
from t5core.model.stacks import Block, Stack
from t5core.model.visibility import Visibility

if TYPE_CHECKING:  # it is a T5 itself
    from t5core.model.scanned import Scan

IGNORED_LABEL = -100
DECODER_SITES = 100
"""Dropout sites of the decoder start here; the encoder's start at 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class T5Output:
    """What ``T5.forward`` gives.

    Attributes:
        logits: ``[B, T, V]``.
        loss: mean cross-entropy over the labels that are not -100, in nats; None without labels.
    """

    logits: Tensor
    loss: Tensor | None = None


class T5(nn.Module):
    """Text to text. ``compute_dtype`` is the precision of activations; weights stay as they are."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        self.lay: Lay | None = None  # how a mesh of devices cuts what is computed with the vocabulary
        self.embedding = Embedding(config.vocab_size, config.d_model)
        if config.architecture == "encoder_decoder":
            self.encoder = Stack(config, config.num_encoder_layers, cross=False, first_site=0)
        self.decoder = Stack(config, config.num_decoder_layers, cross=not config.decoder_only, first_site=DECODER_SITES)
        if not config.tied_embeddings:
            self.lm_head = Linear(config.d_model, config.vocab_size)

    def initialise(self, seed: int) -> "T5":
        """Draws all weights from ``seed`` as the released code does; returns itself."""
        initialise(self, self.config, seed)
        return self

    def scanned(self, scan: "Scan", lay: Lay | None = None) -> "T5":
        """Returns a model with the same weights that holds its layers joined and applies them by ``scan``.

        ``lay`` cuts tensors on a mesh of devices, where there is one.
        """
        from t5core.model.scanned import ScannedT5

        return ScannedT5(self, scan, lay)

    def use_kernel(self, kernel: Kernel) -> None:
        """Lets ``kernel`` compute the attention of whole sequences; decoding, one query at a time, has its own."""
        for stack in self._stacks():
            stack.kernel = kernel

    @contextmanager
    def kernels_replaced(self, replace: Callable[[Kernel], Kernel]) -> Iterator[None]:
        """Uses other kernels inside a ``with``, which a function gives for those there are, and these behind it."""
        earlier = [(stack, stack.kernel) for stack in self._stacks()]
        try:
            for stack, kernel in earlier:
                stack.kernel = replace(kernel)
            yield
        finally:
            for stack, kernel in earlier:
                stack.kernel = kernel

    def _stacks(self) -> list[Stack]:
        return [module for module in self.modules() if isinstance(module, Stack)]

    @property
    def output_weight(self) -> Tensor:
        """What ``hidden`` is multiplied by to give logits, ``[V, D]``: the embedding, or a matrix of its own."""
        return self.embedding.weight if self.config.tied_embeddings else self.lm_head.weight

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
    ) -> T5Output:
        """Returns logits, and the loss if there are labels, as Hugging Face's T5ForConditionalGeneration does.

        Args:
            input_ids: int ``[B, S]``. For decoder-only models the prompt; ``labels`` follow it.
            attention_mask: ``[B, S]``, 1 where an input may be seen; None: everywhere.
            labels: int ``[B, T]``; -100 is ignored, 0 is not.
            decoder_input_ids: int ``[B, T]``; None: the labels shifted right, with -100 replaced by 0.

        Raises:
            ConfigError: for wrong shapes, ids outside the vocabulary, or neither labels nor decoder_input_ids.
        """
        self._check("input_ids", input_ids, input_ids)
        if labels is not None:
            self._check("labels", labels.masked_fill(labels == IGNORED_LABEL, PAD_ID), input_ids)
        if decoder_input_ids is None:
            if labels is None:
                raise ConfigError("labels", None, "give labels or decoder_input_ids")
            decoder_input_ids = shifted_right(labels.masked_fill(labels == IGNORED_LABEL, PAD_ID))
        else:
            self._check("decoder_input_ids", decoder_input_ids, input_ids)
        visible_BS = None if attention_mask is None else attention_mask.bool()
        if visible_BS is not None and visible_BS.shape != input_ids.shape:
            raise ConfigError("attention_mask", tuple(visible_BS.shape), f"give {tuple(input_ids.shape)}, as input_ids")
        if self.config.decoder_only:
            hidden_BTD = self._behind_prompt(input_ids, visible_BS, decoder_input_ids)
        else:
            batch = ModelInputs(inputs_BS=input_ids, targets_BT=decoder_input_ids)
            source_BSD = self._encoded(batch, visible_BS)
            hidden_BTD = self._decoded(decoder_input_ids, batch, source_BSD, visible_BS)
        logits_BTV = self._logits(hidden_BTD)
        if labels is None:
            return T5Output(logits=logits_BTV)
        loss = functional.cross_entropy(logits_BTV.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED_LABEL)
        return T5Output(logits=logits_BTV, loss=loss)

    def hidden(self, batch: ModelInputs, dropout: Dropout | None = None) -> Tensor:
        """Returns ``[B, T, D]``, what is multiplied by ``output_weight`` to give the logits of every target position.

        Padded inputs are not seen; in packed rows every example sees itself only.
        """
        if self.config.decoder_only:
            return self._decoded(batch.shifted_BT, batch, None, None, dropout)
        source_BSD = self._encoded(batch, batch.visible_BS, dropout)
        return self._decoded(batch.shifted_BT, batch, source_BSD, batch.visible_BS, dropout)

    def _embedded(self, ids: Tensor) -> Tensor:
        out: Tensor = self.embedding(ids).to(self.compute_dtype)
        return out

    def _encoded(
        self,
        batch: ModelInputs,
        visible_BS: Tensor | None,
        dropout: Dropout | None = None,
        kernel: Kernel | None = None,
    ) -> Tensor:
        length = batch.inputs_BS.shape[1]
        packed = batch.input_segments_BS is not None
        visibility = Visibility(
            num_queries=length,
            num_keys=length,
            visible_BK=None if packed else visible_BS,
            query_segments_BQ=batch.input_segments_BS,
            key_segments_BK=batch.input_segments_BS,
        )
        if self.config.architecture == "shared_encoder_decoder":
            dropout = None if dropout is None else dropout.elsewhere(DECODER_SITES)
            out: Tensor = self.decoder(self._embedded(batch.inputs_BS), visibility, dropout=dropout, kernel=kernel)
        else:
            out = self.encoder(self._embedded(batch.inputs_BS), visibility, dropout=dropout, kernel=kernel)
        return out

    def _decoded(
        self,
        shifted_BT: Tensor,
        batch: ModelInputs,
        source_BSD: Tensor | None,
        source_visible_BS: Tensor | None,
        dropout: Dropout | None = None,
    ) -> Tensor:
        length = shifted_BT.shape[1]
        visibility = Visibility(
            num_queries=length,
            num_keys=length,
            causal=True,
            query_segments_BQ=batch.target_segments_BT,
            key_segments_BK=batch.target_segments_BT,
            prefix_BK=self._read_prefix(batch),
        )
        across = None
        if source_BSD is not None:
            packed = batch.input_segments_BS is not None
            across = Visibility(
                num_queries=length,
                num_keys=source_BSD.shape[1],
                visible_BK=None if packed else source_visible_BS,
                query_segments_BQ=batch.target_segments_BT,
                key_segments_BK=batch.input_segments_BS,
            )
        x_BTD: Tensor = self.decoder(self._embedded(shifted_BT), visibility, source_BSD, across, dropout)
        return self._scaled(x_BTD)

    def _read_prefix(self, batch: ModelInputs) -> Tensor | None:
        """The positions at which the decoder reads its start token or a prefix token: the prefix, one place later."""
        if self.config.architecture != "prefix_lm" or batch.prefix_BT is None:
            return None
        given_BT = shifted_right(batch.prefix_BT, batch.target_segments_BT)
        return given_BT | batch.prefix_BT  # a start token counts if a prefix follows it

    def _behind_prompt(self, prompt_BS: Tensor, visible_BS: Tensor | None, follow_BT: Tensor) -> Tensor:
        """A decoder-only model's hidden states for what follows a prompt; ``follow`` begins with a start token."""
        seen_BS = torch.ones_like(prompt_BS, dtype=torch.bool) if visible_BS is None else visible_BS
        read_BW, real_BW = laid_right(prompt_BS, seen_BS)
        real_BW = functional.pad(real_BW, (0, follow_BT.shape[1] - 1), value=True)
        read_BW = torch.cat([read_BW, follow_BT[:, 1:]], dim=1)
        width = read_BW.shape[1]
        prefix_BW = torch.arange(width, device=read_BW.device)[None, :] <= prompt_BS.shape[1]
        visibility = Visibility(
            num_queries=width,
            num_keys=width,
            causal=True,
            visible_BK=real_BW,
            prefix_BK=prefix_BW if self.config.architecture == "prefix_lm" else None,
        )
        x_BWD: Tensor = self.decoder(self._embedded(read_BW), visibility)
        return self._scaled(x_BWD[:, prompt_BS.shape[1] :])

    def _scaled(self, x_BTD: Tensor) -> Tensor:
        """The embedding has unit variance, so a tied softmax needs the decoder's output scaled down."""
        return x_BTD * (1.0 / math.sqrt(self.config.d_model)) if self.config.tied_embeddings else x_BTD

    def _logits(self, hidden: Tensor) -> Tensor:
        return functional.linear(hidden, self.output_weight.to(hidden.dtype))

    @torch.no_grad()
    def start(
        self,
        inputs_BS: Tensor,
        max_length: int,
        visible_BS: Tensor | None = None,
        copies: int = 1,
        *,
        padded: bool = True,
    ) -> DecoderState:
        """Returns the state for decoding up to ``max_length`` tokens behind ``inputs``.

        Args:
            inputs_BS: ids for the encoder; for decoder-only models the prompts, their marker included.
            max_length: tokens that the cache has room for.
            visible_BS: bool; None: everything that is not padding.
            copies: rows of the decoding batch for each row of ``inputs``, next to one another (beams).
            padded: whether anything is hidden; where nothing is, no layer of any step adds a mask.
        """
        seen_BS = inputs_BS != PAD_ID if visible_BS is None else visible_BS.bool()
        if self.config.decoder_only:
            return self._start_behind_prompt(inputs_BS, seen_BS, max_length, copies)
        own = self.encoder if self.config.architecture == "encoder_decoder" else self.decoder
        kernel = without_gradient(own.kernel, inputs_BS.device.type, inputs_BS.shape[1])
        mask_BS = seen_BS if padded else None
        source_BSD = self._encoded(ModelInputs(inputs_BS=inputs_BS, targets_BT=inputs_BS), mask_BS, kernel=kernel)
        across = Visibility(num_queries=1, num_keys=inputs_BS.shape[1], visible_BK=mask_BS)
        rows = inputs_BS.shape[0] * copies
        layers = [
            LayerState(
                weights=BlockWeights.of(block, source_BSD.dtype, rows),
                cache_2RHTd=self._empty_cache(rows, max_length, source_BSD),
                source_2BHSd=block.cross_attention.key_values(source_BSD).joined(),
            )
            for block in self._decoder_blocks()
        ]
        return DecoderState(
            layers=tuple(layers),
            offsets_HT=self._cache_bias(max_length, source_BSD),
            head=RowsProduct(self.output_weight, source_BSD.dtype, rows),
            copies=copies,
            source_bias_B11S=dense_bias(None, across, source_BSD),
        )

    def _start_behind_prompt(self, prompt_BS: Tensor, seen_BS: Tensor, max_length: int, copies: int) -> DecoderState:
        read_BW, real_BW = laid_right(prompt_BS, seen_BS)
        batch, width = read_BW.shape
        begin = width - 1  # the last prompt token is read again in the first step, to the same effect
        total = begin + max_length
        x_BWD = self._embedded(read_BW)
        visibility = Visibility(
            num_queries=width,
            num_keys=width,
            causal=True,
            visible_BK=real_BW,
            prefix_BK=torch.ones_like(real_BW) if self.config.architecture == "prefix_lm" else None,
        )
        scores = self.decoder.scores(visibility, x_BWD, not_compiled(self.decoder.kernel))
        layers: list[LayerState] = []
        for block in self._decoder_blocks():
            q_BHWd, new = block.self_attention.itself(block.self_attention_norm(x_BWD))
            cache_2BHTd = self._empty_cache(batch, total, x_BWD)
            cache_2BHTd[:, :, :, :width] = new.joined()
            cache_2RHTd = cache_2BHTd.repeat_interleave(copies, dim=1)
            weights = BlockWeights.of(block, x_BWD.dtype, batch * copies)
            layers.append(LayerState(weights=weights, cache_2RHTd=cache_2RHTd))
            x_BWD = block.after(x_BWD + block.self_attention.attend(q_BHWd, new, scores), None, None)
        seen_BT = functional.pad(real_BW, (0, total - width), value=True)
        padding_B11T = dense_bias(None, Visibility(num_queries=1, num_keys=total, visible_BK=seen_BT), x_BWD)
        assert padding_B11T is not None
        return DecoderState(
            layers=tuple(layers),
            offsets_HT=self._cache_bias(total, x_BWD),
            head=RowsProduct(self.output_weight, x_BWD.dtype, batch * copies),
            copies=copies,
            begin=begin,
            padding_R1T=padding_B11T[:, 0].repeat_interleave(copies, dim=0),
            last_R1=read_BW[:, -1:].repeat_interleave(copies, dim=0),
        )

    @torch.no_grad()
    def step(self, previous_R1: Tensor, position: int | Tensor, state: DecoderState) -> Tensor:
        """Returns logits ``[R, V]`` for the token after ``previous``.

        Args:
            previous_R1: the token before, int64; in the first step the start token, the pad id.
            position: tokens generated before, from 0. A number, and the cache is read no further than there; or a
                tensor of one number, and every step is the same computation (for devices that compile).
            state: of the step before; what it has read is changed in place.
        """
        if state.last_R1 is not None:
            if isinstance(position, Tensor):
                previous_R1 = torch.where(position == 0, state.last_R1, previous_R1)
            elif position == 0:
                previous_R1 = state.last_R1
        x_RD = state.advance(self._embedded(previous_R1)[:, 0], position)
        return state.head(self._scaled(self.decoder.final_norm(x_RD)))

    def _cache_bias(self, length: int, like: Tensor) -> Tensor:
        """The learned bias of keys that lie length - 1, ..., 0 places back, ``[H, length]``."""
        out: Tensor = self.decoder.position_bias(length, length, bidirectional=False)[:, :length].to(like.dtype)
        return out

    def _empty_cache(self, rows: int, length: int, like: Tensor) -> Tensor:
        return like.new_zeros(2, rows, self.config.num_heads, length, self.config.d_kv)

    def _decoder_blocks(self) -> list[Block]:
        return self.decoder.separate_blocks()

    def kept_for_backward(self, inputs_length: int, targets_length: int) -> int:
        """Returns how many numbers of one sequence training keeps for the backward pass, from above."""
        return kept_for_backward(self.config, inputs_length, targets_length)

    def flops(self, inputs_length: int, targets_length: int) -> int:
        """Returns the operations of one forward pass over one pair of sequences, logits included.

        For decoder-only models ``targets_length`` is that of the joined row and ``inputs_length`` is 0.
        """
        c = self.config
        if c.decoder_only:
            stacks = self.decoder.flops(targets_length)
        elif c.architecture == "shared_encoder_decoder":
            stacks = self.decoder.flops(inputs_length) + self.decoder.flops(targets_length, inputs_length)
        else:
            stacks = self.encoder.flops(inputs_length) + self.decoder.flops(targets_length, inputs_length)
        return stacks + 2 * targets_length * c.d_model * c.vocab_size

    def _check(self, field: str, ids: Tensor, like: Tensor) -> None:
        """Raises ConfigError for a wrong shape or an id outside the vocabulary."""
        if ids.dim() != 2 or ids.shape[0] != like.shape[0] or ids.is_floating_point():
            raise ConfigError(field, tuple(ids.shape), "give whole numbers, [batch, length], one row an example")
        if ids.device.type == "meta" or not ids.numel():
            return
        low, high = int(ids.min()), int(ids.max())
        if low < 0 or high >= self.config.vocab_size:
            bad = low if low < 0 else high
            raise ConfigError(field, bad, f"give ids from 0 to {self.config.vocab_size - 1}, the model's vocabulary")
