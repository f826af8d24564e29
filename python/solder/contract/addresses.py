"""Addresses as text with EIP-55's checksum, and back."""

from solder import _native
from solder.errors import InputError

__all__ = ["address_bytes", "checksummed"]

ADDRESS_BYTES = 20


def checksummed(address: bytes) -> str:
    """20 bytes as hex in mixed case."""
    return _native.checksum_address(address)


def address_bytes(address: object, field: str = "address") -> bytes:
    """20 bytes from bytes, hex (whose checksum is checked where it has one), or what has an ``address``."""
    if not isinstance(address, bytes | str):
        address = getattr(address, "address", address)
    if not isinstance(address, bytes | str):
        raise InputError(f"{type(address).__name__} is not bytes or hex", field=field)
    return _native.read_address(address, field)
