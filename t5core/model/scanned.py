"""The same model with each stack's layers held as one: a program whose size does not grow with depth.

A compiler that is given 24 blocks one after another compiles 24 blocks. Here the weights of a stack's layers are kept
stacked, ``[L, ...]`` each, and the stack is one block applied L times by a loop that the compiler knows (a *scan*).
Forward, backward and optimizer then have as many operations for 24 layers as for 6.

    T5          decoder.blocks.0.self_attention.q.weight   [I, D]
                decoder.blocks.1.self_attention.q.weight   [I, D]
    ScannedT5   decoder.layers.self_attention.q.weight     [2, I, D]

A checkpoint never shows it: ``t5core.devices.layered`` leads from one naming to the other. The numbers are those of
the model whose layers are apart, up to rounding.

What differs from layer to layer (weights, dropout masks) is scanned over; what the layers share (position bias, mask,
the encoder's output) is carried along beside the activations, so that its gradient is summed over the layers.

Shapes: B batch, T target positions, S source positions, Q queries, K keys, D d_model, H heads, L layers.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from t5core.config import ModelConfig
from t5core.model.kernels import Scores, expanded
from t5core.model.lookup import Lay
from t5core.model.stacks import Block, BlockMasks, Stack
from t5core.model.t5 import T5
from t5core.model.visibility import Visibility

Named = dict[str, Tensor]
Body = Callable[[Named, Named], tuple[Named, None]]
"""One layer: what is carried and what belongs to the layer in, what is carried on out (and nothing beside it)."""
Scan = Callable[[Body, Named, Named], Named]
"""Applies a body once per entry of the second mapping's leading dimension; gives what is carried at the end."""

_MASKS = "masks."


def loop(body: Body, carry: Named, layers: Named) -> Named:
    """Applies ``body`` layer by layer, in Python: what every other ``Scan`` must equal."""
    for i in range(len(next(iter(layers.values())))):
        carry, _ = body(carry, {name: tensor[i] for name, tensor in layers.items()})
    return carry


@dataclass(frozen=True, eq=False)
class SplitScores:
    """Attention by two matrix products with a softmax between them; bias and mask are kept apart.

    Added up they would be ``[B, H, Q, K]``, and so would the gradient that is carried from layer to layer.

    Attributes:
        bias_1HQK: the learned bias, float32, or None.
        mask_B1QK: 0 where a key is seen; broadcasts; or None.
    """

    bias_1HQK: Tensor | None
    mask_B1QK: Tensor | None

    def attend(self, q_BHQd: Tensor, k_BHKd: Tensor, v_BHKd: Tensor) -> Tensor:
        """Returns ``[B, H, Q, d]``."""
        logits_BHQK = (q_BHQd @ k_BHKd.transpose(-1, -2)).float()
        for more in (self.bias_1HQK, self.mask_B1QK):
            if more is not None:
                logits_BHQK = logits_BHQK + more
        return torch.softmax(logits_BHQK, dim=-1).to(q_BHQd.dtype) @ v_BHKd


class SplitKernel:
    """The reference's two products, with the bias kept apart from the mask."""

    name = "split"

    def prepare(self, offsets_HR: Tensor | None, visibility: Visibility, like: Tensor) -> Scores:
        """Returns scores with the bias expanded."""
        bias = None if offsets_HR is None else expanded(offsets_HR, visibility.num_queries, visibility.num_keys)
        return SplitScores(bias, visibility.additive(like.device, torch.float32))


