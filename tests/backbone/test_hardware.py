"""Devices and number formats, as asked for and as chosen."""

import os
from pathlib import Path

import pytest
import torch

from nlptasks.backbone import hardware
from nlptasks.errors import UsageError


def test_a_device_by_name() -> None:
    assert hardware.device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu", "cuda:99", ""])
def test_a_device_that_is_not_there(name: str) -> None:
    with pytest.raises(UsageError, match=f"--device {name}: not on this machine; use auto, cpu"):
        hardware.device(name)


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")]
)
def test_auto_takes_the_first_there_is(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert hardware.device().type == expected


def test_a_number_format_by_name() -> None:
    assert hardware.dtype("float16", torch.device("cpu")) == (torch.float16, "asked for")


def test_an_unknown_number_format() -> None:
    with pytest.raises(UsageError, match="--dtype int8: no such number format; use auto, float32, bf16, float16"):
        hardware.dtype("int8", torch.device("cpu"))


@pytest.mark.parametrize(("supported", "expected"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_computes_in_bf16_where_it_can(
    monkeypatch: pytest.MonkeyPatch, supported: bool, expected: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: supported)
    found, why = hardware.dtype("auto", torch.device("cuda"))
    assert found == expected
    assert "the GPU" in why


@pytest.mark.parametrize(
    ("capability", "flags", "unit"),
    [
        ("AVX512", "fpu avx512f avx512_bf16 amx_bf16", "AMX"),
        ("AVX512", "fpu avx512f avx512_bf16", "AVX512-BF16"),
        ("AVX512", "fpu avx512f", None),
        ("AVX2", "fpu avx512f avx512_bf16", None),
    ],
)
def test_a_cpu_computes_in_bf16_where_it_has_a_unit(
    monkeypatch: pytest.MonkeyPatch, capability: str, flags: str, unit: str | None
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"flags\t\t: {flags}\n")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    assert hardware.bf16_unit() == unit
    found, why = hardware.dtype("auto", torch.device("cpu"))
    assert found == (torch.bfloat16 if unit else torch.float32)
    assert (unit or "does not multiply bf16 fast") in why


def test_a_system_that_does_not_tell_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert hardware.bf16_unit() is None


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_rate_of_products_is_measured(dtype: torch.dtype) -> None:
    assert hardware.matrix_rate(torch.device("cpu"), dtype, seconds=0.01) > 1e8


def test_a_machine_gives_what_suits_its_device_unless_told() -> None:
    machine = hardware.Machine("cpu", "bf16")
    assert (machine.place, machine.number_format) == (torch.device("cpu"), torch.bfloat16)
    assert machine.budget({"cpu": 7, "cuda": 9}).tokens == 7
    assert machine.budget({"cuda": 9}).tokens == hardware.USUAL
    assert hardware.Machine("cpu", tokens=5).budget({"cpu": 7}).tokens == 5


def test_rows_of_several_passes_are_held_where_what_is_kept_of_them_is_small() -> None:
    machine = hardware.Machine("cpu")
    assert machine.budget({"cpu": 8192}).passes == 1
    assert machine.budget({"cpu": 8192}, remembered=4096).held == 131_072
    assert machine.budget({"cpu": 8192}, remembered=73_728).passes == 1


def test_few_compiled_products_are_kept() -> None:
    assert int(os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"]) < 1024
