"""A Ray Train backend for torch-xla over PJRT.

Ray's own XLA backend is for Neuron only, and its TPU backend starts TorchTPU's process groups. torch-xla needs less:
the PJRT device named before the first import that touches it, each process told its rank, and SPMD switched on where
a program spans several devices. On TPU slices it runs one process per host, which is what Ray Train reserves for
``use_tpu`` with a topology, so ranks and hosts are the same thing.

Process groups are not made: under SPMD the compiler inserts the collectives, and one device needs none.

    trainer = DataParallelTrainer(lane_main, backend_config=XlaBackendConfig(pjrt_device="CPU"), ...)

``PJRT_DEVICE=CPU`` runs the same path on any machine; several virtual devices (``virtual_devices``) make a mesh to try
sharding on.
"""

import os
from dataclasses import dataclass
from typing import Any

from ray.train.backend import Backend, BackendConfig


@dataclass
class XlaBackendConfig(BackendConfig):
    """How torch-xla is set up in each worker.

    Attributes:
        pjrt_device: "TPU" or "CPU".
        virtual_devices: how many devices a CPU shows.
        spmd: whether a program spans several devices.
    """

    pjrt_device: str = "CPU"
    virtual_devices: int = 1
    spmd: bool = False

    @property
    def backend_cls(self) -> type[Backend]:
        """The backend that reads this config."""
        return XlaBackend


class XlaBackend(Backend):
    """Prepares each worker's environment before the training function starts."""

    def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
        """Sets each worker's environment, rank by rank, and SPMD where it is wanted."""
        assert isinstance(backend_config, XlaBackendConfig)
        num_workers = len(worker_group)
        for rank in range(num_workers):
            worker_group.execute_single(rank, set_environment, rank, num_workers, backend_config)
        if backend_config.spmd:
            worker_group.execute(use_spmd)


def set_environment(rank: int, num_workers: int, config: XlaBackendConfig) -> None:
    """Tells the process its device and its rank. What is set on the machine (TPU VMs do) stays as it is."""
    os.environ["PJRT_DEVICE"] = config.pjrt_device
    os.environ["RANK"] = str(rank)
    os.environ["WORLD_SIZE"] = str(num_workers)
    if config.pjrt_device == "CPU":
        os.environ["CPU_NUM_DEVICES"] = str(config.virtual_devices)


def use_spmd() -> None:
    """Switches the process to SPMD: one program over all devices, before any tensor is on one."""
    import torch_xla.runtime as xr

    xr.use_spmd()
