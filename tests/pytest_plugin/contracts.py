"""Contracts for tests of the plugin, assembled: what they do is said beside each."""

from solder._native import function_selector

OWNER = b"\x0a" * 20


def text_revert(text: str) -> bytes:
    """Reverts with Error(text), of up to 32 bytes."""
    body = function_selector("Error(string)") + word(32) + word(len(text)) + text.encode().ljust(32, b"\0")
    return reverting(body)


def panicking(code: int) -> bytes:
    """Reverts with Panic(code)."""
    return reverting(function_selector("Panic(uint256)") + word(code))


def custom(signature: str, *values: int) -> bytes:
    """Reverts with a custom error of numbers."""
    return reverting(function_selector(signature) + b"".join(map(word, values)))


def word(number: int) -> bytes:
    return number.to_bytes(32, "big")


def reverting(output: bytes) -> bytes:
    """CODECOPY what stands behind the code, REVERT with it."""
    code = bytes.fromhex("61") + len(output).to_bytes(2, "big") + bytes.fromhex("80600c60003960 00fd".replace(" ", ""))
    assert len(code) == 12
    return code + output


# Adds its argument to slot 0 and returns the sum; reverts without a word on 13.
COUNTER = bytes.fromhex("60003580600d14601a57600054018060005560005260206000f35b60006000fd")
# Gives slot 0 back.
READER = bytes.fromhex("60005460005260206000f3")
# Jumps back without end.
LOOP = bytes.fromhex("5b600056")
INVALID = b"\xfe"
