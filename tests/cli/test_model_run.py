"""``solder model run``, ``verify``, ``inspect`` and ``list``: every kernel and split, wrong claims, bad input."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from solder._native import ai_kernels
from solder.cli import model_arrays
from solder.coprocessors.ai.importing import Settings, import_model

IMPORTED = Path(__file__).parent.parent / "coprocessors" / "ai" / "imported"
SEED = 7
ROWS = 24


def token_data(rows: int = 24, length: int = 12) -> dict[str, Any]:
    """Random ids with padding at the end of rows."""
    random = np.random.default_rng(SEED)
    mask = (np.arange(length) < random.integers(2, length + 1, (rows, 1))).astype(np.int64)
    return {"ids": random.integers(0, 50, (rows, length)), "mask": mask}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artefact with a batch limit of 7, and its input."""
    folder = tmp_path_factory.mktemp("models")
    imported = import_model(IMPORTED / "transformer.onnx", token_data(ROWS), settings=Settings(batch_limit=7))
    (folder / "model.safetensors").write_bytes(imported.artefact)
    (folder / "trees.safetensors").write_bytes(import_model(IMPORTED / "xgboost_binary.json").artefact)
    np.savez(folder / "tokens.npz", **token_data(ROWS))
    return folder


def _run(folder: Path, solder_command: Callable[..., Any], *more: object) -> Any:
    out = folder / "out.npz"
    out.unlink(missing_ok=True)
    ran = solder_command(
        *("model", "run", folder / "model.safetensors", "--input", folder / "tokens.npz", "--output", out), *more
    )
    return ran, dict(np.load(out)) if out.exists() else None


def test_model_run_every_kernel_gives_the_same_bits(folder: Path, solder_command: Callable[..., Any]) -> None:
    ran, plain = _run(folder, solder_command, "--kernel", "reference")
    assert ran.status == 0
    assert plain["vector"].shape == (ROWS, 16)
    for kernel in ai_kernels():
        for threads in (1, 3):
            ran, found = _run(folder, solder_command, "--kernel", kernel, "--threads", threads)
            assert ran.status == 0
            assert plain.keys() == found.keys()
            assert all((plain[name] == found[name]).all() and plain[name].dtype == found[name].dtype for name in plain)


def test_model_run_json_and_reals(folder: Path, solder_command: Callable[..., Any]) -> None:
    ran, found = _run(folder, solder_command, "--json", "--reals")
    (told,) = ran.objects
    assert told["rows"] == ROWS
    assert told["outputs"]["vector"]["shape"] == [ROWS, 16]
    assert found["vector"].dtype == np.float64
    assert np.allclose(np.linalg.norm(found["vector"], axis=1), 1, atol=1e-3)


def test_model_run_kernel_that_the_machine_lacks_is_said(folder: Path, solder_command: Callable[..., Any]) -> None:
    lacking = sorted({"sse41", "avx2", "avxvnni", "avx512", "avx512vnni"} - set(ai_kernels()))
    if not lacking:
        pytest.skip("this machine has every kernel")
    ran, found = _run(folder, solder_command, "--kernel", lacking[0])
    assert (ran.status, found) == (2, None)
    assert lacking[0] in ran.err


def test_model_run_identity_is_checked(folder: Path, solder_command: Callable[..., Any]) -> None:
    (shown,) = solder_command("model", "inspect", folder / "model.safetensors", "--json").objects
    assert _run(folder, solder_command, "--identity", shown["hash"])[0].status == 0
    ran, found = _run(folder, solder_command, "--identity", "00" * 32)
    assert (ran.status, found) == (2, None)
    assert shown["hash"] in ran.err
    assert _run(folder, solder_command, "--identity", "moon")[0].status == 2