class ScannedStack(Stack):
    """A stack that holds its layers' weights joined and applies one block to each of them in turn.

    Args:
        stack: where the weights come from; all that is not in a block is shared with it.
        scan: how to apply the block.
    """

    def __init__(self, stack: Stack, scan: Scan) -> None:
        blocks = stack.separate_blocks()
        with torch.device("meta"):
            super().__init__(stack.config, 0, cross=blocks[0].cross, first_site=stack.first_site)
            self.layers = Block(stack.config, cross=blocks[0].cross)
        self.position_bias, self.final_norm = stack.position_bias, stack.final_norm
        self.num_layers = len(blocks)
        for name, _ in list(self.layers.named_parameters()):
            owner, _, leaf = name.rpartition(".")
            joined = torch.stack([block.get_parameter(name).detach() for block in blocks])
            setattr(self.layers.get_submodule(owner), leaf, nn.Parameter(joined))
        self._empty = _without_weights(self.layers)
        self.kernel = SplitKernel()
        self.scan = scan

    def separate_blocks(self) -> list[Block]:
        """Returns the layers as blocks of their own, whose weights are copies out of this stack's: for decoding."""
        blocks = []
        for i in range(self.num_layers):
            block = copy.deepcopy(self._empty)
            for name, joined in self.layers.named_parameters():
                owner, _, leaf = name.rpartition(".")
                setattr(block.get_submodule(owner), leaf, torch.select_copy(joined, 0, i))
            blocks.append(block)
        return blocks

    def _run(
        self,
        x_BTD: Tensor,
        scores: Scores,
        masks: BlockMasks | None,
        source_BSD: Tensor | None,
        source_scores: Scores | None,
    ) -> Tensor:
        assert isinstance(scores, SplitScores)
        assert source_scores is None or isinstance(source_scores, SplitScores)
        shared = {
            "x": x_BTD,
            "bias": scores.bias_1HQK,
            "mask": scores.mask_B1QK,
            "source": source_BSD,
            "source_mask": None if source_scores is None else source_scores.mask_B1QK,
        }
        carry = {name: tensor for name, tensor in shared.items() if tensor is not None}
        layers: Named = {}
        for name, parameter in self.layers.named_parameters():
            if source_BSD is not None or not name.startswith("cross_"):
                # matrices are cast here and not in the loop: sharded ones are then gathered in the lower precision
                layers[name] = parameter.to(x_BTD.dtype) if parameter.dim() > 2 else parameter
        if masks is not None:
            layers.update({f"{_MASKS}{name}": m for name, m in masks._asdict().items() if m is not None})
        trained = tuple(name for name, tensor in layers.items() if tensor.requires_grad)
        body = LayerBody(self.config, self.layers.cross, tuple(carry), torch.is_grad_enabled(), trained)
        return self.scan(body, carry, layers)["x"]


@dataclass(frozen=True)
class LayerBody:
    """One layer as a function of tensors.

    Two that are equal compute the same, and scans keep what they traced by that: a later model of the same config finds
    its program compiled.

    Attributes:
        config, cross: of the block.
        carried: names of what is carried.
        with_gradient: whether gradients are taken.
        trained: which of a layer's tensors take part in that.
    """

    config: ModelConfig
    cross: bool
    carried: tuple[str, ...]
    with_gradient: bool
    trained: tuple[str, ...]

    @cached_property
    def block(self) -> Block:
        """The block without its weights."""
        with torch.device("meta"):
            return Block(self.config, cross=self.cross)

    def __call__(self, carry: Named, layer: Named) -> tuple[Named, None]:
        """Returns what is carried on behind a layer."""
        masks = {name.removeprefix(_MASKS): m for name, m in layer.items() if name.startswith(_MASKS)}
        source = carry.get("source")
        x_BTD = torch.func.functional_call(
            self.block,
            {name: weight for name, weight in layer.items() if not name.startswith(_MASKS)},
            (
                carry["x"],
                SplitScores(carry.get("bias"), _constant(carry.get("mask"))),
                BlockMasks(**masks) if masks else None,
                source,
                None if source is None else SplitScores(None, _constant(carry.get("source_mask"))),
            ),
        )
        return {**carry, "x": x_BTD}, None


def _without_weights(block: Block) -> Block:
    empty = copy.deepcopy(block)
    for name, _ in list(empty.named_parameters()):
        owner, _, leaf = name.rpartition(".")
        delattr(empty.get_submodule(owner), leaf)
    return empty


def _constant(mask: Tensor | None) -> Tensor | None:
    """Masks are carried, and so a scan would take their gradient; it is not wanted."""
    return None if mask is None else mask.detach()


class ScannedT5(T5):
    """A T5 whose stacks are scanned; it computes what ``model`` does.

    Args:
        model: where the weights come from; those outside of the blocks are shared with it.
        scan: how to apply a block to the layers: ``loop``, or what a compiler offers.
        lay: cuts tensors on a mesh of devices; None: there is no mesh.
    """

    def __init__(self, model: T5, scan: Scan = loop, lay: Lay | None = None) -> None:
        with torch.device("meta"):
            super().__init__(model.config)
        self.compute_dtype = model.compute_dtype
        for name, child in model.named_children():
            setattr(self, name, ScannedStack(child, scan) if isinstance(child, Stack) else child)
        self.lay = self.embedding.lay = lay
        self.train(model.training)
