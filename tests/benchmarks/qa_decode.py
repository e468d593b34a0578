"""QA's answers a second: nlpk's engine, the naive one that reads everything again, bert4torch, a bare forward pass.

    python tests/benchmarks/qa_decode.py $NLPK_DATA/qa/cmrc2018_trial.json --seq2seq runs/seq2seq --mlm runs/mlm
    python tests/benchmarks/qa_decode.py $NLPK_DATA/qa/drcd_dev.json --seq2seq runs/seq2seq --check 300

Each question comes with its own passage and up to three others of the file. The same weights, questions, threads and
float32 on both sides; each pair runs in turn. The engine answers all questions, a peer as many as `--peer` says, for
their rates differ by so much; answers are compared on those. Every round takes other questions for the peer.
`--check N` compares the answers of N questions with the naive engine's, greedy and with four beams, and does no more.
bert4torch takes part where it can be imported.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from nlptasks.backbone.batch import by_length, chunks
from nlptasks.backbone.hardware import Machine
from nlptasks.errors import RecordError
from nlptasks.qa.answers import Answerer
from nlptasks.qa.examples import Example
from nlptasks.qa.formats import parts
from nlptasks.qa.model import load
from nlptasks.qa.row import Options, Row
from nlptasks.training import checkpoint
from nlptasks.writing.draft import Writer

NAIVE = Path(__file__).parents[1] / "writing" / "naive.py"
MOST = 4
Answers = list[list[int]]


def read(path: Path, count: int, characters: int | None = None, seed: int = 0) -> list[Row]:
    """Read questions of a SQuAD document, drawn by the seed, with 1 to 4 passages each, in turn."""
    document = json.loads(path.read_text("utf-8"))
    asked = [one for item in document["data"] for one in parts(item)]
    if characters:
        asked = [{**one, "passage": around(one, characters)} for one in asked]
    passages = list(dict.fromkeys(one["passage"] for one in asked))
    drawn = random.Random(seed)
    rows = []
    for number, one in enumerate(drawn.sample(asked, count)):
        others = drawn.sample([text for text in passages if text != one["passage"]], number % MOST)
        texts = [one["passage"], *others]
        drawn.shuffle(texts)
        rows.append(Row(one["question"], passages=texts))
    return rows


def around(asked: dict[str, Any], characters: int) -> str:
    """Cut from a passage the part that has the answer in its middle, or is at one of its ends."""
    passage, first = asked["passage"], asked["answers"][0]["answer_start"]
    start = max(0, min(first - characters // 2, len(passage) - characters))
    return str(passage[start : start + characters])


def answerer(folder: Path, method: str, beam: int, asked: Mapping[str, Any]) -> Answerer:
    """Load a model in float32."""
    found = checkpoint.open_folder(folder, "qa", method)
    return Answerer(load(found, Options(beam=beam, **asked), machine=Machine(device="cpu", dtype="float32")))


def naive_engine() -> ModuleType:
    """Load the naive engine of the tests."""
    spec = importlib.util.spec_from_file_location("naive_writer", NAIVE)
    if spec is None or spec.loader is None:
        raise SystemExit(f"{NAIVE} is gone")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ours(model: Answerer, examples: Sequence[Example]) -> Answers:
    """Answer by nlpk's engine: the best answer's tokens."""
    find = model.write if model.layout.writes else model.fill
    answers: Answers = []
    for one in model.loaded.budget.run(examples, model.size, find):
        if isinstance(one, RecordError):
            raise one
        answers.append(one.texts[0][0] if one.texts else [])
    return answers


class Naive:
    """Answers by reading everything again for every token, one text at a time, and counts the tokens read."""

    def __init__(self, model: Answerer, beam: int) -> None:
        """Start with nothing read."""
        self.model, self.beam, self.engine = model, beam, naive_engine()
        self.read = self.once = 0
        plain = self.engine.logits

        def counted(writer: Writer, prompt: Sequence[int], written: Sequence[int]) -> Any:  # noqa: ANN401
            self.read += len(prompt) + len(written)
            return plain(writer, prompt, written)

        self.engine.logits = counted  # type: ignore[attr-defined]

    def __call__(self, examples: Sequence[Example]) -> Answers:
        """Answer questions."""
        limit, abstain = self.model.loaded.limits.answer, self.model.options.abstain
        answers: Answers = []
        for one in examples:
            prompts, passages = self.model.prompts([one]), [window.ids for _, window in one.windows]
            self.once += sum(map(len, prompts))
            writer, end = self.model.loaded.writer, self.model.end
            answers.append(self.engine.council(writer, prompts, passages, end, self.beam, limit, abstain))
        return answers


def bert4torch(folder: Path, model: Answerer) -> Callable[[Sequence[Example], int], Answers] | None:
    """Build a model of bert4torch's layers with its decoder, where it can be imported: none where it cannot.

    It decodes one question at a time, all its passages and beams in one batch, as the library's examples do.
    """
    if importlib.util.find_spec("bert4torch") is None:
        print("bert4torch takes no part: it is not installed")
        return None
    if model.loaded.writer.copier is not None or model.loaded.writer.matcher is not None:
        print("bert4torch takes no part: it knows no pointer and no matches; train with --no-copy --no-match")
        return None
    decoder, end = reader(network(folder), model), model.end

    def answers(examples: Sequence[Example], beam: int) -> Answers:
        found = []
        for one in examples:
            decoder.prompts, decoder.passages = model.prompts([one]), [window.ids for _, window in one.windows]
            ids = decoder.beam_search([[0]], top_k=beam)
            ids = (ids[0] if isinstance(ids, list) else ids).flatten().tolist()
            found.append(ids[: ids.index(end)] if end in ids else ids)
        return found

    return answers


def network(folder: Path) -> Any:  # noqa: ANN401 - the library has no types
    """Load a model's weights into bert4torch's layers."""
    from bert4torch.models import build_transformer_model

    with TemporaryDirectory() as named:  # it wants the tied weights under both their names
        state = load_file(folder / "model.safetensors")
        state["cls.predictions.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"].clone()
        state["cls.predictions.decoder.bias"] = state["cls.predictions.bias"].clone()
        save_file(state, Path(named) / "model.safetensors", metadata={"format": "pt"})
        return build_transformer_model(
            config_path=str(folder / "config.json"),
            checkpoint_path=str(Path(named) / "model.safetensors"),
            model="bert",
            application="unilm",
            with_mlm=True,
            verbose=0,
        ).eval()


def reader(layers: Any, model: Answerer) -> Any:  # noqa: ANN401 - the library has no types
    """Make bert4torch's decoder of the article's rule; `prompts` and `passages` of a question are set on it."""
    from bert4torch.generation import AutoRegressiveDecoder

    end, abstain = model.end, model.options.abstain

    class Reader(AutoRegressiveDecoder):  # type: ignore[misc]
        """Lets passages vote, as kexue.fm/archives/7115 describes."""

        @AutoRegressiveDecoder.wraps(default_rtype="probas", use_states=False)  # type: ignore[untyped-decorator]
        def predict(self, inputs: Any, output_ids: torch.Tensor, states: Any) -> torch.Tensor:  # noqa: ANN401
            """Give the votes (beams, V) for the next token of each beam."""
            written, step = output_ids.tolist(), output_ids.shape[1]
            if step == 0:
                self.voting = list(range(len(self.prompts)))
            chances = self.chances(written)
            if step == 0:
                usual = chances[0].argmax(-1) != end
                kept = (usual if abstain is None else chances[0, :, end] < abstain).nonzero().flatten().tolist()
                self.voting, chances = [self.voting[place] for place in kept], chances[:, kept]
            allowed = torch.zeros(len(written), chances.shape[-1])
            allowed[:, end] = float(step > 0 or abstain is None or not self.voting)
            for row, said in enumerate(written):
                for k in self.voting:
                    passage = self.passages[k]
                    runs = (at for at in range(len(passage) - step) if passage[at : at + step] == said)
                    allowed[row, [passage[at + step] for at in runs]] = 1
            votes: torch.Tensor = chances.square().sum(1) / (chances.sum(1) + 1) * allowed
            if not self.voting:
                votes[:, end] = 1
            return votes

        def chances(self, written: Sequence[list[int]]) -> torch.Tensor:
            """Read every voting passage behind every beam again: probabilities (beams, voters, V) of the next token."""
            rows = [[*self.prompts[k], *ids] for ids in written for k in self.voting]
            longest = max(map(len, rows))
            ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
            starts = torch.tensor([len(self.prompts[k]) for _ in written for k in self.voting]).unsqueeze(1)
            with torch.inference_mode():
                logits = layers([ids, (torch.arange(longest) >= starts).long()])
            logits = logits[-1] if isinstance(logits, (list, tuple)) else logits
            last = logits[torch.arange(len(rows)), torch.tensor([len(row) - 1 for row in rows])]
            return torch.as_tensor(last.softmax(-1).view(len(written), len(self.voting), -1))

    return Reader(bos_token_id=None, eos_token_id=end, max_new_tokens=model.loaded.limits.answer, min_new_tokens=0)


def timed(run: Callable[[], Any]) -> tuple[Any, float]:
    """Run, and give the result and the seconds: with one thread those of the CPU, which other work does not add to."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    result = run()
    return result, clock() - started


