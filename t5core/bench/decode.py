"""Greedy decoding of a fixed number of tokens: t5core's ``generate`` and transformers' on the same weights and inputs.

The weights are random, and the embedding of the end mark is zero, so that no row ends early: all rows get all tokens
with both. The ids are compared: in float32 they have to be the same; in bfloat16 two tokens that are nearly as likely
may change places, and how many rows are the same is printed.
"""

from typing import Any

import torch
from torch import Tensor

from t5core.bench.parts import shown
from t5core.bench.peer import ATTENTIONS, transformers, twins
from t5core.bench.settings import BenchSettings
from t5core.bench.timing import Contestant, Lap, interleaved, no_lap
from t5core.bench.train import random_batch, versions
from t5core.decoding import generate
from t5core.devices import open_device
from t5core.model import T5, preset
from t5core.tables import Column, print_table

EOS_ID = 1


def measure(settings: BenchSettings) -> dict[str, Any]:
    """Measures and prints; returns ``ours`` and ``theirs`` (median seconds, the latter None without a peer), ``ratio``.

    Raises:
        RuntimeError: when the two give different ids.
    """
    s = settings.resolved()
    assert s.size is not None and s.batch is not None and s.targets_length is not None and s.rounds is not None
    if s.against == "transformers":
        transformers()
    new_tokens = s.targets_length
    device = open_device(s.device, precision=s.precision)
    config = preset(s.size)
    model = T5(config).initialise(0).eval()
    with torch.no_grad():
        model.embedding.weight[EOS_ID] = 0.0  # its logit is 0, and some other one is larger
    peers = {}
    if s.against == "transformers":
        peers = twins(model, ATTENTIONS, 0.0, device.torch_device)
    placed = device.place(model)
    assert isinstance(placed, T5)
    placed.compute_dtype = device.compute_dtype
    ids = device.put(random_batch(config.vocab_size, s.batch, s.inputs_length, 1).inputs)
    mask = torch.ones_like(ids)
    results: dict[str, Tensor] = {}

    def ours(lap: Lap) -> None:
        results["t5core"] = generate(placed, ids, mask, max_new_tokens=new_tokens).cpu()
        lap()

    def theirs(name: str, peer: Any) -> Contestant:
        def run(lap: Lap) -> None:
            out = peer.eval().generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=False,
                num_beams=1,
                min_new_tokens=new_tokens,
                max_new_tokens=new_tokens,
            )
            results[name] = out[:, 1:].cpu()  # behind the start token
            lap()

        return run

    contestants = {"t5core": ours} | {f"transformers {n}": theirs(f"transformers {n}", p) for n, p in peers.items()}
    print(
        f"greedy decoding: {s.size}, batch {s.batch}, inputs of {s.inputs_length}, {new_tokens} new tokens, "
        f"{s.device}, {str(device.compute_dtype).removeprefix('torch.')}, {s.rounds} rounds in turns"
    )
    print(", ".join(versions(device, with_peer=bool(peers))), flush=True)
    figures = interleaved(contestants, s.rounds)
    columns = [
        Column(head="medians, seconds", kind="name"),
        Column(head="whole", priority=0),
        Column(head="of CPU"),
        Column(head="tokens/s", priority=0),
    ]
    rows = []
    for name, figure in figures.items():
        m = figure.median()
        rows.append((name, f"{m.whole:.4g}", f"{m.whole_cpu:.4g}", f"{s.batch * new_tokens / m.whole:,.0f}"))
    print_table(columns, rows)
    if not device.queued:
        print(f"of a decoding: {shown(lambda: ours(no_lap))}")
    for name, found in results.items():
        exact = device.compute_dtype == torch.float32
        if found.shape != (s.batch, new_tokens) or (exact and not torch.equal(found, results["t5core"])):
            raise RuntimeError(f"{name} decodes other ids than t5core")
    ours_s = figures["t5core"].median().whole
    if not peers:
        return {"ours": ours_s, "theirs": None, "ratio": None}
    best = min((n for n in figures if n != "t5core"), key=lambda n: figures[n].median().whole)
    theirs_s = figures[best].median().whole
    same = int((results[best] == results["t5core"]).all(dim=1).sum())
    equal = "ids equal" if same == s.batch else f"ids equal in {same} of {s.batch} rows"
    print(f"{equal}, ratio {theirs_s / ours_s:.2f} ({best})", flush=True)
    return {"ours": ours_s, "theirs": theirs_s, "ratio": theirs_s / ours_s}
