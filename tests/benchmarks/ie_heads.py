"""Time and peak memory of GPLinker by its number of predicates: `python tests/benchmarks/ie_heads.py [--standard]`.

Each number of predicates runs in a process of its own, so that peaks do not add up. Random weights: 4 layers, 256 wide.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

ROWS, LENGTH = 16, 64
PREDICATES = (50, 500)


def main() -> None:
    """Measure every number of predicates."""
    options = argparse.ArgumentParser()
    options.add_argument("--predicates", type=int)
    options.add_argument("--standard", action="store_true")
    given = options.parse_args()
    if given.predicates:
        measure(given.predicates, efficient=not given.standard)
        return
    print("predicates\tweights of heads\ttraining s/step\tanswering s/step\tpeak MB")
    for count in PREDICATES:
        subprocess.run([sys.executable, __file__, "--predicates", str(count), *sys.argv[1:]], check=True)


def measure(predicates: int, *, efficient: bool) -> None:
    """Print one line."""
    import torch

    from nlptasks.backbone.batch import Batch
    from nlptasks.backbone.bert import Bert, Config
    from nlptasks.ie.pointers import Linker

    torch.manual_seed(0)
    config = Config(
        vocab_size=1000, hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024
    )
    model = Linker(Bert(config), predicates, efficient=efficient)
    for links in (model.heads, model.tails):  # many subjects and objects, few links, so that what is found is no burden
        torch.nn.init.constant_((links.bias or links.project).bias, -20.0)
    groups = [Batch(torch.randint(6, 1000, (ROWS, LENGTH)))]
    targets = torch.tensor([[0, row, row % predicates, 3, 4, 8, 9] for row in range(ROWS)])

    def seconds(step: object, times: int = 2) -> float:
        started = time.perf_counter()
        for _ in range(times):
            step()  # type: ignore[operator]
        return (time.perf_counter() - started) / times

    learning = seconds(lambda: model(groups, targets).backward())
    model.eval()
    with torch.inference_mode():
        answering = seconds(lambda: model.find(groups, targets))
    weights = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("bert."))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{predicates}\t{weights:,}\t{learning:.3f}\t{answering:.3f}\t{peak:,}", flush=True)


if __name__ == "__main__":
    main()
