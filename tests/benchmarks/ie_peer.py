"""GPLinker and CasRel of nlpk and of bert4torch's layers: rates in turn, or F1 after the same training.

    python tests/benchmarks/ie_peer.py data/ie/train.jsonl --method casrel --steps 100
    python tests/benchmarks/ie_peer.py TRAIN --test TEST --method casrel --steps 1500

Both have the same backbone, rows, batches, optimizer, rate and number format. The peer is what the articles describe:
padded batches in the order of the file, scores of all pairs of tokens, one subject of a text taught at a time, and
triples read off text by text. bert4torch 0.5.0 must be importable.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from bert4torch.layers import EfficientGlobalPointer, LayerNorm
from bert4torch.losses import SparseMultilabelCategoricalCrossentropy
from bert4torch.models import build_transformer_model
from torch import Tensor, nn

from nlptasks import form, rows
from nlptasks.backbone import hardware, weights
from nlptasks.backbone.batch import Batch, Budget
from nlptasks.backbone.hardware import Machine
from nlptasks.ie import scores
from nlptasks.ie.answers import Finder
from nlptasks.ie.examples import GOLD, Example, of_kind
from nlptasks.ie.model import TOKENS
from nlptasks.ie.model import load as ready
from nlptasks.ie.row import METHODS, Options, Row, Settings
from nlptasks.ie.task import Task, answered
from nlptasks.inference.predictor import stream
from nlptasks.training import checkpoint
from nlptasks.training.data import Source, load
from nlptasks.training.recipes import to_learn, to_score
from nlptasks.training.settings import as_plain, resolve
from nlptasks.training.trainer import Run, fit

BATCH, SIZE = 16, 64
SURE_FIRST, SURE_LAST = 0.6, 0.5
LEARNING = ("optimizer", "learning_rate", "schedule")
Found = tuple[int, int, int, int, int]


def padded(groups: Sequence[Batch]) -> tuple[Tensor, Tensor]:
    """Put rows of all lengths into one batch, and mark their tokens."""
    lines = [line for group in groups for line in group.ids]
    ids = nn.utils.rnn.pad_sequence(lines, batch_first=True)
    lengths = torch.tensor([len(line) for line in lines])
    return ids, (torch.arange(ids.shape[1]) < lengths.unsqueeze(1)).long()


class Peer(nn.Module):
    """An encoder of bert4torch."""

    def __init__(self, folder: Path) -> None:
        """Load the weights."""
        super().__init__()
        files = {"config_path": str(folder / "config.json"), "checkpoint_path": str(folder / "model.safetensors")}
        self.bert = build_transformer_model(**files, model="bert", segment_vocab_size=2, verbose=0)
        self.width: int = self.bert.hidden_size

    def encoded(self, ids: Tensor) -> Tensor:
        """Read a padded batch: (B, T, H)."""
        states: Tensor = self.bert([ids, torch.zeros_like(ids)])
        return states


class PeerLinker(Peer):
    """GPLinker."""

    def __init__(self, folder: Path, labels: int) -> None:
        """Put the heads on."""
        super().__init__(folder)
        width, links = self.width, {"RoPE": False, "tril_mask": False}
        self.entities = EfficientGlobalPointer(width, 2, SIZE)
        self.heads, self.tails = (EfficientGlobalPointer(width, labels, SIZE, **links) for _ in range(2))
        self.loss = SparseMultilabelCategoricalCrossentropy(mask_zero=True)

    def tables(self, ids: Tensor, kept: Tensor) -> list[Tensor]:
        """Score all pairs of tokens."""
        states = self.encoded(ids)
        return [head(states, kept).float() for head in (self.entities, self.heads, self.tails)]

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss."""
        ids, kept = padded(groups)
        row, label, s_first, s_last, o_first, o_last = of_kind(targets, GOLD).unbind(1)
        no, yes = torch.zeros_like(row), torch.ones_like(row)
        ends = [torch.stack(parts, 1) for parts in ((row, no, s_first, s_last), (row, yes, o_first, o_last))]
        links = [torch.stack([row, label, a, b], 1) for a, b in ((s_first, o_first), (s_last, o_last))]
        total = torch.zeros(())
        for table, lines in zip(self.tables(ids, kept), (torch.cat(ends), *links), strict=True):
            listed = self.listed(set(map(tuple, lines.tolist())), table.shape)
            total = total + self.loss(table.flatten(2), listed).sum(1).mean()
        return total

    @staticmethod
    def listed(lines: set[tuple[int, ...]], shape: Sequence[int]) -> Tensor:
        """List the right pairs of each row and label, padded with 0."""
        found: dict[tuple[int, int], list[int]] = {}
        for row, label, first, second in lines:
            found.setdefault((row, label), []).append(first * shape[3] + second)
        made = torch.zeros(shape[0], shape[1], max(map(len, found.values()), default=1), dtype=torch.long)
        for (row, label), pairs in found.items():
            made[row, label, : len(pairs)] = torch.tensor(pairs)
        return made

    def triples(self, ids: Tensor, kept: Tensor) -> Iterator[set[Found]]:
        """Read triples off the tables, text by text."""
        for length, *tables in zip(kept.sum(1).tolist(), *self.tables(ids, kept), strict=True):
            entities, heads, tails = (table.numpy() for table in tables)
            for table in (entities, heads, tails):
                table[:, [0, length - 1]] = table[:, :, [0, length - 1]] = -1e9
            subjects: set[tuple[int, int]] = set()
            objects: set[tuple[int, int]] = set()
            for kind, first, last in zip(*(entities > 0).nonzero(), strict=True):
                (subjects if kind == 0 else objects).add((int(first), int(last)))
            found: set[Found] = set()
            for a, b in subjects:
                for c, d in objects:
                    both = (heads[:, a, c] > 0) & (tails[:, b, d] > 0)
                    found |= {(int(label), a, b, c, d) for label in both.nonzero()[0]}
            yield found


