"""The encoder against transformers, and against itself: packed, padded, in pieces, frozen and conditioned."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from transformers import BertModel

from nlptasks.backbone import masks, weights
from nlptasks.backbone.attention import Memory
from nlptasks.backbone.batch import Batch, by_length, padded, restored
from nlptasks.backbone.bert import ACTIVATIONS, Bert, Layer
from nlptasks.backbone.config import KNOWN_ACTIVATIONS
from nlptasks.backbone.linear import Linear
from nlptasks.backbone.weights import Backbone

close = torch.testing.assert_close
LENGTHS = (7, 4, 9, 1, 4)
SOURCE = 3  # tokens of segment 0
MASKS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "both ways": lambda segments, kept: masks.both_ways(kept),
    "prefix": masks.prefix,
    "left to right": lambda segments, kept: masks.left_to_right(kept),
}
each_mask = pytest.mark.parametrize("way", MASKS)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    return [
        torch.randint(6, 90, (length,), generator=generator(place)).tolist() for place, length in enumerate(lengths)
    ]


def batch(way: str, given: Sequence[Sequence[int]]) -> tuple[Batch, Tensor]:
    """Pad rows, the first tokens of each in segment 0 and the others in segment 1."""
    ids, kept = padded(given)
    segments = (torch.arange(ids.shape[1]) >= SOURCE).long().expand_as(ids)
    return Batch(ids, segments, MASKS[way](segments, kept)), kept


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def theirs(request: pytest.FixtureRequest, tiny_folder: Path) -> BertModel:
    model: BertModel = BertModel.from_pretrained(tiny_folder, attn_implementation=request.param)  # in evaluation mode
    return model


# --- against transformers ---


@each_mask
@torch.no_grad()
def test_every_layers_states_equal_those_of_transformers(tiny: Backbone, theirs: BertModel, way: str) -> None:
    given, kept = batch(way, rows())
    expected = theirs(given.ids, given.mask, given.segments, output_hidden_states=True).hidden_states
    found = [states.view(*given.ids.shape, -1) for states in tiny.bert.states([given])]
    assert len(found) == len(expected) == 3
    for ours, other in zip(found, expected, strict=True):
        close(ours[kept], other[kept], atol=1e-5, rtol=0)


@torch.no_grad()
def test_reading_both_ways_equals_their_mask_of_padding(tiny: Backbone, theirs: BertModel) -> None:
    ids, kept = padded(rows())
    expected = theirs(ids, kept.long()).last_hidden_state
    close(tiny.bert(Batch(ids, mask=masks.both_ways(kept)))[kept], expected[kept], atol=1e-5, rtol=0)


@torch.no_grad()
def test_positions_may_be_given(tiny: Backbone, theirs: BertModel) -> None:
    ids = torch.tensor(rows([6, 6]))
    positions = torch.tensor([[3, 4, 5, 6, 7, 8], [0, 0, 9, 1, 63, 2]])
    expected = theirs(ids, position_ids=positions).last_hidden_state
    close(tiny.bert(Batch(ids, positions=positions)), expected, atol=1e-5, rtol=0)


def test_the_activations_that_a_configuration_may_name_are_those_there_are() -> None:
    assert set(KNOWN_ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
@torch.no_grad()
def test_every_activation_and_epsilon(tiny: Backbone, tmp_path: Path, name: str) -> None:
    config = dataclasses.replace(tiny.bert.config, hidden_act=name, layer_norm_eps=0.1)
    bert = Bert(config).eval()
    bert.load_state_dict(tiny.bert.state_dict())
    weights.save(tmp_path, bert, tiny.text, {})
    ids = torch.tensor(rows([8, 8]))
    expected = BertModel.from_pretrained(tmp_path)(ids).last_hidden_state
    close(bert(Batch(ids)), expected, atol=1e-5, rtol=0)


# --- packed ---


@torch.no_grad()
def test_packed_equals_padded_equals_one_by_one(tiny: Backbone) -> None:
    given = rows()
    groups, order = by_length(given)
    packed = restored(torch.cat([states[:, -1] for states in tiny.bert.read(groups)]), order)
    ids, kept = padded(given)
    last = kept.sum(1) - 1
    states = tiny.bert(Batch(ids, mask=masks.both_ways(kept)))[torch.arange(len(given)), last]
    alone = torch.cat([tiny.bert(Batch(torch.tensor([row])))[:, -1] for row in given])
    close(packed, alone, atol=1e-5, rtol=0)
    close(states, alone, atol=1e-5, rtol=0)


@each_mask
@pytest.mark.parametrize("columns", [slice(-1, None), slice(1, 3)])
@torch.no_grad()
def test_some_columns_of_the_last_layer_are_those_of_all(tiny: Backbone, way: str, columns: slice) -> None:
    groups = [Batch(torch.tensor(rows([4, 4]))), batch(way, rows([6, 5]))[0]]
    bert = conditional(tiny, std=0.5)
    for condition in (None, torch.randn(4, 6, generator=generator())):
        found = bert.read(groups, condition=condition, columns=columns)
        for some, whole in zip(found, bert.read(groups, condition=condition), strict=True):
            close(some, whole[:, columns], atol=1e-5, rtol=0)


@torch.no_grad()
def test_groups_with_and_without_segments_go_together(tiny: Backbone) -> None:
    plain, marked = Batch(torch.tensor(rows([4]))), batch("prefix", rows([6, 5]))[0]
    for together, alone in zip(tiny.bert.read([plain, marked]), (tiny.bert(plain), tiny.bert(marked)), strict=True):
        close(together, alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("learning", [False, True])
def test_what_stands_beside_a_token_is_added_to_its_embedding(tiny: Backbone, learning: bool) -> None:
    model = tiny.bert.eval()
    ids, beside = torch.tensor([[5, 6]]), torch.tensor([[[7, 8], [0, 9]]])
    with torch.set_grad_enabled(learning):
        first = next(model.states([Batch(ids, beside=beside)]))
    table = model.tokens.weight
    summed = torch.stack([table[5] + table[7] + table[8], table[6] + table[9]])  # 0 is padding and adds nothing
    close(first, model.norm(summed + model.positions.weight[:2] + model.segments.weight[0]))


# --- who sees whom ---


@each_mask
@pytest.mark.parametrize("frozen", [False, True])
@torch.no_grad()
def test_a_changed_token_changes_only_who_may_see_it(tiny: Backbone, way: str, frozen: bool) -> None:
    if frozen:
        tiny.bert.freeze()
    given, _ = batch(way, rows([8]))
    before = tiny.bert(given)[0]
    for place in range(8):
        ids = given.ids.clone()
        ids[0, place] = 5
        changed = (tiny.bert(dataclasses.replace(given, ids=ids))[0] != before).any(-1).tolist()
        first = {"both ways": 0, "prefix": 0 if place < SOURCE else place, "left to right": place}[way]
        assert changed == [reader >= first for reader in range(8)]


@each_mask
@torch.no_grad()
def test_padding_is_never_seen(tiny: Backbone, way: str) -> None:
    given, kept = batch(way, rows())
    other = dataclasses.replace(given, ids=given.ids.masked_fill(~kept, 7))
    assert torch.equal(tiny.bert(given)[kept], tiny.bert(other)[kept])


# --- memory ---


@pytest.mark.parametrize("way", ["prefix", "left to right"])
@pytest.mark.parametrize("cuts", [(5, 9), (4, 5, 6, 7, 8, 9), (9,)])
@torch.no_grad()
def test_reading_in_pieces_equals_reading_at_once(tiny: Backbone, way: str, cuts: tuple[int, ...]) -> None:
    given, _ = batch(way, rows([9, 9]))
    assert given.segments is not None
    assert given.mask is not None
    memory, start, parts = Memory(), 0, []
    for end in cuts:
        mask = given.mask[:, :, start:end, :end]
        parts.append(tiny.bert(Batch(given.ids[:, start:end], given.segments[:, start:end], mask), memory))
        assert memory.length == end
        start = end
    close(torch.cat(parts, 1), tiny.bert(given), atol=1e-5, rtol=0)


@torch.no_grad()
def test_prompts_of_unequal_length_are_continued_together(tiny: Backbone) -> None:
    texts = rows([9, 6, 8])
    prompts = [6, 3, 5]
    ids, kept = padded([row[:length] for row, length in zip(texts, prompts, strict=True)])
    memory = Memory()
    tiny.bert(Batch(ids, mask=masks.left_to_right(kept)), memory)
    full = [
        tiny.bert(Batch(torch.tensor([row]), mask=masks.left_to_right(torch.ones(1, len(row)) > 0))) for row in texts
    ]
    for step in range(3):
        kept = torch.cat([kept, torch.ones(3, 1, dtype=torch.bool)], 1)
        positions = torch.tensor(prompts).unsqueeze(1) + step
        new = torch.tensor([[row[length + step]] for row, length in zip(texts, prompts, strict=True)])
        states = tiny.bert(Batch(new, None, masks.additive(kept.unsqueeze(1)), positions), memory)
        expected = [states[:, length + step] for states, length in zip(full, prompts, strict=True)]
        close(states[:, 0], torch.cat(expected), atol=1e-5, rtol=0)


@torch.no_grad()
def test_rows_of_a_memory_are_chosen_and_repeated(tiny: Backbone) -> None:
    ids = torch.tensor(rows([5, 5, 5]))
    memory = Memory()
    tiny.bert(Batch(ids), memory)
    chosen = torch.tensor([2, 0, 0])
    branched = memory.select(chosen)
    new = torch.tensor([[8], [8], [9]])
    again = Memory()
    tiny.bert(Batch(ids[chosen]), again)
    close(tiny.bert(Batch(new), branched), tiny.bert(Batch(new), again), atol=1e-5, rtol=0)
    assert (memory.length, branched.length) == (5, 6)


def test_a_new_memory_is_empty() -> None:
    assert Memory().length == 0


# --- condition ---


def conditional(tiny: Backbone, *, std: float) -> Bert:
    bert = Bert(tiny.bert.config, condition=6).eval()
    bert.load_state_dict(tiny.bert.state_dict(), strict=False)
    source = generator(1)
    for name, parameter in bert.named_parameters():
        if "_shift" in name and std:
            nn.init.normal_(parameter, std=std, generator=source)
    return bert


@torch.no_grad()
def test_a_new_condition_changes_nothing(tiny: Backbone) -> None:
    ids = torch.tensor(rows([6, 6]))
    bert = conditional(tiny, std=0)
    close(bert(Batch(ids), condition=torch.randn(2, 6, generator=generator())), tiny.bert(Batch(ids)))
    close(bert(Batch(ids)), tiny.bert(Batch(ids)))


@torch.no_grad()
def test_each_row_follows_its_own_condition(tiny: Backbone) -> None:
    bert = conditional(tiny, std=0.5)
    groups, order = by_length(rows())
    conditions = torch.randn(len(order), 6, generator=generator())
    packed = torch.cat([states[:, -1] for states in bert.read(groups, condition=conditions[order])])
    alone = [
        bert(Batch(torch.tensor([row])), condition=c[None])[0, -1] for row, c in zip(rows(), conditions, strict=True)
    ]
    close(restored(packed, order), torch.stack(alone), atol=1e-5, rtol=0)
    ids = torch.tensor(rows([6])).expand(3, -1)
    states = bert(Batch(ids), condition=conditions[:3])
    assert (states[0] - states[1]).abs().max() > 0.1


def test_a_condition_shifts_gain_and_bias(tiny: Backbone) -> None:
    norm = conditional(tiny, std=0.5).norm
    assert norm.gain_shift is not None
    assert norm.bias_shift is not None
    x, condition = torch.randn(3, 16, generator=generator()), torch.randn(2, 6, generator=generator(1))
    found = norm.normalize(x, condition, torch.tensor([0, 1, 1]))
    for place, row in enumerate((0, 1, 1)):
        gain = norm.weight + norm.gain_shift.weight @ condition[row]
        bias = norm.bias + norm.bias_shift.weight @ condition[row]
        plain = (x[place] - x[place].mean()) / (x[place].var(correction=0) + norm.eps).sqrt()
        close(found[place], plain * gain + bias)


def test_the_condition_learns_from_zero(tiny: Backbone) -> None:
    bert = conditional(tiny, std=0)
    learn(bert, bert(Batch(torch.tensor(rows([6, 6]))), condition=torch.ones(2, 6)))
    found = {name for name, parameter in bert.named_parameters() if "_shift" in name and has_gradient(parameter)}
    assert len(found) == 2 * (1 + 2 * tiny.bert.config.num_hidden_layers)


def test_a_condition_for_a_model_without(tiny: Backbone) -> None:
    with pytest.raises(ValueError, match="a condition for a model that was made without one"):
        tiny.bert(Batch(torch.tensor(rows([6]))), condition=torch.ones(1, 6))


# --- learning ---


def learn(bert: Bert, states: Tensor) -> None:
    torch.autograd.backward((states * torch.randn(states.shape, generator=generator(2))).sum())


def has_gradient(parameter: nn.Parameter) -> bool:
    return parameter.grad is not None and bool(parameter.grad.isfinite().all()) and bool(parameter.grad.any())


@each_mask
def test_gradients_reach_every_weight(tiny: Backbone, way: str) -> None:
    given, kept = batch(way, rows())
    learn(tiny.bert.train(), tiny.bert(given)[kept])
    assert [name for name, parameter in tiny.bert.named_parameters() if not has_gradient(parameter)] == []


def test_a_new_model_starts_as_bert_does(tiny: Backbone) -> None:
    torch.manual_seed(0)
    bert = Bert(tiny.bert.config)
    for name, parameter in bert.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif "norm" in name:
            assert (parameter == 1).all()
        else:
            assert 0.015 < parameter.std() < 0.025


@pytest.mark.parametrize("share", ["hidden_dropout_prob", "attention_probs_dropout_prob"])
@torch.no_grad()
def test_dropout_works_in_training_alone(tiny: Backbone, share: str) -> None:
    none: dict[str, Any] = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    given = Batch(torch.tensor(rows([9])))
    expected = tiny.bert(given)
    for rates, differs in ((none, False), (none | {share: 0.3}, True)):
        bert = Bert(dataclasses.replace(tiny.bert.config, **rates))
        bert.load_state_dict(tiny.bert.state_dict())
        assert bert.training
        assert torch.allclose(bert(given), expected, atol=1e-5) != differs
        close(bert.eval()(given), expected)


# --- frozen ---


@pytest.mark.parametrize("name", ["gelu", "relu"])
@torch.no_grad()
def test_frozen_gives_the_same_states(tiny: Backbone, name: str) -> None:
    bert = Bert(dataclasses.replace(tiny.bert.config, hidden_act=name)).eval()
    bert.load_state_dict(tiny.bert.state_dict())
    groups, _ = by_length(rows())
    expected = bert.read(groups)
    for _ in range(2):  # freezing again changes nothing
        for found, plain in zip(bert.freeze().read(groups), expected, strict=True):
            close(found, plain, atol=1e-5, rtol=0)


def test_frozen_no_longer_learns(tiny: Backbone) -> None:
    bert = tiny.bert.train().freeze()
    assert not bert.training
    assert not bert(Batch(torch.tensor(rows([4])))).requires_grad
    assert not any(parameter.requires_grad for parameter in bert.parameters())


@pytest.mark.parametrize("masked", [False, True])
@torch.inference_mode()
def test_bf16_is_close(tiny: Backbone, masked: bool) -> None:
    ids, kept = padded(rows())
    given = Batch(ids, mask=masks.both_ways(kept)) if masked else Batch(torch.tensor(rows([9, 9, 9])))
    expected = tiny.bert(given)
    bert = copy.deepcopy(tiny.bert).to(torch.bfloat16)
    for model in (bert, copy.deepcopy(bert).freeze()):
        found = model(given)
        assert found.dtype == torch.bfloat16
        cosines = torch.cosine_similarity(found.float(), expected, dim=-1)
        assert cosines[kept if masked else ...].min() > 0.999


def test_frozen_is_laid_out_for_this_processor(tiny: Backbone) -> None:
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this build of torch has no oneDNN")
    bert = tiny.bert.freeze()
    assert all(module.packed is not None for module in bert.modules() if isinstance(module, Linear))


def test_what_has_no_such_product_is_left_as_it_is() -> None:
    layer = Linear(3, 4).to(torch.float64)
    expected = layer(torch.ones(2, 3, dtype=torch.float64))
    layer.freeze()
    assert layer.packed is None
    close(layer(torch.ones(2, 3, dtype=torch.float64)), expected)


# --- GPU ---


@pytest.mark.gpu
@each_mask
@torch.no_grad()
def test_a_gpu_gives_the_same_states(tiny: Backbone, way: str) -> None:
    given, kept = batch(way, rows())
    groups, _ = by_length(rows())
    expected = [tiny.bert(given), *tiny.bert.read(groups)]
    device = torch.device("cuda")
    bert = tiny.bert.to(device).freeze()
    found = [bert(given.to(device)), *bert.read([group.to(device) for group in groups])]
    close(found[0].cpu()[kept], expected[0][kept], atol=1e-4, rtol=0)
    for states, plain in zip(found[1:], expected[1:], strict=True):
        close(states.cpu(), plain, atol=1e-4, rtol=0)


def test_what_is_before_the_last_norm_gives_the_last_states(tiny: Backbone) -> None:
    groups = [Batch(torch.tensor([[3, 7, 8, 4], [3, 9, 9, 4]])), Batch(torch.tensor([[3, 7, 4]]))]
    with torch.inference_mode():
        norm = cast(Layer, tiny.bert.layers[-1]).feed_norm
        assert torch.allclose(norm(tiny.bert.unnormed(groups)), [*tiny.bert.states(groups)][-1], atol=1e-6)


def test_what_stands_beside_the_tokens_of_some_groups_leaves_the_others_alone(tiny: Backbone) -> None:
    plain = [Batch(torch.tensor([[3, 7, 4]])), Batch(torch.tensor([[3, 8, 9, 4]])), Batch(torch.tensor([[3, 4]]))]
    beside = torch.tensor([[[7, 0], [8, 9], [0, 0], [0, 0]]])
    mixed = [plain[0], dataclasses.replace(plain[1], beside=beside), plain[2]]
    for enabled in (False, True):
        with torch.set_grad_enabled(enabled):
            found, before = tiny.bert.token_states(mixed), tiny.bert.token_states(plain)
        table = tiny.bert.tokens.weight
        expected = before.clone()
        expected[3], expected[4] = before[3] + table[7], before[4] + table[8] + table[9]
        close(found, expected, atol=1e-6, rtol=0)
