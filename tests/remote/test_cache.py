"""The cache on disk: shared, checked entry by entry, and never the reason for a wrong answer."""

from __future__ import annotations

import json
import pickle
import random
import subprocess
import sys
import warnings
from typing import TYPE_CHECKING, Any

import pytest

import solder
from solder.errors import CacheWarning

from . import contracts
from .contracts import Deployed, amount, call_data, holder
from .node import Node

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from solder._native import RemoteStatus

    from .proxy import Proxy

EXPECTED = [amount(token, index) for token in range(contracts.TOKENS) for index in range(contracts.HOLDERS)]


def _balances(state: solder.State, deployed: Deployed) -> list[int]:
    return [int.from_bytes(output) for output in state.simulate(deployed.balances()).output.to_list()]


def _status(state: solder.State) -> RemoteStatus:
    status = state.remote_status()
    assert status is not None
    return status


APART = """
import pickle, sqlite3, sys
file, statements = pickle.load(sys.stdin.buffer)
connection = sqlite3.connect(file, isolation_level=None)
rows = [connection.execute(sql, values).fetchall() for sql, values in statements]
connection.close()
pickle.dump(rows, sys.stdout.buffer)
"""
"""Two SQLite libraries in one process take each other's locks away: tests look into the file from another process."""


def _run(file: Path, statements: list[tuple[str, tuple[Any, ...]]]) -> Any:
    given = pickle.dumps((str(file), statements))
    done = subprocess.run([sys.executable, "-c", APART], input=given, capture_output=True, check=True, timeout=60)
    return pickle.loads(done.stdout)  # noqa: S301 - from our own child


def _change(file: Path, sql: str, *values: object) -> None:
    _run(file, [(sql, values)])


def _rows(file: Path) -> list[tuple[bytes, bytes, bytes, bytes]]:
    rows: list[tuple[bytes, bytes, bytes, bytes]] = _run(file, [("SELECT block, key, value, sum FROM entries", ())])[0]
    return rows


