"""Names of functions by the first four bytes of their input, for the few that most of mainnet calls.

The selector of a function is the start of the hash of its signature, so that different signatures may share one: a name
from here is what the function most likely is. A test recomputes every selector.
"""

from solder.trace.known import PRECOMPILES

__all__ = ["FUNCTIONS", "PRECOMPILES", "name_of", "selector_names"]

FUNCTIONS = {
    "0x01ffc9a7": "supportsInterface(bytes4)",
    "0x022c0d9f": "swap(uint256,uint256,address,bytes)",
    "0x04e45aaf": "exactInputSingle((address,address,uint24,address,uint256,uint256,uint160))",
    "0x06fdde03": "name()",
    "0x0902f1ac": "getReserves()",
    "0x095ea7b3": "approve(address,uint256)",
    "0x0dfe1681": "token0()",
    "0x128acb08": "swap(address,bool,int256,uint160,bytes)",
    "0x18160ddd": "totalSupply()",
    "0x18cbafe5": "swapExactTokensForETH(uint256,uint256,address[],address,uint256)",
    "0x23b872dd": "transferFrom(address,address,uint256)",
    "0x2e1a7d4d": "withdraw(uint256)",
    "0x304e6ade": "setContenthash(bytes32,bytes)",
    "0x313ce567": "decimals()",
    "0x3593564c": "execute(bytes,bytes[],uint256)",
    "0x3850c7bd": "slot0()",
    "0x38ed1739": "swapExactTokensForTokens(uint256,uint256,address[],address,uint256)",
    "0x40c10f19": "mint(address,uint256)",
    "0x414bf389": "exactInputSingle((address,address,uint24,address,uint256,uint256,uint256,uint160))",
    "0x42842e0e": "safeTransferFrom(address,address,uint256)",
    "0x42966c68": "burn(uint256)",
    "0x50d25bcd": "latestAnswer()",
    "0x5ae401dc": "multicall(uint256,bytes[])",
    "0x6352211e": "ownerOf(uint256)",
    "0x70a08231": "balanceOf(address)",
    "0x791ac947": "swapExactTokensForETHSupportingFeeOnTransferTokens(uint256,uint256,address[],address,uint256)",
    "0x7ff36ab5": "swapExactETHForTokens(uint256,address[],address,uint256)",
    "0x8da5cb5b": "owner()",
    "0x95d89b41": "symbol()",
    "0xa0712d68": "mint(uint256)",
    "0xa22cb465": "setApprovalForAll(address,bool)",
    "0xa9059cbb": "transfer(address,uint256)",
    "0xac9650d8": "multicall(bytes[])",
    "0xb6f9de95": "swapExactETHForTokensSupportingFeeOnTransferTokens(uint256,address[],address,uint256)",
    "0xbc25cf77": "skim(address)",
    "0xd0e30db0": "deposit()",
    "0xd21220a7": "token1()",
    "0xdd62ed3e": "allowance(address,address)",
    "0xe985e9c5": "isApprovedForAll(address,address)",
    "0xf242432a": "safeTransferFrom(address,address,uint256,uint256,bytes)",
    "0xfa461e33": "uniswapV3SwapCallback(int256,int256,bytes)",
    "0xfb3bdb41": "swapETHForExactTokens(uint256,address[],address,uint256)",
    "0xfeaf968c": "latestRoundData()",
    "0x02571be3": "owner(bytes32)",
    "0x8803dbee": "swapTokensForExactTokens(uint256,uint256,address[],address,uint256)",
}
"""Signatures by selector."""


def selector_names(abi: object) -> dict[str, str]:
    """Signatures by selector from a JSON ABI (a list, or an object with ``abi``): what is no function is left out."""
    from solder._native import function_selector

    entries = abi.get("abi", []) if isinstance(abi, dict) else abi
    names: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("type") == "function":
            signature = f"{entry['name']}({','.join(map(_type_of, entry.get('inputs', [])))})"
            names["0x" + function_selector(signature).hex()] = signature
    return names


def _type_of(parameter: dict[str, object]) -> str:
    kind = str(parameter["type"])
    components = parameter.get("components")
    if kind.startswith("tuple") and isinstance(components, list):
        return f"({','.join(map(_type_of, components))}){kind.removeprefix('tuple')}"
    return kind


def name_of(address: str, selector: str | None, kind: str, names: dict[str, str] | None = None) -> str:
    """How a function is shown: ``0x1234..5678 transfer(...)``."""
    if kind == "precompile":
        return PRECOMPILES.get(int(address, 16), f"precompile {int(address, 16)}")
    short = f"{address[:6]}..{address[-4:]}"
    if kind == "create":
        return f"init code by {short}"
    if selector is None:
        return short
    known = (names or {}).get(selector) or FUNCTIONS.get(selector, selector)
    return f"{short} {known}"
