"""Set up every test run: one thread, no network, a home of its own, and the GPU tests' way out."""

from __future__ import annotations

import gc
import importlib.util
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from nlptasks.backbone.weights import Backbone

# torch and the tokenizer read these when they are imported, so they are set before any test module is.
os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", HF_HUB_OFFLINE="1")

# Whoever starts the tests in the background may have them ignore Ctrl-C, and every process that they start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)

ZYGOTE = Path(__file__).with_name("zygote.py")
#: The variable that names the folder of the programs, and the socket in it.
PROGRAMS, DOOR = "NLPK_TESTS_PROGRAMS", "door"

#: The vocabulary of the tiny BERT: words and pieces, and below them what a simplified vocabulary leaves out.
TINY_WORDS = (
    *("[PAD]", "[unused1]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"今天气很好我们去公园玩吧北京上海的和不是了在有人这中大为来个国到说时地也子就道可要他",
    *"abcdefghijklmnopqrstuvwxyz0123456789，。！？",
    *("the", "play", "##ing", "##s", "##ed", "##a", "##b"),
    *("天气", "公园", "##天", "...", "##。"),
)


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the models and choices of whoever runs the tests out of them, in subprocesses too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NLPK_HOME", str(tmp_path_factory.mktemp("home")))
        yield


def pytest_configure(config: pytest.Config) -> None:
    """Start what starts programs at once, for all workers together: it imports while they collect tests."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    folder = tempfile.TemporaryDirectory(prefix="nlpk-programs-")
    os.environ[PROGRAMS] = folder.name  # the workers have it from here
    door = Path(folder.name, DOOR)
    zygote = runpy.run_path(str(ZYGOTE))
    for name in ("nlpk", "script"):
        zygote["write_stub"](Path(folder.name, name), door)
    process = subprocess.Popen([sys.executable, str(ZYGOTE), str(door)])

    def end() -> None:
        process.terminate()
        process.wait()
        folder.cleanup()

    config.add_cleanup(end)


@pytest.fixture(scope="session")
def programs() -> Path:
    """Give a folder with an `nlpk`, and a `script` that runs Python files, which start at once; see `zygote.py`."""
    folder = Path(os.environ[PROGRAMS])
    until = time.monotonic() + 200
    while not (folder / DOOR).exists():
        assert time.monotonic() < until, "what starts programs does not come up"
        time.sleep(0.05)
    return folder


@pytest.fixture
def spawn(programs: Path) -> Iterator[Callable[..., subprocess.Popen[Any]]]:
    """Give what starts nlpk, or another of the programs, in a process of its own, and ends it with the test."""
    started: list[subprocess.Popen[Any]] = []

    def start(*arguments: object, program: str = "nlpk", **options: Any) -> subprocess.Popen[Any]:  # noqa: ANN401
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        started.append(subprocess.Popen([programs / program, *map(str, arguments)], **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked `gpu` where there is none."""
    if item.get_closest_marker("gpu") is None:
        return
    import torch

    if not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a BERT of 2 layers, 16 wide, 2 heads, whose weights are all random and large enough to matter."""
    import torch

    from nlptasks.backbone import weights
    from nlptasks.backbone.bert import Bert, Config
    from nlptasks.backbone.text import Text

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "vocab.txt").write_text("\n".join(TINY_WORDS) + "\n", encoding="utf-8")
    text = Text.load(folder)
    config = Config(
        vocab_size=len(text),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    bert = Bert(config)
    generator = torch.Generator().manual_seed(0)
    for name, parameter in bert.named_parameters():
        centre = float("norm.weight" in name)
        torch.nn.init.normal_(parameter, mean=centre, std=0.2, generator=generator)
    weights.save(folder, bert, text, {})
    (folder / "vocab.txt").unlink()
    return folder


@pytest.fixture
def tiny(tiny_folder: Path) -> Backbone:
    """Load the tiny BERT anew, ready to predict."""
    from nlptasks.backbone import weights

    backbone = weights.load(tiny_folder)
    backbone.bert.eval()
    return backbone


@pytest.fixture
def tiny_words() -> tuple[str, ...]:
    """Give the words of the tiny BERT, in order."""
    return TINY_WORDS


@pytest.fixture(scope="session")
def generation_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make models of generation on the tiny BERT: one label, two conditions, a vector, no condition, text to text."""
    import torch

    from nlptasks.backbone import weights
    from nlptasks.backbone.heads import TokenHead
    from nlptasks.generation.model import assembled
    from nlptasks.generation.row import METHODS, Settings
    from nlptasks.generation.task import Task
    from nlptasks.training import checkpoint
    from nlptasks.training.settings import as_plain, resolve

    rows: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "cln": ("cln", {}, {"sets": ["label=好", "label=不好"]}),
        "two": ("cln", {"conditions": "地,label"}, {"sets": ["地=北京,label=好", "地=上海,label=不好"]}),
        "vector": ("cln", {"conditions": "", "vector_field": "numbers"}, {"vector": [[0.0, 1.0], [1.0, 3.0]]}),
        "plain": ("cln", {"conditions": ""}, {}),
        "seq2seq": ("seq2seq", {}, {}),
    }
    folders = {}
    for name, (method, flags, told) in rows.items():
        backbone = weights.load(tiny_folder)
        torch.manual_seed(3)
        head = TokenHead(backbone.bert.config)
        torch.nn.init.normal_(head.dense.weight, std=0.5)
        backbone.rest |= head.named()
        settings = resolve(Settings, METHODS[method].defaults, flags={"limit": 12, "source_limit": 20, **flags})
        task = Task(method, settings, backbone.text)
        sets, vectors = ([one.split(",") for one in told.get("sets", ["", ""]) if one], told.get("vector", []))
        learnt = [
            {"text": "今天天气很好，我们去公园玩吧。我们来北京和上海", "sets": some, "vector": vector}
            for some, vector in zip(sets or [[], []], vectors or [None, None], strict=True)
        ]
        labels = task.fit_labels(learnt)
        model = assembled(backbone, task.labels, as_plain(settings))
        for parameter in (one for key, one in model.named_parameters() if "_shift" in key):
            torch.nn.init.normal_(parameter, std=0.2)
        about = {"nlpk": "0", "task": "generation", "method": method, "settings": as_plain(settings), "labels": labels}
        folders[name] = tmp_path_factory.mktemp(name)
        checkpoint.save(folders[name], model.bert, backbone.text, task.rest(model), about)
    return folders