def test_cache_spares_the_next_process(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "deep" / "remote.sqlite"
    assert _balances(remote(cache=file), deployed) == EXPECTED
    before = proxy.requests
    state = remote(cache=file)
    assert _balances(state, deployed) == EXPECTED
    # Only the question which block it is.
    assert proxy.requests == before + 1
    assert _status(state)["cache_hits"] > len(EXPECTED)
    assert _status(state)["verified"]
    assert _status(state)["cache"] == str(file)
    other_block = remote(cache=file, block=deployed.block - 1)
    assert _status(other_block)["cache_hits"] == 0
    other_block.account(deployed.tokens[0])
    assert _status(other_block)["cache_hits"] == 0


def test_cache_damaged_entries_are_fetched_again(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    state = remote(cache=file)
    assert _balances(state, deployed) == EXPECTED
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    rows = _rows(file)
    damaged = chance.sample(rows, 100)
    statements: list[tuple[str, tuple[Any, ...]]] = []
    for block, key, value, total in damaged:
        spoilt = bytearray(value + total)
        spoilt[chance.randrange(len(spoilt))] ^= 1 << chance.randrange(8)
        new = bytes(spoilt[: len(value)]), bytes(spoilt[len(value) :])
        statements.append(("UPDATE entries SET value = ?, sum = ? WHERE block = ? AND key = ?", (*new, block, key)))
    _run(file, statements)
    again = remote(cache=file)
    assert _balances(again, deployed) == EXPECTED
    assert _status(again)["cache_damaged"] >= len(damaged) - 5  # what nobody asked for stays as it is
    third = remote(cache=file)
    assert _balances(third, deployed) == EXPECTED
    assert _status(third)["cache_damaged"] == 0


def test_cache_values_of_another_key_or_length_are_damaged(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    question = call_data("balanceOf(address)", holder(8))
    assert remote(cache=file).call(deployed.tokens[0], question).ok
    block, key, _, _ = next(row for row in _rows(file) if row[1][0] == 1)
    _, other, value, total = next(row for row in _rows(file) if row[1][0] == 0)
    for spoilt in ((value, total), (b"", b""), (b"\1", total), (bytes(40), b"x" * 16)):
        _change(file, "UPDATE entries SET value = ?, sum = ? WHERE block = ? AND key = ?", *spoilt, block, key)
        again = remote(cache=file)
        assert int.from_bytes(again.call(deployed.tokens[0], question).output) == amount(0, 8)
        assert _status(again)["cache_damaged"] == 1
    assert other != key


def test_cache_damaged_code_is_fetched_again(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    question = call_data("balanceOf(address)", holder(8))
    assert remote(cache=file).call(deployed.tokens[0], question).ok
    for sql in ("UPDATE codes SET code = x'6001'", "DELETE FROM codes"):
        _change(file, sql)
        again = remote(cache=file)
        assert int.from_bytes(again.call(deployed.tokens[0], question).output) == amount(0, 8)
        assert _status(again)["cache_damaged"] == 1


def test_cache_full_is_a_warning_and_the_answer_is_right(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    state = remote(cache=file, cache_bytes=100_000)
    with pytest.warns(CacheWarning, match="full"):
        assert _balances(state, deployed) == EXPECTED
    assert _status(state)["cache"] is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _balances(state, deployed) == EXPECTED  # told once
    again = remote(cache=file)
    assert _balances(again, deployed) == EXPECTED
    assert _status(again)["cache_damaged"] == 0


FULL_DISK = """
import resource, signal, sys, warnings
import solder
from solder.errors import CacheWarning
url, block, file, token, data = sys.argv[1:]
calls = [{"to": token, "data": data}] + [{"to": token, "data": data[:-8] + f"{i:08x}"} for i in range(1000)]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    try:
        state = solder.State.remote(url, int(block), fork="Prague", cache=file)
    except solder.InputError as error:
        print("refused", error.field)
    else:
        outputs = state.simulate(calls, workers=1).output.to_list()
        print(int.from_bytes(outputs[0]), any(map(any, outputs[1:])), [w.category.__name__ for w in caught])
"""


def test_cache_on_a_full_disk(
    proxy: Proxy, remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    """The file may not grow beyond 40 kB: the system refuses to write, as on a full disk."""
    file = tmp_path / "remote.sqlite"
    open_here = remote(cache=file)
    assert open_here.account(holder(1)) is None
    command = [sys.executable, "-c", FULL_DISK, proxy.url, str(deployed.block), str(file), deployed.tokens[0]]
    command.append(call_data("balanceOf(address)", holder(8)))
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == f"{amount(0, 8)} False ['CacheWarning']\n", done.stderr
    after = remote(cache=file)
    assert _balances(after, deployed) == EXPECTED
    assert _status(after)["cache_damaged"] == 0


@pytest.mark.parametrize("content", [b"no database at all" * 500, b"SQLite format 3\0" + bytes(5000)])
def test_cache_file_that_is_none(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "remote.sqlite"
    file.write_bytes(content)
    with pytest.raises(solder.InputError) as raised:
        remote(cache=file)
    assert raised.value.field == "cache"
    assert file.read_bytes() == content
    assert remote(cache=False).account(deployed.tokens[0]) is not None


def test_cache_file_damaged_while_it_is_used(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    assert _balances(remote(cache=file), deployed) == EXPECTED
    _change(file, "PRAGMA wal_checkpoint(TRUNCATE)")
    raw = bytearray(file.read_bytes())
    for place in range(8192, len(raw), 4096):  # the head of each page but the first two
        raw[place : place + 64] = b"\xff" * 64
    file.write_bytes(raw)
    state = remote(cache=file)
    with pytest.warns(CacheWarning, match="malformed"):
        assert _balances(state, deployed) == EXPECTED


def test_cache_without_proofs_is_not_taken_for_proven(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    question = call_data("balanceOf(address)", holder(8))
    plain = remote(cache=file, verify="never")
    assert plain.call(deployed.tokens[0], question).ok
    assert not _status(plain)["verified"]
    proven = remote(cache=file, verify="always")
    assert proven.call(deployed.tokens[0], question).ok
    assert _status(proven)["cache_hits"] == 0
    assert _status(proven)["verified"]
    before = proxy.requests
    assert remote(cache=file, verify="never").call(deployed.tokens[0], question).ok
    assert proxy.requests == before + 1


SHARER = """
import json, sys
import solder
url, block, file = sys.argv[1:]
state = solder.State.remote(url, int(block), fork="Prague", cache=file)
results = state.simulate(json.load(sys.stdin), workers=1)
print([int.from_bytes(output) for output in results.output.to_list()])
"""


def test_cache_is_shared_by_processes(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    command = [sys.executable, "-W", "error", "-c", SHARER, proxy.url, str(deployed.block), str(file)]
    children = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(json.dumps(deployed.balances()))
        child.stdin.close()
    for child in children:
        assert child.stdout is not None
        assert json.loads(child.stdout.read()) == EXPECTED
        child.stdout.close()
        assert child.wait(60) == 0
    before = proxy.requests
    state = remote(cache=file)
    assert _balances(state, deployed) == EXPECTED
    assert proxy.requests == before + 1
    assert _status(state)["cache_damaged"] == 0


def test_cache_by_default_is_for_public_chains(
    remote: Callable[..., solder.State], deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    state = remote()
    assert state.account(deployed.tokens[0]) is not None
    assert _status(state)["cache"] is None
    assert list(tmp_path.iterdir()) == []
    mainnet = Node("--chain-id", "1")
    try:
        state = solder.State.remote(mainnet.url)
        assert state.chain.chain_id == 1
        assert state.account(deployed.tokens[0]) is None
        # The node's first header does not commit to the accounts that it begins with.
        assert not _status(state)["verified"]
        assert _status(state)["cache"] == str(tmp_path / "solder" / "remote.sqlite")
        with pytest.raises(solder.InputError, match="chain id is 1"):
            solder.State.remote(mainnet.url, chain=solder.Chain(5, [("Prague", "block", 0)]))
    finally:
        mainnet.close()


def test_cache_of_another_form_is_begun_anew(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, tmp_path: Path
) -> None:
    file = tmp_path / "remote.sqlite"
    assert remote(cache=file).account(deployed.tokens[0]) is not None
    _change(file, "PRAGMA user_version = 99")
    state = remote(cache=file)
    assert state.account(deployed.tokens[0]) is not None
    assert _status(state)["cache_hits"] == 0
    before = proxy.requests
    assert remote(cache=file).account(deployed.tokens[0]) is not None
    assert proxy.requests == before + 1
