"""Groups of one length, padding, and a budget that shrinks where memory runs out."""

import logging
from collections.abc import Sequence

import pytest
import torch

from nlptasks.backbone.batch import Batch, Budget, by_length, chunks, padded, restored
from nlptasks.errors import RecordError

ROWS = [[5, 6, 7], [8], [9, 10, 11], [12, 13]]


def test_padded_fills_to_the_longest_and_says_what_is_kept() -> None:
    ids, kept = padded(ROWS, pad=1)
    assert ids.tolist() == [[5, 6, 7], [8, 1, 1], [9, 10, 11], [12, 13, 1]]
    assert kept.sum(1).tolist() == [3, 1, 3, 2]
    assert (ids[~kept] == 1).all()


def test_groups_hold_rows_of_one_length_and_are_put_back_in_order() -> None:
    groups, order = by_length(ROWS)
    assert [group.ids.tolist() for group in groups] == [[[8]], [[12, 13]], [[5, 6, 7], [9, 10, 11]]]
    assert order == [1, 3, 0, 2]
    firsts = torch.cat([group.ids[:, 0] for group in groups])
    assert restored(firsts, order).tolist() == [5, 8, 9, 12]
    assert restored(firsts.unsqueeze(1).expand(-1, 2), order).tolist() == [[5, 5], [8, 8], [9, 9], [12, 12]]
    with_more, _ = by_length(ROWS, [torch.tensor(row).unsqueeze(1) for row in ROWS])
    assert all(torch.equal(group.ids.unsqueeze(2), group.beside) for group in with_more if group.beside is not None)
    assert len([group for group in with_more if group.beside is not None]) == 3


def test_no_rows_are_no_groups() -> None:
    assert by_length([]) == ([], [])


def test_a_batch_moves_with_all_its_parts() -> None:
    ids = torch.ones(1, 2, dtype=torch.int64)
    batch = Batch(ids, mask=torch.zeros(1, 1, 2, 2), positions=ids, beside=ids.unsqueeze(2))
    moved = batch.to(torch.device("meta"))
    parts = (moved.ids, moved.mask, moved.positions, moved.beside)
    assert moved.segments is None
    assert [part.device.type for part in parts if part is not None] == ["meta"] * 4


@pytest.mark.parametrize(
    ("tokens", "passes", "expected"),
    [
        (6, 1, [[1, 2, 3], [4], [9]]),
        (100, 1, [[1, 2, 3, 4, 9]]),
        (1, 1, [[1], [2], [3], [4], [9]]),
        (2, 5, [[1, 2, 3, 4], [9]]),
    ],
)
def test_passes_stay_within_the_budget_shortest_first(tokens: int, passes: int, expected: list[list[int]]) -> None:
    machine = Machine(100)
    assert Budget(tokens, passes).run([4, 1, 9, 2, 3], int, machine) == [8, 2, 18, 4, 6]
    assert machine.passes == expected


def test_chunks_hold_one_place_at_least() -> None:
    assert [list(run) for run in chunks([3, 3, 3, 9, 1], 6)] == [[0, 1], [2], [3], [4]]
    assert list(chunks([], 6)) == []


def test_nothing_to_compute_computes_nothing() -> None:
    machine = Machine(8)
    assert Budget(8).run([], int, machine) == []
    assert machine.passes == []


class Machine:
    """Doubles numbers, and runs out of memory where a pass holds more than `most` of them."""

    def __init__(self, most: int, error: Exception | None = None) -> None:
        self.most, self.error = most, error or torch.OutOfMemoryError("CUDA out of memory")
        self.passes: list[list[int]] = []

    def __call__(self, rows: Sequence[int]) -> list[int]:
        self.passes.append(list(rows))
        if sum(rows) > self.most:
            raise self.error
        return [2 * row for row in rows]


def test_answers_come_in_the_order_of_the_rows() -> None:
    machine = Machine(100)
    assert Budget(5).run([4, 1, 3, 2], int, machine) == [8, 2, 6, 4]
    assert machine.passes == [[1, 2], [3], [4]]


@pytest.mark.parametrize(
    "error",
    [
        None,
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
    ],
)
def test_out_of_memory_halves_the_budget_and_goes_on(error: Exception | None, caplog: pytest.LogCaptureFixture) -> None:
    budget, machine = Budget(1000), Machine(3, error)
    with caplog.at_level(logging.INFO, "nlptasks"):
        assert budget.run([2] * 5, int, machine) == [4] * 5
    assert caplog.messages == [f"out of memory: going on with {tokens} tokens at once" for tokens in (5, 2)]
    assert machine.passes == [[2] * 5, [2] * 2, *[[2]] * 5]
    assert budget.run([1, 1, 1], int, machine) == [2, 2, 2]
    assert machine.passes[-2:] == [[1, 1], [1]]


def test_fewer_passes_are_held_before_a_pass_gets_smaller() -> None:
    budget, machine = Budget(4, passes=5), Machine(9)
    assert budget.run([2] * 10, int, machine) == [4] * 10
    assert machine.passes == [[2] * 10, *[[2] * 4] * 2, [2] * 2]
    assert (budget.tokens, budget.passes) == (4, 2)
    budget, machine = Budget(4, passes=5), Machine(3)
    assert budget.run([2] * 3, int, machine) == [4] * 3
    assert (budget.tokens, budget.passes) == (3, 1)


def test_what_was_computed_before_memory_ran_out_is_not_computed_again() -> None:
    machine = Machine(3)
    Budget(6).run([1, 2, 3, 3], int, machine)
    assert machine.passes == [[1, 2, 3], [1, 2], [3], [3]]
    machine = Machine(5)
    Budget(6).run([1, 1, 1, 1, 3, 3], int, machine)
    assert machine.passes == [[1, 1, 1, 1], [3, 3], [3], [3]]


def test_a_single_row_too_large_gets_an_error_in_its_place(caplog: pytest.LogCaptureFixture) -> None:
    budget, machine = Budget(8), Machine(5)
    with caplog.at_level(logging.INFO, "nlptasks"):
        first, error, last = budget.run([2, 9, 1], int, machine)
    assert (first, last) == (4, 2)
    assert isinstance(error, RecordError)
    assert str(error) == "9 tokens do not fit into memory; shorten the text, free memory, or name another --device"
    assert machine.passes == [[1, 2], [9]]
    assert (budget.tokens, caplog.messages) == (8, [])


def test_other_errors_are_not_retried() -> None:
    machine = Machine(5, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        Budget(8).run([4, 4], int, machine)
    assert len(machine.passes) == 1


def test_an_answer_for_each_row_is_needed() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Budget(8).run([1, 2], int, lambda rows: rows[:1])
