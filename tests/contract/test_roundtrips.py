"""Encoding and decoding against eth-abi, the plain reference, on random types and values; and hostile data."""

import os
import random
from timeit import timeit
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from eth_abi.exceptions import DecodingError

import solder
from solder import _native

CASES = 400
SEED = int(os.environ.get("SOLDER_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)


def _kind(rng: random.Random, depth: int) -> str:
    choice = rng.randrange(12 if depth else 8)
    if choice == 0:
        return f"uint{rng.randrange(8, 257, 8)}"
    if choice == 1:
        return f"int{rng.randrange(8, 257, 8)}"
    if choice <= 5:
        return ("bool", "address", "bytes", "string")[choice - 2]
    if choice <= 7:
        return f"bytes{rng.randrange(1, 33)}"
    inner = _kind(rng, depth - 1)
    if choice == 8:
        return f"{inner}[]"
    if choice == 9:
        return f"{inner}[{rng.randrange(1, 4)}]"
    return f"({','.join([inner, *(_kind(rng, depth - 1) for _ in range(rng.randrange(3)))])})"


def _fields(inner: str) -> list[str]:
    """The types of a tuple, by the commas that are in no inner one."""
    found, depth, start = [], 0, 0
    for at, letter in enumerate(inner + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            found.append(inner[start:at])
            start = at + 1
    return found


def _value(rng: random.Random, kind: str) -> Any:
    if kind.endswith("]"):
        inner, count = kind[:-1].rsplit("[", 1)
        return tuple(_value(rng, inner) for _ in range(int(count) if count else rng.randrange(4)))
    if kind.startswith("("):
        return tuple(_value(rng, field) for field in _fields(kind[1:-1]))
    if kind.startswith("uint"):
        return rng.choice([0, 2 ** int(kind[4:]) - 1, rng.getrandbits(int(kind[4:]))])
    if kind.startswith("int"):
        top = 2 ** (int(kind[3:]) - 1)
        return rng.choice([-top, top - 1, -1, 0, rng.randrange(-top, top)])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "address":
        return "0x" + rng.randbytes(20).hex()
    if kind == "string":
        return "".join(rng.choice("a\0ßé\U0001f600 ") for _ in range(rng.randrange(40)))
    size = int(kind[5:]) if kind != "bytes" else rng.randrange(70)
    return rng.randbytes(size)


def _plain(value: Any) -> Any:
    """Lists as tuples and addresses in small letters, as eth-abi has them."""
    if isinstance(value, list | tuple):
        return tuple(map(_plain, value))
    if isinstance(value, str) and len(value) == 42 and value.startswith("0x"):
        return value.lower()
    return value


def test_roundtrips_equal_eth_abi() -> None:
    print(f"seed {SEED}")
    rng = random.Random(SEED)
    for case in range(CASES):
        kinds = [_kind(rng, 3) for _ in range(rng.randrange(1, 5))]
        values = tuple(_value(rng, kind) for kind in kinds)
        signature = f"f({','.join(kinds)})"
        function = solder.Abi([f"{signature} returns ({','.join(kinds)})"]).function("f")
        assert function.signature == signature, (SEED, case)
        expected = encode(kinds, values)
        encoded = function.encode(values)
        assert encoded == function.selector + expected, (SEED, case, kinds, values)
        assert _plain(function.decode_input(encoded)) == values, (SEED, case, kinds)
        output = function.decode_output(expected)
        assert _plain(output if len(kinds) > 1 else (output,)) == values, (SEED, case, kinds)
        assert _plain(decode(kinds, expected)) == values, (SEED, case, kinds)


def test_roundtrips_damaged_data_is_named_or_gives_what_eth_abi_gives() -> None:
    """Cut, flipped and overwritten data: an ``InputError`` naming the field, or a value that encodes again."""
    print(f"seed {SEED}")
    rng = random.Random(SEED + 1)
    refused = named = 0
    for case in range(CASES):
        kinds = [_kind(rng, 2) for _ in range(rng.randrange(1, 4))]
        function = solder.Abi([f"f() returns ({','.join(kinds)})"]).function("f")
        data = bytearray(encode(kinds, tuple(_value(rng, kind) for kind in kinds)))
        if not data:
            continue
        match rng.randrange(3):
            case 0:
                del data[rng.randrange(len(data)) :]
            case 1:
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            case _:
                word = rng.randrange(len(data) // 32) * 32
                data[word : word + 32] = rng.choice(
                    [b"\xff" * 32, (2**64 - 1).to_bytes(32, "big"), (2**63).to_bytes(32, "big"), b"\x80" + bytes(31)]
                )
        try:
            mine = function.decode_output(bytes(data))
        except solder.InputError as error:
            named += (error.field or "").startswith("f.outputs")
            refused += 1
            continue
        mine = _plain(mine if len(kinds) > 1 else (mine,))
        assert decode(kinds, encode(kinds, mine)) is not None, (SEED, case, kinds)
        try:
            theirs = _plain(decode(kinds, bytes(data)))
        except (DecodingError, UnicodeDecodeError, OverflowError):
            # It also refuses offsets that are not canonical and padding that is not zero, which Solidity takes.
            continue
        assert mine == theirs, (SEED, case, kinds, bytes(data).hex())
    assert refused == named > CASES // 10


def _word(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


@pytest.mark.parametrize(
    ("kinds", "data", "says"),
    [
        ("uint256 a", b"\x00" * 31, "f.outputs.a: the data ends after 31 bytes"),
        ("uint8 a", _word(256), "f.outputs.a: 0x0.*100 is no uint8"),
        ("int8 a", _word(128), "f.outputs.a"),
        ("bool a", _word(2), "is no bool"),
        ("address a", _word(2**160), "is no address"),
        ("bytes4 a", _word(1), "is no bytes4"),
        ("bytes a", _word(2**255), "f.outputs.a: offset .* is too large"),
        ("bytes a", _word(64), "f.outputs.a: offset 64 is outside of 32 bytes"),
        ("bytes a", _word(32, 2**64 - 1), "f.outputs.a: 18446744073709551615 bytes are not in the 0 that are left"),
        ("bytes a", _word(32, 2**256 - 1), "f.outputs.a: length .* is too large"),
        ("string a", _word(32, 1) + b"\xff" + bytes(31), "f.outputs.a: not UTF-8"),
        ("uint256[] a", _word(32, 2**59), "576460752303423488 elements of uint256 are not in the 0 bytes"),
        ("uint256[] a", _word(32, 2**64 - 1, 0), "are not in the 32 bytes that are left"),
        ("string[] a", _word(32, 2, 0, 64), r"f.outputs.a\[1\]"),
        ("(uint8 x, string y)[] a", _word(32, 1, 32, 300, 64, 0), r"f.outputs.a\[0\].x: .* is no uint8"),
        ("uint256[65536] a", b"", "nothing was returned"),
    ],
)
def test_roundtrips_malformed_data_is_named(kinds: str, data: bytes, says: str) -> None:
    function = solder.Abi([f"f() returns ({kinds})"]).function("f")
    with pytest.raises(solder.InputError, match=says):
        function.decode_output(data)


def test_roundtrips_few_bytes_do_not_unfold_to_many() -> None:
    """Arrays whose elements are all the same bytes: 10 levels of 16 would be 2**40 values."""
    levels = 10
    data = _word(32) + (_word(16) + _word(*[512] * 16)) * (levels - 1) + _word(16) + _word(*range(16))
    function = solder.Abi([f"f() returns (uint256{'[]' * levels})"]).function("f")
    with pytest.raises(solder.InputError, match="unfold"):
        function.decode_output(data)


def test_roundtrips_revert_reasons_without_an_interface() -> None:
    assert _native.revert_reason(b"") is None
    assert _native.revert_reason(b"abcd") == "custom error 0x61626364"


def test_roundtrips_take_a_fraction_of_eth_abis_time(capsys: pytest.CaptureFixture[str]) -> None:
    """Call data of a transfer and its result, alternating, minima: at least 5 times as fast as the plain reference."""
    function = solder.Abi(["transfer(address,uint256) returns (bool)"]).function("transfer")
    values, output = ("0x" + "bb" * 20, 10**18), _word(1)

    def ours() -> None:
        function.encode(values)
        function.decode_output(output)

    def theirs() -> None:
        encode(["address", "uint256"], values)
        decode(["bool"], output)

    mine, other = (
        min(column)
        for column in zip(*((timeit(ours, number=500), timeit(theirs, number=500)) for _ in range(7)), strict=True)
    )
    with capsys.disabled():
        print(f"\nencode and decode a transfer: {mine * 2000:.2f} us, eth-abi {other * 2000:.1f} us")
    assert mine * 5 < other
