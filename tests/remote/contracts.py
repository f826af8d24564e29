"""Contracts on the node: twenty ERC-20 tokens with fifty holders each, and a Uniswap V3 pool with liquidity."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from solder import _native

if TYPE_CHECKING:
    from .node import Node

TOKENS = 20
NO_BODY = False
HOLDERS = 50
BALANCES_SLOT = 1
"""Where Uniswap V2's ERC20 keeps its mapping of balances."""
SUPPLY = 10**30
SQRT_PRICE_ONE = 1 << 96
TICK_BOUND = 887_220
"""The widest range of a pool with tick spacing 60."""


def selector(signature: str) -> str:
    return _native.function_selector(signature).hex()


def word(value: int | str) -> str:
    number = int(value, 16) if isinstance(value, str) else value
    return (number % (1 << 256)).to_bytes(32, "big").hex()


def call_data(signature: str, *values: int | str) -> str:
    return "0x" + selector(signature) + "".join(word(value) for value in values)


def holder(index: int) -> str:
    return "0x" + hashlib.sha256(f"holder {index}".encode()).hexdigest()[:40]


def _pusher(token0: str, token1: str) -> str:  # noqa: PLR0915 - an instruction a line
    """Code that pays for what it asks for.

    Called by a pool's call-back it sends the pool both amounts that are positive; called by anybody else it hands the
    call data after the first word on to the address in the first word, and returns or reverts with what that gives.
    """
    code = bytearray()
    labels: dict[str, int] = {}
    jumps: list[tuple[int, str]] = []

    def op(*parts: int | bytes) -> None:
        for part in parts:
            code.extend(part if isinstance(part, bytes) else bytes([part]))

    def push(value: int) -> None:
        raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
        op(0x5F + len(raw), raw)

    def jump_if(label: str) -> None:
        op(0x61)
        jumps.append((len(code), label))
        op(b"\0\0", 0x57)

    def here(label: str) -> None:
        labels[label] = len(code)
        op(0x5B)

    push(0)
    op(0x35)  # CALLDATALOAD
    push(0xE0)
    op(0x1C)  # SHR
    for signature in ("uniswapV3MintCallback(uint256,uint256,bytes)", "uniswapV3SwapCallback(int256,int256,bytes)"):
        op(0x80)  # DUP1
        push(int(selector(signature), 16))
        op(0x14)  # EQ
        jump_if("pay")
    # CALL(gas, first word, 0, memory, size - 32, 0, 0)
    push(32)
    op(0x36, 0x03, 0x80)  # size - 32, twice
    push(32)
    push(0)
    op(0x37)  # CALLDATACOPY(0, 32, size - 32)
    push(0)
    push(0)
    op(0x91)  # SWAP2: size below two zeros
    push(0)
    push(0)
    push(0)
    op(0x35, 0x5A, 0xF1)  # CALLDATALOAD(0), GAS, CALL
    op(0x3D)
    push(0)
    push(0)
    op(0x3E)  # RETURNDATACOPY
    jump_if("good")
    op(0x3D)
    push(0)
    op(0xFD)  # REVERT
    here("good")
    op(0x3D)
    push(0)
    op(0xF3)  # RETURN
    here("pay")
    for index, token in enumerate((token0, token1)):
        push(4 + 32 * index)
        op(0x35, 0x80)  # amount, twice
        push(0)
        op(0x12, 0x15)  # 0 SLT amount, ISZERO: nothing to pay
        jump_if(f"paid{index}")
        push(int(selector("transfer(address,uint256)"), 16) << 224)
        push(0)
        op(0x52, 0x33)  # MSTORE; CALLER
        push(4)
        op(0x52, 0x80)  # MSTORE; amount
        push(36)
        op(0x52)
        push(0)
        push(0)
        push(68)
        push(0)
        push(0)
        push(int(token, 16))
        op(0x5A, 0xF1, 0x50)
        here(f"paid{index}")
        op(0x50)
    op(0x00)
    for place, label in jumps:
        code[place : place + 2] = labels[label].to_bytes(2, "big")
    # PUSH2 size, DUP1, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 0, RETURN
    start = bytes.fromhex(f"61{len(code):04x}80600c6000396000f3")
    return "0x" + (start + bytes(code)).hex()


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is on the node, and the block at which all of it is."""

    tokens: tuple[str, ...]
    pool: str
    pusher: str
    block: int
    block_hash: str

    def swap(self, amount: int = 10**18) -> tuple[str, str]:
        """A swap of ``amount`` of the pool's first token for its second: whom to call, with what."""
        limit = 4295128740
        inner = call_data("swap(address,bool,int256,uint160,bytes)", self.pusher, 1, amount, limit, 5 * 32, 0)
        return self.pusher, "0x" + word(self.pool) + inner[2:]

    def balances(self) -> list[dict[str, Any]]:
        """A call of ``balanceOf`` for each holder of each token."""
        return [
            {"to": token, "data": call_data("balanceOf(address)", holder(index))}
            for token in self.tokens
            for index in range(HOLDERS)
        ]


def amount(token: int, index: int) -> int:
    """What a holder has of a token."""
    return 10**18 + token * 1000 + index


def deploy(node: Node) -> Deployed:
    """Put everything on a fresh node."""
    artefact = json.loads((node.packages / "@uniswap/v2-core/build/ERC20.json").read_text())
    code = artefact["bytecode"].removeprefix("0x")
    tokens = [node.deploy("0x" + code + word(SUPPLY)) for _ in range(TOKENS)]
    slots = node.ask_all([("web3_sha3", ["0x" + word(holder(i)) + word(BALANCES_SLOT)]) for i in range(HOLDERS)])
    node.ask_all(
        [
            ("anvil_setStorageAt", [token, slot, "0x" + word(amount(place, index))])
            for place, token in enumerate(tokens)
            for index, slot in enumerate(slots)
        ]
    )
    folder = node.packages / "@uniswap/v3-core/artifacts/contracts"
    factory_code = json.loads((folder / "UniswapV3Factory.sol/UniswapV3Factory.json").read_text())["bytecode"]
    factory = node.deploy(factory_code)
    token0, token1 = sorted(tokens[:2], key=str.lower)
    node.send(factory, call_data("createPool(address,address,uint24)", token0, token1, 3000))
    pair = call_data("getPool(address,address,uint24)", token0, token1, 3000)
    pool = "0x" + node.ask("eth_call", {"to": factory, "data": pair}, "latest")[-40:]
    node.send(pool, call_data("initialize(uint160)", SQRT_PRICE_ONE))
    pusher = node.deploy(_pusher(token0, token1))
    for token in (token0, token1):
        node.send(token, call_data("transfer(address,uint256)", pusher, 10**27))
    mint = call_data("mint(address,int24,int24,uint128,bytes)", pusher, -TICK_BOUND, TICK_BOUND, 10**24, 5 * 32, 0)
    node.send(pusher, "0x" + word(pool) + mint[2:])
    # The storage that was set by hand is in the state root of the block after it.
    node.ask("anvil_mine", "0x2")
    block = node.ask("eth_getBlockByNumber", "latest", NO_BODY)
    return Deployed(tuple(tokens), pool, pusher, int(block["number"], 16), block["hash"])
