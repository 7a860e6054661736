"""Evaluates in one of several processes that share a stage; for ``test_evaluation.py``.

python evaluate_in_processes.py STAGE.json WORK        with RANK and WORLD_SIZE set, or alone
"""

import json
import sys
from pathlib import Path

from orchestrator.plan.stage import Stage
from orchestrator.stages import run_stage
from t5core.devices import open_device


def main(described: Path, work: Path) -> None:
    """Runs the stage; prints how many inputs this process decoded, and its result."""
    import t5core.decoding

    values = json.loads(described.read_text())
    device = open_device("cpu", threads=1)
    decode, counted = t5core.decoding.decode, []

    def counting(model, inputs_BS, config, device):
        counted.append(len(inputs_BS))
        return decode(model, inputs_BS, config, device)

    t5core.decoding.decode = counting
    inputs = {role: Path(path) for role, path in values["inputs"].items()}
    result = run_stage(Stage.from_dict(values["stage"]), inputs, work, device, lambda _: None)
    found = {"rank": device.rank, "batches": len(counted), "scores": result["scores"]}
    (described.parent / f"found.{work.name}.{device.rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
