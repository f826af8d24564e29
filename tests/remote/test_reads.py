"""What a remote state answers, against the node's own answers."""

from __future__ import annotations

import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import pytest

import solder

from .contracts import NO_BODY, Deployed, amount, call_data, holder, word
from .node import CHAIN_ID, DEVELOPER, Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from .proxy import Proxy

BLOCK_HASH_CODE = "0x5f3540" + "5f5260205ff3"
"""Returns BLOCKHASH of the number in the first word."""


def _eth_call(node: Node, deployed: Deployed, to: str, data: str, **fields: str) -> str:
    answer: str = node.ask("eth_call", {"to": to, "data": data, **fields}, {"blockHash": deployed.block_hash})
    return answer


@pytest.mark.parametrize("verify", ["always", "auto", "never"])
def test_reads_calls_equal_the_nodes_own(
    remote: Callable[..., solder.State], node: Node, deployed: Deployed, verify: str
) -> None:
    state = remote(verify=verify)
    token, pool = deployed.tokens[0], deployed.pool
    swapped = deployed.swap()
    calls = [
        (token, call_data("balanceOf(address)", holder(7))),
        (token, call_data("totalSupply()")),
        (token, call_data("decimals()")),
        (pool, call_data("slot0()")),
        (pool, call_data("liquidity()")),
        (pool, call_data("ticks(int24)", 60)),
        (pool, call_data("observe(uint32[])", 32, 1, 0)),
        swapped,
        deployed.swap(10**24),
    ]
    for to, data in calls:
        result = state.call(to, data)
        assert result.ok, (to, data[:10], result.error)
        assert "0x" + result.output.hex() == _eth_call(node, deployed, to, data), (to, data[:10])
    batch = state.simulate([{"to": to, "data": data} for to, data in calls])
    assert ["0x" + output.hex() for output in batch.output.to_list()] == [
        _eth_call(node, deployed, to, data) for to, data in calls
    ]


def test_reads_gas_equals_the_nodes_own(remote: Callable[..., solder.State], node: Node, deployed: Deployed) -> None:
    state = remote()
    to, data = call_data("transfer(address,uint256)", holder(1), 5), deployed.tokens[2]
    fields = {"from": holder(0), "to": data, "data": to}
    # The node's estimate is the least gas limit, which here is what is used: no refund, no call below.
    assert state.call(data, to, sender=holder(0)).gas_used == int(node.ask("eth_estimateGas", fields, "latest"), 16)


def test_reads_accounts_and_slots(remote: Callable[..., solder.State], node: Node, deployed: Deployed) -> None:
    state = remote()
    at = {"blockHash": deployed.block_hash}
    developer = state.account(DEVELOPER)
    assert developer is not None
    assert developer.balance == int(node.ask("eth_getBalance", DEVELOPER, at), 16)
    assert developer.nonce == int(node.ask("eth_getTransactionCount", DEVELOPER, at), 16)
    token = state.account(deployed.tokens[0])
    assert token is not None
    assert "0x" + (token.code or b"").hex() == node.ask("eth_getCode", deployed.tokens[0], at)
    assert state.account(holder(999)) is None
    assert holder(999) not in state
    for slot in range(4):
        assert state.storage(deployed.pool, slot) == int(
            node.ask("eth_getStorageAt", deployed.pool, "0x" + word(slot), at), 16
        )
    assert state.storage(holder(999), 5) == 0


def test_reads_block_and_identity(remote: Callable[..., solder.State], node: Node, deployed: Deployed) -> None:
    state = remote()
    block = node.ask("eth_getBlockByHash", deployed.block_hash, NO_BODY)
    assert state.block["number"] == deployed.block
    assert state.block["timestamp"] == int(block["timestamp"], 16)
    assert state.block["base_fee_per_gas"] == int(block["baseFeePerGas"], 16)
    assert (state.identity.chain_id, state.identity.block) == (CHAIN_ID, deployed.block)
    assert state.identity.root.hex() == block["stateRoot"][2:]
    assert state.fork == "Prague"


@pytest.mark.parametrize("verify", ["auto", "never"])
def test_reads_ancestors(
    remote: Callable[..., solder.State], proxy: Proxy, node: Node, deployed: Deployed, verify: str
) -> None:
    state = remote(verify=verify)
    asked = "0x" + "11" * 20
    state = state.set_code(asked, BLOCK_HASH_CODE)
    before = proxy.requests
    for number in (deployed.block - 1, deployed.block - 9, deployed.block - 4, 3):
        expected = node.ask("eth_getBlockByNumber", hex(number), NO_BODY)["hash"]
        assert "0x" + state.call(asked, "0x" + word(number)).output.hex() == expected, number
    assert state.call(asked, "0x" + word(deployed.block)).output == bytes(32)
    # The parent is in the pinned header; each of the others came with those between.
    assert proxy.requests - before <= 4


