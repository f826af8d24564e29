"""Nodes that cannot be reached, break off, refuse or lie: a typed error with the cause, and nothing wrong is kept."""

from __future__ import annotations

import copy
import json
import random
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import solder

from .contracts import NO_BODY, Deployed, amount, call_data, holder
from .proxy import Drop, Endless, Proxy, Raw

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .node import Node

Calls = list[dict[str, Any]]
HTML = b"<html><body><h1>Welcome</h1></body></html>"


def _changed(method: str, change: Callable[[Any], Any]) -> Callable[[Calls, Calls], Any]:
    """Spoils each result of `method`."""

    def spoil(calls: Calls, replies: Calls) -> Any:
        replies = copy.deepcopy(replies)
        named = {call["id"]: call["method"] for call in calls}
        for reply in replies:
            if named[reply["id"]] == method and "result" in reply:
                reply["result"] = change(reply["result"])
        return replies

    return spoil


def _sent(error: Exception) -> Callable[[Calls, Calls], Any]:
    def spoil(_calls: Calls, _replies: Calls) -> Any:
        raise error

    return spoil


def _without(field: str) -> Callable[[Any], Any]:
    return lambda result: {name: value for name, value in result.items() if name != field}


def _with(**fields: Any) -> Callable[[Any], Any]:
    return lambda result: {**result, **fields}


def _slot(**fields: Any) -> Callable[[Any], Any]:
    def change(result: Any) -> Any:
        return {**result, "storageProof": [{**proof, **fields} for proof in result["storageProof"]]}

    return change


def _cut(proof: Any) -> Any:
    return {**proof, "accountProof": proof["accountProof"][:-1]}


def _error(code: int, message: str) -> Callable[[Calls, Calls], Any]:
    return lambda calls, _: [
        {"jsonrpc": "2.0", "id": call["id"], "error": {"code": code, "message": message}} for call in calls
    ]


def _wrong_ids(_calls: Calls, replies: Calls) -> Calls:
    return [{**reply, "id": reply["id"] + 1000} for reply in replies]


def _balance(state: solder.State, deployed: Deployed) -> int:
    return int.from_bytes(state.call(deployed.tokens[0], call_data("balanceOf(address)", holder(8))).output)