def contest(
    name: str,
    model: Answerer,
    examples: Sequence[Example],
    peer: Callable[[Sequence[Example]], Answers],
    *,
    pairs: int,
    count: int,
) -> None:
    """Time both in turn and print the rates, the median of the ratios, and how many answers are the same."""
    rates, ratios, same, compared = [], [], 0, 0
    for number in range(pairs):
        chosen = [(number * count + place) % len(examples) for place in range(count)]
        found, fast = timed(lambda: ours(model, examples))
        theirs, slow = timed(lambda chosen=chosen: peer([examples[place] for place in chosen]))  # type: ignore[misc]
        rates.append((len(examples) / fast, count / slow))
        ratios.append(rates[-1][0] / rates[-1][1])
        same += sum(found[place] == other for place, other in zip(chosen, theirs, strict=True))
        compared += count
    ours_rate, peer_rate = (statistics.median(side) for side in zip(*rates, strict=True))
    print(
        f"{name}: {ours_rate:.2f} against {peer_rate:.2f} questions/s, ratio {statistics.median(ratios):.1f} "
        f"(from {min(ratios):.1f} to {max(ratios):.1f}); {same} of {compared} answers the same",
        flush=True,
    )


def shares(models: Sequence[tuple[str, Answerer]], rows: Sequence[Row], pairs: int) -> None:
    """Compare each way to answer with a bare forward pass over the same tokens, and print its share of the rate."""
    for name, model in models:
        examples = model.read(rows)
        tokens = sum(len(prompt) for prompt in model.prompts(examples))
        answering, reading = partial(ours, model, examples), partial(bare, model, examples)
        runs = [(timed(answering)[1], timed(reading)[1]) for _ in range(pairs)]
        seconds = statistics.median(full for full, _ in runs)
        ratios = [pure / full for full, pure in runs]
        print(
            f"{name}: {len(examples) / seconds:.1f} questions/s, {tokens / seconds:,.0f} tokens/s, "
            f"{statistics.median(ratios):.0%} of the bare forward pass (from {min(ratios):.0%} to {max(ratios):.0%})",
            flush=True,
        )