def test_reads_a_past_block_stays_what_it_was(
    remote: Callable[..., solder.State], node: Node, deployed: Deployed
) -> None:
    before = remote()
    first = before.call(*deployed.swap()).output
    node.send(*deployed.swap(10**22))
    assert remote().call(*deployed.swap()).output == first
    latest = remote(block="latest")
    assert latest.block["number"] > deployed.block
    assert latest.call(*deployed.swap()).output != first
    by_hash = remote(block=deployed.block_hash)
    assert by_hash.call(*deployed.swap()).output == first


def test_reads_overlays_do_not_touch_the_base(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    state = remote()
    token = deployed.tokens[5]
    question = call_data("balanceOf(address)", holder(3))
    own = int.from_bytes(state.call(token, question).output)
    assert own == amount(5, 3)
    overlays = [state.deal(holder(3), 7 + index, token=token) for index in range(20)]
    status = state.remote_status()
    assert status is not None
    before = proxy.requests
    for index, overlay in enumerate(overlays):
        assert int.from_bytes(overlay.call(token, question).output) == 7 + index
    assert int.from_bytes(state.call(token, question).output) == own
    assert proxy.requests == before
    with state.sandbox() as sandbox:
        assert sandbox.transact(token, call_data("transfer(address,uint256)", holder(4), 1), sender=holder(3)).ok
        assert int.from_bytes(sandbox.call(token, question).output) == own - 1
    assert int.from_bytes(state.call(token, question).output) == own


def test_reads_of_many_threads_are_asked_once(
    remote: Callable[..., solder.State], proxy: Proxy, deployed: Deployed
) -> None:
    proxy.latency = 0.05
    state = remote()
    token, question = deployed.tokens[0], call_data("balanceOf(address)", holder(2))
    answers: list[bytes] = []
    threads = [threading.Thread(target=lambda: answers.append(state.call(token, question).output)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {int.from_bytes(answer) for answer in answers} == {amount(0, 2)}
    assert len(answers) == 16
    proofs = [method for method in proxy.methods if method == "eth_getProof"]
    # The token, the caller and the coinbase (one account here), the slot: each once, whoever wanted it.
    assert len(proofs) <= 3, proxy.methods


def _child(state: solder.State, to: str, data: str, queue: Any) -> None:
    queue.put(state.call(to, data).output)


def test_reads_in_a_forked_process(remote: Callable[..., solder.State], deployed: Deployed) -> None:
    state = remote()
    state.call(deployed.tokens[0], call_data("balanceOf(address)", holder(2)))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    children = [
        context.Process(
            target=_child, args=(state, deployed.tokens[1], call_data("balanceOf(address)", holder(index)), queue)
        )
        for index in range(4)
    ]
    for child in children:
        child.start()
    found = {int.from_bytes(queue.get(timeout=20)) for _ in children}
    for child in children:
        child.join(20)
    assert found == {amount(1, index) for index in range(4)}
    assert int.from_bytes(state.call(deployed.tokens[1], call_data("balanceOf(address)", holder(9))).output) == amount(
        1, 9
    )


def test_reads_what_only_a_whole_state_has_is_a_fault(remote: Callable[..., solder.State]) -> None:
    state = remote()
    for ask in (lambda: len(state), state.accounts, state.to_bytes):
        with pytest.raises(solder.Fault):
            ask()
    with pytest.raises(solder.Fault) as unsupported:
        state.slots(DEVELOPER)
    assert unsupported.value.code == "Fault.REMOTE_UNSUPPORTED"


def test_reads_destroying_unknown_storage_is_a_fault(remote: Callable[..., solder.State], deployed: Deployed) -> None:
    destroy = "0x33ff"
    old = remote(fork="Shanghai").set_code(deployed.tokens[0], destroy)
    assert old.call(deployed.tokens[0]).ok  # nothing of it is kept, so that nobody asks what was there
    with pytest.raises(solder.Fault) as unsupported:
        old.transact(deployed.tokens[0])
    assert unsupported.value.code == "Fault.REMOTE_UNSUPPORTED"
    assert remote().set_code(deployed.tokens[0], destroy).transact(deployed.tokens[0]).ok


def test_reads_lists_bundles_and_estimates(remote: Callable[..., solder.State], node: Node, deployed: Deployed) -> None:
    state = remote()
    move = call_data("transfer(address,uint256)", holder(1), 5)
    token = deployed.tokens[4]
    estimate = state.estimate_gas(token, move, sender=holder(0))
    assert abs(estimate - int(node.ask("eth_estimateGas", {"from": holder(0), "to": token, "data": move}), 16)) < 1000
    listed, _ = state.access_list(token, move, sender=holder(0))
    assert [owner.hex() for owner, _ in listed] == [token[2:].lower()]
    txs = [{"to": token, "data": move, "sender": holder(index)} for index in (0, 2)]
    bundle = state.bundle(txs)
    gained = int.from_bytes(bundle.state.call(token, call_data("balanceOf(address)", holder(1))).output)
    assert gained == amount(4, 1) + 10
    rich = state.edit({holder(0): {"balance": 10**18}, holder(2): {"balance": 10**18}})
    result, after = rich.execute(txs, workers=2)
    assert [receipt.success for receipt in result.receipts] == [True, True]
    assert int.from_bytes(after.call(token, call_data("balanceOf(address)", holder(1))).output) == amount(4, 1) + 10