class PeerCasRel(Peer):
    """CasRel."""

    def __init__(self, folder: Path, labels: int) -> None:
        """Put the heads on; what goes into the last norm is kept aside."""
        super().__init__(folder)
        self.labels = labels
        self.norm = LayerNorm(self.width, conditional_size=2 * self.width)
        self.subjects, self.objects = nn.Linear(self.width, 2), nn.Linear(self.width, 2 * labels)
        self.unnormed = torch.zeros(0)
        self.bert.encoderLayer[-1].ffnLayerNorm.register_forward_pre_hook(self.keep)

    def keep(self, _: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Keep what goes into the last norm."""
        self.unnormed = inputs[0]

    def object_chances(self, states: Tensor, places: Tensor) -> Tensor:
        """Give (B, T, labels, 2) for a subject of each row, (B, 2) its first and last token."""
        at = torch.arange(len(states))
        subject = torch.cat([states[at, places[:, 0]], states[at, places[:, 1]]], 1)
        chances: Tensor = self.objects(self.norm(states, subject)).float().sigmoid() ** 4
        return chances.view(*chances.shape[:2], self.labels, 2)

    def forward(self, groups: Sequence[Batch], targets: Tensor) -> Tensor:
        """Compute the loss: of a random subject of each text that has any."""
        ids, kept = padded(groups)
        gold = of_kind(targets, GOLD)
        wanted = torch.zeros(*ids.shape, 2)
        for row, _, first, last, *_ in gold.tolist():
            wanted[row, first, 0] = wanted[row, last, 1] = 1
        chosen = []
        for row in sorted(set(gold[:, 0].tolist())):
            firsts, lasts = (gold[gold[:, 0] == row, side] for side in (2, 3))
            first = int(firsts[torch.randint(len(firsts), ())])
            later = lasts[lasts >= first]
            chosen.append((row, first, int(later[torch.randint(len(later), ())])))
        at, first, last = torch.tensor(chosen).unbind(1)
        chances = self.subjects(self.encoded(ids)[at]).float().sigmoid() ** 2
        objects = self.object_chances(self.unnormed[at], torch.stack([first, last], 1))
        right = torch.zeros_like(objects)
        place = {row: number for number, row in enumerate(at.tolist())}
        taught = {(row, a, b) for row, a, b in chosen}
        for row, label, a, b, c, d in gold.tolist():
            if (row, a, b) in taught:
                right[place[row], c, label, 0] = right[place[row], d, label, 1] = 1
        return self.averaged(chances, wanted[at], kept[at]) + self.averaged(objects, right, kept[at])

    @staticmethod
    def averaged(chances: Tensor, wanted: Tensor, kept: Tensor) -> Tensor:
        """Average over first and last, sum over predicates, average over tokens."""
        with torch.autocast("cpu", enabled=False):
            losses = F.binary_cross_entropy(chances.clamp(1e-7, 1 - 1e-7), wanted, reduction="none").mean(-1)
        each = losses if losses.dim() == 2 else losses.sum(-1)
        mean: Tensor = (each * kept).sum() / kept.sum()
        return mean

    def triples(self, ids: Tensor, kept: Tensor) -> Iterator[set[Found]]:
        """Read triples off, text by text, all subjects of a text in one batch."""
        every = self.subjects(self.encoded(ids)).float().sigmoid() ** 2
        for length, states, chances in zip(kept.sum(1).tolist(), self.unnormed, every, strict=True):
            chances[[0, length - 1]] = 0
            subjects = self.spans(chances[:length])
            found: set[Found] = set()
            if subjects:
                own = states[:length].expand(len(subjects), -1, -1)
                objects = self.object_chances(own, torch.tensor(subjects))
                objects[:, [0, length - 1]] = 0
                for (a, b), table in zip(subjects, objects, strict=True):
                    for label in (table[..., 0] > SURE_FIRST).any(0).nonzero().flatten().tolist():
                        found |= {(label, a, b, c, d) for c, d in self.spans(table[:, label])}
            yield found

    @staticmethod
    def spans(chances: Tensor) -> list[tuple[int, int]]:
        """Join each first token with the next last one."""
        lasts = (chances[:, 1] > SURE_LAST).nonzero().flatten()
        found = []
        for first in (chances[:, 0] > SURE_FIRST).nonzero().flatten().tolist():
            later = lasts[lasts >= first]
            if len(later):
                found.append((first, int(later[0])))
        return found


class Bench:
    """A method on a backbone, of nlpk and of the peer."""

    def __init__(self, chosen: argparse.Namespace) -> None:
        """Read the rows."""
        self.chosen, self.folder = chosen, chosen.model
        self.method: str = chosen.method
        self.dtype = hardware.DTYPES[chosen.dtype]
        table = load(Source(chosen.train), to_learn(form("ie"), self.method)).rows
        self.rows = list(table)[: chosen.rows]
        scored = load(Source(chosen.test or chosen.train), to_score(form("ie"))).rows
        self.asked: list[Row] = [rows.parse(Row, dict(one)) for one in scored][: chosen.rows]
        kinds: dict[str, type[PeerLinker | PeerCasRel]] = {"gplinker": PeerLinker, "casrel": PeerCasRel}
        self.peer_kind = kinds[self.method]

    def task(self, seed: int) -> Task:
        """Make the task; its encoder serves both."""
        flags = {"seed": seed, "batch_size": BATCH, "steps": self.chosen.steps, "epochs": 1.0}
        flags |= {name: value for name in LEARNING if (value := getattr(self.chosen, name)) is not None}
        settings = resolve(Settings, METHODS[self.method].defaults, flags=flags)
        made = Task(self.method, settings, weights.load(self.folder).text)
        made.fit_labels(self.rows)
        return made

    def trained(self, task: Task, model: nn.Module) -> float:
        """Train, and give the seconds."""
        torch.manual_seed(task.settings.seed)
        run = Run(task, model, self.rows, task.settings, torch.device("cpu"))
        started = time.perf_counter()
        for _ in fit(run, None, dtype=self.dtype):
            pass
        return time.perf_counter() - started

    def ours(self, task: Task, model: nn.Module) -> tuple[list[scores.Said], float]:
        """Save a model, load it as `nlpk predict` does, and let it answer."""
        with tempfile.TemporaryDirectory() as named:
            about = {"nlpk": "0", "task": "ie", "method": self.method, "settings": as_plain(task.settings)}
            about["labels"] = task.labels.as_json()
            checkpoint.save(Path(named), model.bert, task.text, task.rest(model), about)  # type: ignore[arg-type]
            loaded = ready(
                checkpoint.open_folder(Path(named)), Options(), machine=Machine(device="cpu", dtype=self.chosen.dtype)
            )
        bare = [Row(row.text) for row in self.asked]
        started = time.perf_counter()
        for _ in stream(bare, lambda row: row, Finder(loaded), Budget(TOKENS["cpu"])):
            pass
        seconds = time.perf_counter() - started
        return answered(loaded, self.asked)[0], seconds

    @torch.inference_mode()
    def theirs(self, task: Task, model: PeerLinker | PeerCasRel) -> tuple[list[scores.Said], float]:
        """Let the peer answer, batch by batch in the order of the file."""
        model.eval()
        names, said = list(task.labels.predicates), []
        started = time.perf_counter()
        for first in range(0, len(self.asked), BATCH):
            part = [Row(row.text) for row in self.asked[first : first + BATCH]]
            examples = [one for one in task.encoder.read(part) if isinstance(one, Example)]
            lines = [Batch(torch.tensor([task.encoder.sequence(one.windows[0])])) for one in examples]
            with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
                for one, found in zip(examples, model.triples(*padded(lines)), strict=True):
                    said.append({self.key(one, names, *numbers) for numbers in found})
        return said, time.perf_counter() - started

    @staticmethod
    def key(example: Example, names: list[str], label: int, *tokens: int) -> scores.Key:
        """Say a triple as texts."""
        a, b, c, d = tokens
        ends = (example.windows[0].characters(first - 1, last) for first, last in ((a, b), (c, d)))
        subject, object = (example.text[slice(*end)] for end in ends)
        return subject, names[label], object

    def pair(self, seed: int) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
        """Train and ask both: F1, seconds of training and of answering of nlpk and of the peer."""
        right = [scores.of_row(row, entities=False) for row in self.asked]
        task = self.task(seed)
        torch.manual_seed(seed)
        model = task.model(weights.load(self.folder))
        learnt = self.trained(task, model)
        said, answered_in = self.ours(task, model)
        torch.manual_seed(seed)
        peer = self.peer_kind(self.folder, len(task.labels.predicates))
        peer_learnt = self.trained(task, peer)
        peer_said, peer_answered = self.theirs(task, peer)
        first = (scores.scored(said, right)["f1"], learnt, answered_in)
        return first, (scores.scored(peer_said, right)["f1"], peer_learnt, peer_answered)


def main() -> None:
    """Run both in turn and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", help="any file that nlpk train ie takes")
    parser.add_argument("--test", help="texts to score; by default those of training")
    parser.add_argument("--method", default="gplinker", choices=["gplinker", "casrel"])
    parser.add_argument("--model", type=Path, default=weights.DEFAULT)
    parser.add_argument("--rows", type=int, help="of the files, the first; all by default")
    parser.add_argument("--steps", type=int, help="updates; an epoch by default")
    parser.add_argument("--seeds", type=int, default=3)
    for name in LEARNING:
        kind = float if name == "learning_rate" else str
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, help="of both; that of the method by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", default="bf16", choices=list(hardware.DTYPES))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    bench, ratios = Bench(chosen), []
    print("seed\tF1 nlpk\tF1 peer\ttraining s nlpk\tpeer\tratio\tanswering s nlpk\tpeer\tratio")
    for seed in range(1, chosen.seeds + 1):
        (f1, learnt, asked), (peer_f1, peer_learnt, peer_asked) = bench.pair(seed)
        ratios.append((peer_learnt / learnt, peer_asked / asked))
        parts = [f"{f1:.4f}", f"{peer_f1:.4f}", f"{learnt:.1f}", f"{peer_learnt:.1f}", f"{ratios[-1][0]:.2f}"]
        print(seed, *parts, f"{asked:.2f}", f"{peer_asked:.2f}", f"{ratios[-1][1]:.2f}", sep="\t", flush=True)
    training, answering = (statistics.median(one) for one in zip(*ratios, strict=True))
    print(f"median ratio: training {training:.2f}, answering {answering:.2f} ({chosen.method}, {chosen.dtype})")


if __name__ == "__main__":
    main()
