"""The one seam between science and hardware: what training and decoding ask of a device.

Nothing outside this package asks which device it runs on. A device places arrays, marks where a step ends,
and says what it decided; the rest of t5core is written once. There are no random numbers to seed: dropout is a
function of place (``t5core.model.dropout``).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from t5core.config import MeshConfig
from t5core.devices.decision import Decision
from t5core.devices.layout import Layout
from t5core.devices.rates import memory_bytes


class Device(Protocol):
    """A place where tensors live and steps run: one device, or many that share a batch.

    Where several processes share a batch, each is given whole batches and computes its ``rows``; where one process
    drives several devices (XLA's SPMD), its rows are all of them.
    """

    name: str
    torch_device: torch.device
    rank: int
    """Of this process among those that share a batch; the first, 0, writes checkpoints."""
    processes: int
    """How many share a batch, and could share other work: those that hold whole weights and compute by themselves."""
    compute_dtype: torch.dtype
    """Precision of activations; weights and moments stay float32."""
    loss_chunk_bytes: int
    """How much of the logits the loss handles at a time: a cache's worth, or what a compiled program likes."""
    static_shapes: bool
    """Whether all that is called is recorded into programs (XLA), so that each new shape costs a compilation and shapes
    are better kept than made smaller. Where only what is said to be is compiled, decoding may read what it needs."""
    kernels: tuple[str, ...]
    """Attention kernels worth trying here, by name (``t5core.training.kernel_choice``), the first of which needs no
    reason; empty: ``place`` gives the model its own."""
    hardware: str
    """What this is, where choices among ``kernels`` are kept between runs on the same (``training.kept_choices``);
    "": they are made anew."""
    prefetch: int
    """How many batches to make and put here ahead of the steps that need them."""
    queued: bool
    """Whether work is queued, so that the host had better run ahead of it and ask for results a step later."""
    mesh: MeshConfig | None
    """The devices that one program spans (XLA); None elsewhere."""
    parallel: str
    """What was asked for of how models are held, one of ``t5core.devices.layout.PARALLEL_CHOICES``."""
    layouts: tuple[Layout, ...]
    """The ways that leaves, the first of which costs least time and the last of which takes least memory."""
    gradient_scale: float
    """What a rank's loss is multiplied by so that gradients are the whole batch's, where ``wrap`` averages them."""

    def memory_bytes(self) -> int | None:
        """Returns the memory of one device; None: unknown, or not its own."""

    def hold(self, layout: Layout) -> None:
        """Has what is placed from now on be held in one of ``layouts``."""

    def place(self, model: nn.Module) -> nn.Module:
        """Moves a model's weights here, sharded if this device shards; returns the model to use from now on."""

    def wrap(self, program: nn.Module) -> nn.Module:
        """Returns what to call instead of a placed program: data parallel, compiled. The parameters are the same."""

    def adding_up(self, program: nn.Module) -> AbstractContextManager[None]:
        """Leaves gradients that a wrapped program gets inside a ``with`` for the next one's to be added to them."""

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns a function of tensors compiled, where that is worth it; its shapes must stay the same."""

    def rows(self, batch_size: int) -> range:
        """Returns the rows of a global batch that this process computes."""

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array, this process's rows, as a tensor on the device; integers become int64, on XLA int32."""

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions whose value is data, not part of a compiled graph."""

    def whole(self, value: int) -> Tensor:
        """Returns a tensor of no dimensions, int64, whose value is data, not part of a compiled graph.

        On XLA it is int32: the value's lowest 32 bits.
        """

    def total(self, value: Tensor) -> Tensor:
        """Returns the sum of a tensor over the processes that share a batch."""

    def norm(self, tensors: Sequence[Tensor]) -> Tensor:
        """Returns the Euclidean norm of tensors together, on the device; of the whole ones where they are sharded."""

    def everywhere(self, value: float) -> set[float]:
        """Returns the different numbers that the processes that share a batch give; every one of them must call it.

        Unlike ``total`` it is for what each process has found by itself, a step's number or that something is wrong.
        """

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole tensors on the CPU in float32, for a checkpoint.

        Every process must call it; those that do not write, whose rank is not 0, may be given nothing.
        """

    def scattered(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns whole tensors, the same in every process, placed and sharded as their namesakes in ``like``.

        They are named as ``gathered`` names them; those that ``like`` has not are passed over.
        """

    def end_step(self) -> None:
        """Marks the end of a step: a lazy device compiles and runs what was recorded since the last one."""

    def compilations(self) -> int:
        """Returns how many programs were compiled so far; 0 on a device that compiles nothing."""

    def peak_flops_per_s(self) -> float | None:
        """Returns what the devices that share a batch reach together at most, in this precision; None: unknown."""

    def peak_memory_bytes(self) -> int | None:
        """Returns the most memory that was held, since ``reset_peak_memory`` where a device can tell; None: unknown."""

    def reset_peak_memory(self) -> None:
        """Has ``peak_memory_bytes`` begin anew, where that can be."""

    def threads(self) -> int | None:
        """Returns how many threads of this process compute now, where sums depend on it; None elsewhere."""

    def with_threads(self, count: int) -> AbstractContextManager[None]:
        """Computes with so many threads inside a ``with``, in this thread of Python, and as before behind it."""

    def in_precision(self, precision: str | None) -> AbstractContextManager[None]:
        """Computes in "float32" or "bfloat16" inside a ``with``; None: as the device was opened."""

    def decisions(self) -> tuple[Decision, ...]:
        """Returns what was decided about this device."""


class SingleProcess:
    """What a device does that shares its batches with no other process; for inheriting."""

    torch_device: torch.device
    rank = 0
    processes = 1
    compute_dtype: torch.dtype = torch.float32
    integers: torch.dtype = torch.int64
    static_shapes = False
    kernels: tuple[str, ...] = ()
    hardware = ""
    prefetch = 0
    queued = True
    gradient_scale = 1.0
    mesh: MeshConfig | None = None
    parallel = "auto"
    layouts: tuple[Layout, ...] = (Layout(),)

    def memory_bytes(self) -> int | None:
        """Returns the memory of a GPU or a TPU; None for a CPU."""
        return memory_bytes(self.torch_device)

    def hold(self, layout: Layout) -> None:
        """Does nothing: there is one way."""

    def place(self, model: nn.Module) -> nn.Module:
        """Moves a model's weights here."""
        return model.to(self.torch_device)

    def wrap(self, program: nn.Module) -> nn.Module:
        """Returns the program as it is."""
        return program

    def adding_up(self, program: nn.Module) -> AbstractContextManager[None]:
        """Does nothing: gradients are added up as they are."""
        return nullcontext()

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function as it is."""
        return function

    def rows(self, batch_size: int) -> range:
        """Returns all rows."""
        return range(batch_size)

    def put(self, array: np.ndarray) -> Tensor:
        """Returns the array as a tensor on the device; integers become ``integers``."""
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        wanted = tensor if tensor.is_floating_point() or tensor.dtype == torch.bool else tensor.to(self.integers)
        return wanted.to(self.torch_device)

    def scalar(self, value: float) -> Tensor:
        """Returns a float32 tensor of no dimensions, sent to the device as data."""
        return torch.tensor(value, dtype=torch.float32).to(self.torch_device)

    def whole(self, value: int) -> Tensor:
        """Returns an int64 tensor of no dimensions, sent to the device as data."""
        return torch.tensor(value, dtype=torch.int64).to(self.torch_device)

    def total(self, value: Tensor) -> Tensor:
        """Returns the value: there are no other processes."""
        return value

    def norm(self, tensors: Sequence[Tensor]) -> Tensor:
        """Returns the Euclidean norm of tensors together, on the device."""
        return torch.nn.utils.get_total_norm(tensors)

    def peak_flops_per_s(self) -> float | None:
        """Returns None: the peak rate is not known."""
        return None

    def peak_memory_bytes(self) -> int | None:
        """Returns None: what a device of this kind holds is not known."""
        return None

    def reset_peak_memory(self) -> None:
        """Does nothing."""

    def everywhere(self, value: float) -> set[float]:
        """Returns the number alone."""
        return {value}

    def threads(self) -> int | None:
        """Returns None: what is computed does not depend on the threads of this process."""
        return None

    def with_threads(self, count: int) -> AbstractContextManager[None]:
        """Changes nothing."""
        return nullcontext()

    @contextmanager
    def in_precision(self, precision: str | None) -> Iterator[None]:
        """Computes in "float32" or "bfloat16" inside a ``with``; None: as the device was opened.

        What is placed or wrapped inside it is for it alone.
        """
        earlier = self.compute_dtype
        self.compute_dtype = earlier if precision is None else getattr(torch, precision)
        try:
            yield
        finally:
            self.compute_dtype = earlier

    def gathered(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns copies on the CPU, in float32."""
        return {name: t.detach().to("cpu", torch.float32).contiguous() for name, t in tensors.items()}

    def scattered(self, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Returns the tensors on the device of their likes, in their dtype."""
        return {
            name: tensor.to(like[name].device, like[name].dtype) for name, tensor in tensors.items() if name in like
        }


def mix(words: tuple[int, ...]) -> int:
    """Returns one 63-bit seed from some integers."""
    return int(np.random.SeedSequence(list(words)).generate_state(1, np.uint64)[0] >> 1)