@pytest.fixture(scope="session")
def naive() -> ModuleType:
    """Load the naive engine, which is no test module."""
    spec = importlib.util.spec_from_file_location("naive_writer", Path(__file__).with_name("writing") / "naive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def qa_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a model for each method of QA on the tiny BERT, with all its parts, so sharp that no two tokens tie."""
    import torch

    from nlptasks.backbone import weights
    from nlptasks.backbone.language import LanguageModel
    from nlptasks.training import checkpoint

    limits = {"passage_limit": 20, "overlap": 6, "question_limit": 10, "answer_limit": 12}
    folders = {}
    for method in ("seq2seq", "mlm"):
        backbone = weights.load(tiny_folder)
        torch.manual_seed(3)
        model = LanguageModel.new(backbone, copies=True, matches=True, aligns=method == "mlm")
        torch.nn.init.normal_(model.head.dense.weight, std=0.5)
        assert model.copier is not None
        assert model.matcher is not None
        for weight in (model.copier.gate.weight, model.matcher.outer.weight, model.matcher.inner.weight):
            torch.nn.init.normal_(weight, std=0.5)
        if model.aligner is not None:
            torch.nn.init.normal_(model.aligner.over.weight, std=0.5)
        folders[method] = tmp_path_factory.mktemp(method)
        settings = limits | {"generate": method == "seq2seq"}
        about = {"nlpk": "0", "task": "qa", "method": method, "settings": settings}
        checkpoint.save(folders[method], model.bert, backbone.text, model.named(), about)
    return folders


#: What the models of information extraction have by heart: nested ends, several triples of one subject and of a pair.
IE_RECORDS = (
    {"text": "我们去北京公园玩", "triples": [["北京公园", "在", "北京"], ["北京公园", "是", "公园"]]},
    {"text": "上海的人要来北京", "triples": [["人", "自", "上海"], ["人", "到", "北京"], ["人", "要", "北京"]]},
    {"text": "我和他是中国人", "triples": [["我", "是", "中国人"], ["他", "是", "中国人"], ["我", "和", "他"]]},
    {"text": "今天天气很好", "triples": []},
)


@pytest.fixture(scope="session")
def ie_records() -> Sequence[Mapping[str, object]]:
    """Give what the models of information extraction have by heart."""
    return IE_RECORDS


@pytest.fixture(scope="session")
def ie_models(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Teach a few sentences by heart to a model of each method of information extraction on the tiny BERT."""
    import torch

    from nlptasks.backbone import weights
    from nlptasks.backbone.bert import Bert
    from nlptasks.ie import row as form
    from nlptasks.ie.task import Task
    from nlptasks.training import checkpoint
    from nlptasks.training.settings import as_plain, resolve
    from nlptasks.training.trainer import Run, fit

    flags = {"batch_size": 4, "steps": 80, "learning_rate": 1e-2, "schedule": "linear", "warmup": 10}
    flags |= {"limit": 16, "overlap": 8, "filters": 24, "dtype": "float32", "weight_decay": 0.0, "words": "none"}
    folders = {}
    for method in form.METHODS:
        settings = resolve(form.Settings, flags, flags={"distant": method == "dgcnn"})
        backbone = weights.load(tiny_folder)
        torch.manual_seed(0)
        task = Task(method, settings, backbone.text)
        rows = [row for record in IE_RECORDS for row in form.training_rows(method, record)]
        labels = task.fit_labels(rows)
        model = task.model(backbone)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
            if hasattr(module, "attention_dropout"):
                module.attention_dropout = 0.0  # type: ignore[assignment]
        for _ in fit(Run(task, model, rows, settings, torch.device("cpu")), None, dtype=torch.float32):
            pass
        folders[method] = tmp_path_factory.mktemp(method)
        about = {"nlpk": "0", "task": "ie", "method": method, "settings": as_plain(settings), "labels": labels}
        encoder: Bert = model.bert  # type: ignore[assignment]
        checkpoint.save(folders[method], encoder, backbone.text, task.rest(model), about)
    return folders


@pytest.fixture(scope="session")
def xiangqi_models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Make a tiny model for each method of xiangqi, its head sharp enough that no two moves tie."""
    import torch

    from nlptasks.backbone.bert import Bert, Config
    from nlptasks.backbone.heads import TokenHead
    from nlptasks.training import checkpoint
    from nlptasks.xiangqi import vocabulary

    folders = {}
    for method in ("moves", "chars"):
        torch.manual_seed(4)
        text = vocabulary.text(method)
        config = Config(
            vocab_size=len(text),
            hidden_size=64,
            num_hidden_layers=2,
            num_attention_heads=1,
            intermediate_size=64,
            initializer_range=0.3,
        )
        bert, head = Bert(config), TokenHead(config)
        folders[method] = tmp_path_factory.mktemp(method)
        about = {"nlpk": "0", "task": "xiangqi", "method": method, "settings": {"start": "scratch"}}
        checkpoint.save(folders[method], bert, text, head.named(), about)
    return folders


@pytest.fixture(scope="session")
def nl2sql_model(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a model of NL2SQL on the tiny BERT, its heads untrained."""
    import torch

    from nlptasks.backbone import weights
    from nlptasks.nl2sql import loading
    from nlptasks.training import checkpoint

    backbone = weights.load(tiny_folder)
    torch.manual_seed(3)
    model = loading.assembled(backbone, "slots")
    folder = tmp_path_factory.mktemp("nl2sql")
    settings = {"limit": 64, "question_limit": 24, "types": True, "matching": True}
    about = {"nlpk": "0", "task": "nl2sql", "method": "slots", "settings": settings}
    checkpoint.save(folder, backbone.bert, backbone.text, loading.rest(model), about)
    return folder


def pytest_collection_finish() -> None:
    """Leave what was imported out of every later search for garbage."""
    gc.freeze()