def bare(model: Answerer, examples: Sequence[Example]) -> None:
    """Read what a method reads, in the same passes, and do nothing with it."""
    budget = model.loaded.budget

    @torch.inference_mode()
    def read(some: Sequence[Example]) -> list[None]:
        prompts = model.prompts(some)
        for places in chunks([len(prompt) for prompt in prompts], budget.tokens):
            groups, _ = by_length([prompts[place] for place in places])
            model.loaded.writer.bert.read(groups)
        return [None] * len(some)

    for _ in budget.run(examples, model.size, read):
        pass


def check(folder: Path, rows: Sequence[Row], beams: Sequence[int], asked: Mapping[str, Any]) -> None:
    """Compare all answers with the naive engine's."""
    for beam in beams:
        model = answerer(folder, "seq2seq", beam, asked)
        examples = model.read(rows)
        found, right = ours(model, examples), Naive(model, beam)(examples)
        same = sum(left == other for left, other in zip(found, right, strict=True))
        print(f"beam {beam}: {same} of {len(rows)} answers the same; {described(found)}", flush=True)
        for row, left, other in zip(rows, found, right, strict=True):
            if left != other:
                print(f"  {row.question}: tokens {left}, naive {other}")


def described(answers: Answers) -> str:
    """Say how long answers are."""
    lengths = [len(ids) for ids in answers]
    return f"{statistics.mean(lengths):.1f} tokens on average, at most {max(lengths)}, {lengths.count(0)} without one"


def main() -> None:
    """Run the contests."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="a SQuAD document")
    parser.add_argument("--seq2seq", type=Path, required=True, help="a trained model of that method")
    parser.add_argument("--mlm", type=Path, help="a trained model of that method")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--peer", type=int, default=40, help="questions of a round for the slower side")
    parser.add_argument("--characters", type=int, help="of a passage at most, around the answer")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--beams", type=int, nargs="+", default=[1, 4], help="answers followed at once")
    for name, kind in (("--abstain", float), ("--passage-limit", int), ("--overlap", int)):
        parser.add_argument(name, type=kind, help="as of nlpk predict qa, on all sides")
    parser.add_argument("--check", type=int, metavar="N", help="compare the answers of N questions, and stop")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    rows = read(chosen.file, chosen.check or chosen.questions, chosen.characters)
    asked = {name: getattr(chosen, name) for name in ("abstain", "passage_limit", "overlap")}
    if chosen.check:
        check(chosen.seq2seq, rows, chosen.beams, asked)
        return
    count = min(chosen.peer, len(rows))
    for beam in chosen.beams:
        model = answerer(chosen.seq2seq, "seq2seq", beam, asked)
        examples = model.read(rows)
        lengths = described(ours(model, examples[:count]))
        print(f"{len(rows)} questions, {chosen.threads} threads, beam {beam}, answers of {lengths}")
        naive = Naive(model, beam)
        peers: dict[str, Any] = {"naive": naive}
        if library := bert4torch(chosen.seq2seq, model):
            peers["bert4torch"] = lambda some, b=beam, answers=library: answers(some, b)
        for name, peer in peers.items():
            contest(f"beam {beam}, {name}", model, examples, peer, pairs=chosen.pairs, count=count)
        print(f"the naive decoder reads {naive.read / naive.once:.1f} times the tokens of the prompts", flush=True)
    folders = {"seq2seq": chosen.seq2seq, "mlm": chosen.mlm}
    models = [(name, answerer(one, name, 1, asked)) for name, one in folders.items() if one]
    shares(models, rows, chosen.pairs)


if __name__ == "__main__":
    main()
