"""How a run's model is held by its device, by what ``t5core.sizes`` says that it takes.

A device offers some ways (``t5core.devices.layout``); the first one that fits is taken, else the last one, which takes
least. Activations are an estimate from above, so what does not fit by it is tried all the same, and said.
"""

from collections.abc import Callable

from t5core.config import MeshConfig, ModelConfig, TrainConfig
from t5core.devices import Decision, Device, Layout
from t5core.feeds.batch import Batch

WHAT = "memory"
"""What the decision is about."""
ROOM = 0.9
"""The part of a device's memory that a model may take; the rest is for logits, buffers and gaps."""
_GIB = 1 << 30


def fit(model: ModelConfig, train: TrainConfig, device: Device, batch: Callable[[], Batch]) -> Decision | None:
    """Has the device hold the next model that it is given in the way to take; every process must call it.

    Args:
        model: to be trained.
        train: how.
        device: where.
        batch: gives one of the run's, for its shape.

    Returns:
        What was decided, and why; None where there was nothing to decide, or nothing is known of the memory.
    """
    memory = device.memory_bytes()
    if memory is None or len(device.layouts) == 1:
        return None  # there is one way; what a device decides of it by itself, as on a mesh, it says itself
    inputs, targets = (ids.shape[1] for ids in (batch().inputs, batch().targets))
    taken = least = None
    for layout in device.layouts:
        least = taken_bytes(model, train, device, layout, inputs_length=inputs, targets_length=targets)
        if device.everywhere(least <= ROOM * memory) == {1.0}:  # what does not fit in one process fits in none
            taken = layout
            break
    chosen = taken or device.layouts[-1]
    device.hold(chosen)
    assert least is not None
    why = f"{device.parallel}: training takes some {least / _GIB:.1f} of {memory / _GIB:.1f} GiB"
    if taken is None:
        why += ", which may not fit: a smaller --microbatch, or more devices in --mesh, take less"
    elif layout != device.layouts[0]:
        why += "; the ways that cost less take more"
    return Decision(what=WHAT, value=chosen.described, why=why)


def taken_bytes(
    model: ModelConfig, train: TrainConfig, device: Device, layout: Layout, *, inputs_length: int, targets_length: int
) -> int:
    """Returns what training takes on one of the devices, about: activations are counted from above.

    Args:
        model: to be trained.
        train: how.
        device: where.
        layout: how the model is held.
        inputs_length: columns of a batch's inputs; 0 for decoder-only models.
        targets_length: and of its targets.
    """
    from t5core.sizes import device_bytes  # it asks the optimizer, a module of this package

    mesh = device.mesh or MeshConfig(data=device.processes if layout.shard else 1)
    here = len(device.rows(train.batch_size))
    rows = min(train.microbatch or here, here)
    if device.mesh is None:
        rows *= mesh.data  # sizes are of a whole batch
    return device_bytes(
        model,
        mesh,
        batch_size=rows,
        inputs_length=inputs_length,
        targets_length=targets_length,
        dtype=device.compute_dtype,
        dense_attention="sdpa" not in device.kernels,
        recompute=layout.recompute,
    ).total