def _tokens(**changes: Any) -> dict[str, Any]:
    tokens = {**token_data(ROWS), **changes}
    return {name: array for name, array in tokens.items() if array is not None}


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        (_tokens(mask=None), "mask: is missing"),
        (_tokens(extra=np.zeros(ROWS)), "extra"),
        (_tokens(ids=np.zeros((ROWS, 12))), "takes whole numbers"),
        (_tokens(ids=np.full((ROWS, 12), 50)), "'ids'"),
        (_tokens(ids=np.full((ROWS, 12), -1)), "'ids'"),
        (_tokens(mask=np.full((ROWS, 12), 2)), "'mask'"),
        (_tokens(ids=np.zeros((ROWS, 11), np.int64)), "mask: sequence 12, another input has 11"),
        (_tokens(ids=np.zeros((ROWS - 1, 12), np.int64)), "different numbers of them"),
        (_tokens(ids=np.zeros((ROWS, 12, 1), np.int64)), "ids"),
        (_tokens(ids=np.zeros((ROWS, 13), np.int64), mask=np.ones((ROWS, 13), np.int64)), "13"),
        (_tokens(ids=np.zeros((0, 12), np.int64), mask=np.zeros((0, 12), np.int64)), "no rows"),
    ],
)
def test_model_run_bad_arrays_are_refused_by_name(
    arrays: dict[str, Any], said: str, folder: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    ran = solder_command(
        *("model", "run", folder / "model.safetensors"),
        *("--input", tmp_path / "bad.npz", "--output", tmp_path / "out.npz"),
    )
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err
    assert "bad.npz" in ran.err
    assert not (tmp_path / "out.npz").exists()


def test_model_run_archive_that_unpacks_to_too_much(
    folder: Path, tmp_path: Path, solder_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_arrays, "MAX_BYTES", 1 << 20)
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ids.npy", bytes((1 << 20) + 1))
    ran = solder_command(
        *("model", "run", folder / "model.safetensors"),
        *("--input", tmp_path / "bomb.npz", "--output", tmp_path / "out.npz"),
    )
    assert ran.status == 2
    assert "bytes of arrays are more than" in ran.err


def test_model_verify_tells_right_from_wrong(folder: Path, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    _, outputs = _run(folder, solder_command)
    np.savez(tmp_path / "right.npz", **outputs)
    outputs["vector"][20, 3] += 1
    np.savez(tmp_path / "wrong.npz", **outputs)
    base = ("model", "verify", folder / "model.safetensors", "--input", folder / "tokens.npz", "--json")
    assert solder_command(*base).objects[0]["holds"] is True
    assert solder_command(*base, "--claimed", tmp_path / "right.npz").objects[0]["holds"] is True
    ran = solder_command(*base, "--claimed", tmp_path / "wrong.npz")
    assert ran.status == 1
    assert (ran.objects[0]["holds"], ran.objects[0]["failed"]) == (False, "vector at [20, 3]")


def test_model_verify_by_freivalds_tells_right_from_wrong(
    folder: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    _, outputs = _run(folder, solder_command)
    outputs["vector"][20, 3] += 1
    np.savez(tmp_path / "wrong.npz", **outputs)
    given = ("model", "verify", folder / "model.safetensors", "--input", folder / "tokens.npz")
    base = (*given, "--evidence", "freivalds", "--rounds", 2)
    (told,) = solder_command(*base, "--json").objects
    assert (told["check"], told["rounds"], told["holds"], told["failed"]) == ("freivalds", 2, True, "")
    assert told["products"] > 0
    assert told["error_probability"] == pytest.approx(told["products"] * (2**31 - 1) ** -2)
    assert {"sums", "products", "between"} == told["parts_seconds"].keys()
    assert {"kernel", "reference"} == told["again_seconds_a_row"].keys()
    ran = solder_command(*base, "--json", "--claimed", tmp_path / "wrong.npz")
    assert ran.status == 1
    assert (ran.objects[0]["holds"], ran.objects[0]["failed"].split()[0]) == (False, "vector")
    ran = solder_command(*base)
    assert ran.status == 0
    assert "a wrong one passes with probability at most" in ran.out


def test_model_verify_rounds_are_of_freivalds(folder: Path, solder_command: Callable[..., Any]) -> None:
    base = ("model", "verify", folder / "model.safetensors", "--input", folder / "tokens.npz")
    assert solder_command(*base, "--rounds", 2).status == 2
    assert solder_command(*base, "--evidence", "freivalds", "--rounds", 65).status == 2


@pytest.mark.parametrize(
    ("claimed", "said"),
    [
        ({"other": np.zeros((ROWS, 16), np.int16)}, "vector"),
        ({"vector": np.zeros((ROWS - 1, 16), np.int16)}, "23"),
        ({"vector": np.zeros((ROWS, 15), np.int16)}, "vector"),
        ({"vector": np.zeros((ROWS, 16))}, "vector"),
    ],
)
def test_model_verify_claims_of_another_shape_are_bad_input(
    claimed: dict[str, Any], said: str, folder: Path, tmp_path: Path, solder_command: Callable[..., Any]
) -> None:
    np.savez(tmp_path / "claimed.npz", **claimed)
    ran = solder_command(
        *("model", "verify", folder / "model.safetensors", "--input", folder / "tokens.npz"),
        *("--claimed", tmp_path / "claimed.npz"),
    )
    assert ran.status == 2
    assert said in ran.err


def test_model_inspect_table_and_json(folder: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "inspect", folder / "model.safetensors", "--sequence", 12)
    assert ran.status == 0
    assert "layer0.norm" in ran.out
    assert "share" in ran.out
    (told,) = solder_command("model", "inspect", folder / "model.safetensors", "--sequence", 12, "--json").objects
    assert {"hash", "parameters", "macs", "bytes", "operators"} <= told.keys()
    assert told["macs"] == sum(node["macs"] for node in told["nodes"])
    assert told["bytes"] == (folder / "model.safetensors").stat().st_size
    assert told["operators"]["attention"] == 1


def test_model_inspect_picture(folder: Path, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "inspect", folder / "model.safetensors", "--svg", tmp_path / "graph.svg")
    assert (ran.status, ran.out) == (0, "")
    assert (tmp_path / "graph.svg").read_text().startswith("<svg")
    assert solder_command("model", "inspect", folder / "model.safetensors", "--svg").out.startswith("<svg")
    assert solder_command("model", "inspect", folder / "model.safetensors", "--svg", "x", "--json").status == 2
    assert not Path("x").exists()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 64, b"\xff" * 64])
def test_model_inspect_what_is_no_artefact(damage: bytes, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    (tmp_path / "bad.safetensors").write_bytes(damage)
    ran = solder_command("model", "inspect", tmp_path / "bad.safetensors")
    assert (ran.status, ran.out) == (2, "")
    assert "bad.safetensors" in ran.err


def test_model_list_finds_artefacts(folder: Path, solder_command: Callable[..., Any]) -> None:
    ran = solder_command("model", "list", folder, "--json")
    assert ran.status == 0
    assert [Path(entry["path"]).name for entry in ran.objects] == ["model.safetensors", "trees.safetensors"]
    assert "trees.safetensors" in solder_command("model", "list", folder).out


def test_model_list_says_what_it_refuses(folder: Path, tmp_path: Path, solder_command: Callable[..., Any]) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[: len(whole) // 2])
    foreign = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "foreign.safetensors").write_bytes(len(foreign).to_bytes(8, "little") + foreign + bytes(4))
    ran = solder_command("model", "list", tmp_path, "--json")
    assert ran.status == 1
    (entry,) = ran.objects
    assert entry["path"].endswith("cut.safetensors")
    assert entry["error"]