FAULTS = {
    "dropped": (_sent(Drop()), "UNREACHABLE", "after 2 attempts"),
    "truncated": (_sent(Drop(b'[{"jsonrpc":"2.0"', 5000)), "UNREACHABLE", "broke off"),
    "truncated JSON": (_sent(Raw(200, b'[{"jsonrpc":"2.0","id":0,"res')), "REPLY", "EOF"),
    "status 500": (_sent(Raw(500, b"oops")), "UNREACHABLE", "500"),
    "status 429": (_sent(Raw(429, b"slow down", **{"Retry-After": "0"})), "UNREACHABLE", "429"),
    "status 403": (_sent(Raw(403, b"no key")), "REFUSED", "no key"),
    "redirect": (_sent(Raw(302, b"", Location="http://127.0.0.1:1/")), "REFUSED", "302"),
    "HTML": (_sent(Raw(200, HTML, "text/html")), "REPLY", "<html>"),
    "empty body": (_sent(Raw(200, b"")), "REPLY", "not JSON-RPC"),
    "endless body": (_sent(Endless()), "LIMIT", "more than"),
    "deep JSON": (_sent(Raw(200, b"[" * 100_000)), "REPLY", "recursion"),
    "not an object": (lambda *_: [1, 2], "REPLY", "not JSON-RPC"),
    "wrong ids": (_wrong_ids, "REPLY", "not asked"),
    "two answers": (lambda _, replies: replies + replies[:1], "REPLY", "two answers"),
    "an answer short": (lambda _, replies: replies[:-1], "REPLY", "no answer to request"),
    "no result": (lambda calls, _: [{"id": call["id"]} for call in calls], "REPLY", "neither result nor error"),
    "too fast": (_error(-32005, "limit exceeded"), "UNREACHABLE", "limit exceeded"),
    "refused": (_error(-32000, "missing trie node"), "REFUSED", "missing trie node"),
    "null proof": (_changed("eth_getProof", lambda _: None), "REPLY", "nonce: missing"),
    "no code": (_changed("eth_getCode", lambda _: None), "REPLY", "null is no hex"),
    "missing slot": (_changed("eth_getProof", _with(storageProof=[])), "REPLY", "0 proofs for"),
    "no proof of a slot": (_changed("eth_getProof", _slot(proof=[])), "MISMATCH", "slot"),
    "another slot": (_changed("eth_getProof", _slot(key="0x77")), "REPLY", "instead of"),
    "another slot's value": (_changed("eth_getProof", _slot(value="0x77")), "MISMATCH", "slot"),
    "slot not hex": (_changed("eth_getProof", _slot(value="0xzz")), "REPLY", "not hex"),
    "balance": (_changed("eth_getProof", _with(balance="0x123456")), "MISMATCH", "state root"),
    "nonce": (_changed("eth_getProof", _with(nonce="0x77")), "MISMATCH", "state root"),
    "half a proof": (_changed("eth_getProof", _cut), "MISMATCH", "state root"),
    "long proof": (_changed("eth_getProof", _with(accountProof=["0x80"] * 1000)), "REPLY", "1000 nodes"),
    "field missing": (_changed("eth_getProof", _without("balance")), "REPLY", "balance: missing"),
    "other code": (_changed("eth_getCode", lambda _: "0x6001"), "MISMATCH", "code"),
    "huge code": (_changed("eth_getCode", lambda _: "0x" + "00" * 100_000), "MISMATCH", "code"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_typed_and_leave_nothing(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, tmp_path: Path, name: str
) -> None:
    spoil, code, cause = FAULTS[name]
    question = call_data("balanceOf(address)", holder(8))
    fields: dict[str, Any] = {"cache": tmp_path / "remote.sqlite", "verify": "always"}
    state = remote(**fields)
    proxy.spoil = spoil
    with pytest.raises(solder.Fault) as raised:
        # A fault that only a slot shows comes in the second round.
        state.call(deployed.tokens[0], question)
    assert raised.value.code == f"Fault.REMOTE_{code}", str(raised.value)
    assert cause in str(raised.value)
    with pytest.raises(solder.Fault):
        state.simulate([{"to": deployed.tokens[0], "data": question}] * 3)
    with pytest.raises(solder.Fault):
        state.transact(deployed.tokens[0], question)
    proxy.spoil = None
    for again in (state, remote(**fields)):
        assert int.from_bytes(again.call(deployed.tokens[0], question).output) == amount(0, 8)
        status = again.remote_status()
        assert status is not None
        assert status["verified"]


OPENING = {
    "another number": (_changed("eth_getBlockByNumber", _with(number="0x1")), "MISMATCH", "block 1 instead of"),
    "another hash": (_changed("eth_getBlockByNumber", _with(hash="0x" + "11" * 32)), "MISMATCH", "its header's is"),
    "another root": (_changed("eth_getBlockByNumber", _with(stateRoot="0x" + "11" * 32)), "MISMATCH", "header's is"),
    "no root": (_changed("eth_getBlockByNumber", _without("stateRoot")), "REPLY", "stateRoot: missing"),
    "chain id": (_changed("eth_chainId", lambda _: "elf"), "REPLY", "eth_chainId"),
    "HTML": (_sent(Raw(200, HTML, "text/html")), "REPLY", "<html>"),
    "no answer": (_sent(Drop()), "UNREACHABLE", "after 2 attempts"),
}


@pytest.mark.parametrize("name", OPENING)
def test_faults_while_opening(remote: Callable[..., solder.State], proxy: Proxy, name: str) -> None:
    proxy.spoil, code, cause = OPENING[name]
    with pytest.raises(solder.Fault, match=cause) as raised:
        remote()
    assert raised.value.code == f"Fault.REMOTE_{code}"


def test_faults_a_block_by_hash_has_that_hash(
    remote: Callable[..., solder.State], proxy: Proxy, node: Node, deployed: Deployed
) -> None:
    other = node.ask("eth_getBlockByNumber", hex(deployed.block - 1), NO_BODY)
    proxy.spoil = _changed("eth_getBlockByHash", lambda _: other)
    with pytest.raises(solder.Fault, match="instead of") as raised:
        remote(block=deployed.block_hash)
    assert raised.value.code == "Fault.REMOTE_MISMATCH"


def test_faults_pass(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    """What fails once is tried again: each message is answered wrongly once before it is answered well."""
    seen: set[str] = set()
    passing = [Drop(), Raw(503, b"busy"), Raw(429, b"slow", **{"Retry-After": "0"}), Drop(b"[{", 900)]

    def spoil(calls: Calls, replies: Calls) -> Any:
        key = json.dumps(calls, sort_keys=True)
        if key not in seen:
            seen.add(key)
            raise passing[len(seen) % len(passing)]
        return replies

    proxy.spoil = spoil
    state = remote(attempts=3)
    assert int.from_bytes(state.call(deployed.tokens[0], call_data("balanceOf(address)", holder(8))).output) == amount(
        0, 8
    )
    status = state.remote_status()
    assert status is not None
    assert status["retries"] == len(seen) >= 3


def test_faults_order_of_answers_does_not_matter(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    proxy.spoil = lambda _, replies: replies[::-1]
    assert int.from_bytes(
        remote().call(deployed.tokens[0], call_data("balanceOf(address)", holder(8))).output
    ) == amount(0, 8)


def test_faults_a_wrong_ancestor(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    state = remote().set_code("0x" + "11" * 20, "0x5f35405f5260205ff3")
    proxy.spoil = _changed("eth_getBlockByNumber", _with(hash="0x" + "22" * 32))
    number = (deployed.block - 3).to_bytes(32, "big")
    with pytest.raises(solder.Fault) as raised:
        state.call("0x" + "11" * 20, number)
    assert raised.value.code == "Fault.REMOTE_MISMATCH"
    proxy.spoil = None
    later = remote().roll(deployed.block + 100).set_code("0x" + "11" * 20, "0x5f35405f5260205ff3")
    with pytest.raises(solder.Fault, match="seen from block") as raised:
        later.call("0x" + "11" * 20, (deployed.block + 5).to_bytes(32, "big"))
    assert raised.value.code == "Fault.REMOTE_UNSUPPORTED"


def _no_proofs(calls: Calls, replies: Calls) -> Calls:
    error = {"code": -32601, "message": "the method eth_getProof does not exist"}
    named = {call["id"]: call["method"] for call in calls}
    return [{"id": reply["id"], "error": error} if named[reply["id"]] == "eth_getProof" else reply for reply in replies]


def _no_hashes(calls: Calls, replies: Calls) -> Calls:
    error = {"code": -32602, "message": "invalid argument 1: json: cannot unmarshal object"}
    by_hash = {call["id"] for call in calls if any(isinstance(value, dict) for value in call["params"])}
    return [{"id": reply["id"], "error": error} if reply["id"] in by_hash else reply for reply in replies]


def test_faults_a_node_without_proofs(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    proxy.spoil = _no_proofs
    question = call_data("balanceOf(address)", holder(8))
    with pytest.raises(solder.Fault, match="eth_getProof") as raised:
        remote(verify="always").call(deployed.tokens[0], question)
    assert raised.value.code == "Fault.REMOTE_REFUSED"
    state = remote()
    assert int.from_bytes(state.call(deployed.tokens[0], question).output) == amount(0, 8)
    status = state.remote_status()
    assert status is not None
    assert (status["by_hash"], status["proofs"], status["verified"]) == (True, False, False)


def test_faults_a_node_that_knows_blocks_by_number_only(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    proxy.spoil = _no_hashes
    question = call_data("balanceOf(address)", holder(8))
    for verify, proofs in (("auto", True), ("always", True), ("never", False)):
        state = remote(verify=verify)
        assert int.from_bytes(state.call(deployed.tokens[0], question).output) == amount(0, 8)
        status = state.remote_status()
        assert status is not None
        assert (status["by_hash"], status["proofs"]) == (False, proofs)


@pytest.mark.parametrize("verify", ["auto", "never"])
def test_faults_a_reorganisation(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed, verify: str
) -> None:
    state = remote(verify=verify)
    other = _changed("eth_getBlockByNumber", _with(hash="0x" + "33" * 32))
    proxy.spoil = lambda calls, replies: other(calls, _no_hashes(calls, replies))
    with pytest.raises(solder.Fault, match=r"is 0x3333\w* now") as raised:
        state.call(deployed.tokens[0], call_data("balanceOf(address)", holder(8)))
    assert raised.value.code == "Fault.REMOTE_REORGANISED"
    gone = _changed("eth_getBlockByNumber", lambda _: None)
    proxy.spoil = lambda calls, replies: gone(calls, _no_hashes(calls, replies))
    with pytest.raises(solder.Fault, match="not there any more"):
        state.call(deployed.tokens[0], call_data("balanceOf(address)", holder(8)))


def test_faults_a_node_that_takes_small_batches_only(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    def spoil(calls: Calls, replies: Calls) -> Any:
        if len(calls) > 7:
            raise Raw(200, json.dumps({"id": None, "error": {"code": -32600, "message": "batch too large"}}).encode())
        return replies

    proxy.spoil = spoil
    state = remote(verify="never")
    results = state.simulate(deployed.balances()[:60])
    assert [int.from_bytes(output) for output in results.output.to_list()] == [
        amount(index // 50, index % 50) for index in range(60)
    ]


def test_faults_many_threads_are_all_told(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    state = remote()
    proxy.spoil = _sent(Raw(403, b"no"))
    with pytest.raises(solder.Fault, match="403"):
        state.simulate(deployed.balances(), workers=4)
    proxy.spoil = None
    assert state.simulate(deployed.balances(), workers=4).ok


def test_faults_an_unreachable_node_and_a_silent_one() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(solder.Fault, match="after 2 attempts") as raised:
        solder.State.remote(f"http://127.0.0.1:{port}", fork="Prague", attempts=2)
    assert raised.value.code == "Fault.REMOTE_UNREACHABLE"
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        start = time.monotonic()
        with pytest.raises(solder.Fault) as raised:
            solder.State.remote(f"http://127.0.0.1:{silent.getsockname()[1]}", fork="Prague", attempts=1, timeout_s=0.3)
        assert raised.value.code == "Fault.REMOTE_UNREACHABLE"
        assert time.monotonic() - start < 5


def test_faults_do_not_show_a_secret(proxy: Proxy) -> None:
    proxy.spoil = _sent(Raw(403, b"no"))
    url = proxy.url.replace("http://", "http://user:word@") + "/v3/secret-key?token=other"
    with pytest.raises(solder.Fault) as raised:
        solder.State.remote(url, fork="Prague")
    assert not any(secret in str(raised.value) for secret in ("secret", "word", "other", "user"))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"url": "ftp://127.0.0.1"}, "url"),
        ({"url": "127.0.0.1:8545"}, "url"),
        ({"url": "http://"}, "url"),
        ({"url": ""}, "url"),
        ({"url": "http://127.0.0.1/" + "a" * 5000}, "url"),
        ({"block": -1}, "block"),
        ({"block": "newest"}, "block"),
        ({"block": "0x12"}, "block"),
        ({"block": True}, "block"),
        ({"block": 10**9}, "block"),
        ({"block": "0x" + "77" * 32}, "block"),
        ({"fork": "Moon"}, "fork"),
        ({"fork": None}, "chain id"),
        ({"chain": "CHAIN", "fork": None}, "chain"),
        ({"chain": "CHAIN"}, "fork"),
        ({"verify": "sometimes"}, "verify"),
        ({"batch": 0}, "batch"),
        ({"batch": 1001}, "batch"),
        ({"connections": 0}, "connections"),
        ({"attempts": 0}, "attempts"),
        ({"timeout_s": -1.0}, "timeout_s"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"timeout_s": float("nan")}, "timeout_s"),
        ({"headers": {"a b": "c"}}, "headers"),
        ({"headers": {"a": "c\nd"}}, "headers"),
        ({"cache": True}, "cache"),
        ({"cache": "FILE", "cache_bytes": 10}, "cache"),
        ({"cache": "FOLDER"}, "cache"),
    ],
)
def test_faults_arguments_name_their_field(proxy: Proxy, tmp_path: Path, fields: dict[str, Any], field: str) -> None:
    given: dict[str, Any] = {"url": proxy.url, "fork": "Prague", **fields}
    if given.get("chain") == "CHAIN":
        given["chain"] = solder.Chain(5, [("Prague", "block", 0)])
    places = {"FILE": tmp_path / "cache", "FOLDER": tmp_path}
    given["cache"] = places.get(given["cache"], given["cache"]) if "cache" in given else False
    with pytest.raises(solder.InputError) as raised:
        solder.State.remote(**given)
    assert raised.value.field == field, str(raised.value)


def test_faults_interrupted(remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed) -> None:
    """Who waits for a slow node can be called off."""
    from solder import _native

    state = remote()
    proxy.latency = 3.0
    cancellation = _native.Cancellation()
    threading.Timer(0.2, cancellation.cancel).start()
    start = time.monotonic()
    with pytest.raises(solder.Fault) as raised:
        cancellation.run(state.call, deployed.tokens[0], call_data("balanceOf(address)", holder(8)))
    assert raised.value.code == "Fault.CANCELLED"
    assert time.monotonic() - start < 1.5


ROUNDS = 30


def test_faults_any_change_of_an_answer_is_seen_or_changes_nothing(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    """A digit or byte of an answer is changed at random: the call fails with a typed error, or gives what it gives."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    to, data = deployed.swap()
    expected = remote(verify="always").call(to, data)
    seen = 0

    def spoil(_calls: Calls, replies: Calls) -> Any:
        raw = bytearray(json.dumps(replies).encode())
        for _ in range(chance.choice((1, 1, 3))):
            place = chance.randrange(len(raw))
            digit = chr(raw[place]) in "0123456789abcdef"
            raw[place] = ord(chance.choice("0123456789abcdef")) if digit else chance.randrange(256)
        raise Raw(200, bytes(raw))

    for _ in range(ROUNDS):
        state = remote(verify="always", attempts=1)
        skip = chance.randrange(6)
        calm = iter([True] * skip + [False])
        proxy.spoil = lambda calls, replies, calm=calm: replies if next(calm, True) else spoil(calls, replies)
        codes: list[str] = []
        try:
            result = state.call(to, data)
        except solder.Fault as fault:
            codes.append(fault.code)
            result = state.call(to, data)
        assert all(code.startswith("Fault.REMOTE_") for code in codes)
        seen += len(codes)
        assert (result.output, result.gas_used, result.status) == (expected.output, expected.gas_used, "success")
        proxy.spoil = None
    assert seen > ROUNDS // 3
