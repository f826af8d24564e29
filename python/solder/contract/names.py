"""``Names``: what selectors, topics and reverts mean, over several interfaces, in words. For traces and profiles.

Nothing here raises on what a contract gave: what cannot be read is said to be malformed, what is not known is None.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from solder import _native
from solder.contract.abi import Abi, AbiSource
from solder.contract.addresses import address_bytes

__all__ = ["Names"]


class Names:
    """Names by several interfaces.

    ``abis`` are asked in their order; ``by_address`` (address: interface) are asked first for what concerns that one.
    """

    __slots__ = ("abis", "by_address")

    def __init__(
        self, abis: AbiSource | Iterable[Abi] | None = None, by_address: Mapping[Any, AbiSource] | None = None
    ) -> None:
        self.abis: tuple[Abi, ...] = _several(abis)
        self.by_address = {
            address_bytes(address): abi if isinstance(abi, Abi) else Abi(abi)
            for address, abi in (by_address or {}).items()
        }

    def function(self, data: bytes, address: bytes | str | None = None) -> str | None:
        """The signature of the function that call data, or a selector alone, begins with: ``burn(uint256)``."""
        for abi in self._asked(address):
            function = abi.function_at(data)
            if function is not None:
                return function.signature
        return None

    def call(self, data: bytes, address: bytes | str | None = None) -> str | None:
        """A call with its arguments: ``transfer(to: 0xAb.., amount: 5)``."""
        return _first(abi.call_text(data) for abi in self._asked(address))

    def output(self, data: bytes, output: bytes, address: bytes | str | None = None) -> str | None:
        """What the call with ``data`` returned: ``amount: 5``. Empty for a function without results."""
        return _first(abi.output_text(data, output) for abi in self._asked(address))

    def error(self, output: bytes, address: bytes | str | None = None) -> str | None:
        """What a revert says: ``TooLittle(left: 1)``, the text of ``Error(string)``, the meaning of ``Panic``.

        The selector of an error that no interface knows; None where nothing is said.
        """
        return _first(abi.error_text(output) for abi in self._asked(address)) or _native.revert_reason(output)

    def event(self, topics: Sequence[bytes], data: bytes, address: bytes | str | None = None) -> str | None:
        """A log: ``Transfer(from: 0xAb.., to: 0xCd.., value: 5)``."""
        return _first(abi.log_text(topics, data) for abi in self._asked(address))

    def _asked(self, address: bytes | str | None) -> Iterable[Abi]:
        own = None if address is None or not self.by_address else self.by_address.get(address_bytes(address))
        if own is not None:
            yield own
        yield from self.abis
        # An implementation behind a proxy is known by its own address.
        yield from (abi for abi in self.by_address.values() if abi is not own)

    def __bool__(self) -> bool:
        return bool(self.abis or self.by_address)

    def __repr__(self) -> str:
        return f"<Names of {len(self.abis)} interfaces and {len(self.by_address)} addresses>"


def _several(abis: AbiSource | Iterable[Abi] | None) -> tuple[Abi, ...]:
    if abis is None:
        return ()
    if isinstance(abis, Iterable) and not isinstance(abis, str | Mapping):
        listed: list[Any] = list(abis)
        if listed and all(isinstance(abi, _native.Abi) for abi in listed):
            return tuple(listed)
        return (Abi(listed),)
    return (Abi(abis),)


def _first(texts: Iterable[str | None]) -> str | None:
    """The first that reads well; otherwise the first that says that it does not."""
    broken = None
    for text in texts:
        if text is not None and "(malformed: " not in text:
            return text
        broken = broken or text
    return broken
