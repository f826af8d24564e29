"""Signatures that most of mainnet calls, and the precompiled contracts: names where no ABI was given.

Different signatures may share a selector: a name from here is what is most likely meant.
"""

__all__ = ["PRECOMPILES", "SIGNATURES"]

_TEXT = """
function transfer(address to, uint256 amount) returns (bool)
function transferFrom(address from, address to, uint256 amount) returns (bool)
function approve(address spender, uint256 amount) returns (bool)
function balanceOf(address owner) view returns (uint256)
function allowance(address owner, address spender) view returns (uint256)
function totalSupply() view returns (uint256)
function decimals() view returns (uint8)
function name() view returns (string)
function symbol() view returns (string)
function deposit() payable
function withdraw(uint256 amount)
function mint(address to, uint256 amount)
function burn(uint256 amount)
function owner() view returns (address)
function ownerOf(uint256 tokenId) view returns (address)
function setApprovalForAll(address operator, bool approved)
function isApprovedForAll(address owner, address operator) view returns (bool)
function safeTransferFrom(address from, address to, uint256 tokenId)
function safeTransferFrom(address from, address to, uint256 id, uint256 amount, bytes data)
function supportsInterface(bytes4 interfaceId) view returns (bool)
function token0() view returns (address)
function token1() view returns (address)
function getReserves() view returns (uint112 reserve0, uint112 reserve1, uint32 blockTimestampLast)
function swap(uint256 amount0Out, uint256 amount1Out, address to, bytes data)
function swap(address recipient, bool zeroForOne, int256 amountSpecified, uint160 sqrtPriceLimitX96,
    bytes data) returns (int256 amount0, int256 amount1)
function uniswapV3SwapCallback(int256 amount0Delta, int256 amount1Delta, bytes data)
function slot0() view returns (uint160 sqrtPriceX96, int24 tick, uint16 observationIndex,
    uint16 observationCardinality, uint16 observationCardinalityNext, uint8 feeProtocol, bool unlocked)
function skim(address to)
function sync()
function multicall(bytes[] data) payable returns (bytes[] results)
function multicall(uint256 deadline, bytes[] data) payable returns (bytes[] results)
function execute(bytes commands, bytes[] inputs, uint256 deadline) payable
function swapExactETHForTokens(uint256 amountOutMin, address[] path, address to,
    uint256 deadline) payable returns (uint256[] amounts)
function swapExactTokensForETH(uint256 amountIn, uint256 amountOutMin, address[] path, address to,
    uint256 deadline) returns (uint256[] amounts)
function swapExactTokensForTokens(uint256 amountIn, uint256 amountOutMin, address[] path, address to,
    uint256 deadline) returns (uint256[] amounts)
function swapETHForExactTokens(uint256 amountOut, address[] path, address to,
    uint256 deadline) payable returns (uint256[] amounts)
function swapExactETHForTokensSupportingFeeOnTransferTokens(uint256 amountOutMin, address[] path, address to,
    uint256 deadline) payable
function swapExactTokensForETHSupportingFeeOnTransferTokens(uint256 amountIn, uint256 amountOutMin,
    address[] path, address to, uint256 deadline)
function latestAnswer() view returns (int256)
function latestRoundData() view returns (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt,
    uint80 answeredInRound)
function owner(bytes32 node) view returns (address)
function setContenthash(bytes32 node, bytes hash)
event Transfer(address indexed from, address indexed to, uint256 amount)
event Approval(address indexed owner, address indexed spender, uint256 amount)
event Deposit(address indexed to, uint256 amount)
event Withdrawal(address indexed from, uint256 amount)
event Sync(uint112 reserve0, uint112 reserve1)
event Swap(address indexed sender, uint256 amount0In, uint256 amount1In, uint256 amount0Out,
    uint256 amount1Out, address indexed to)
"""

SIGNATURES = tuple(_TEXT.strip().replace("\n    ", " ").split("\n"))
"""Functions and events, as a person writes them; a line that is indented goes on with the one before."""

PRECOMPILES = {
    1: "ecrecover",
    2: "sha256",
    3: "ripemd160",
    4: "identity",
    5: "modexp",
    6: "bn254 add",
    7: "bn254 mul",
    8: "bn254 pairing",
    9: "blake2f",
    10: "point evaluation",
    11: "bls12-381 g1 add",
    12: "bls12-381 g1 msm",
    13: "bls12-381 g2 add",
    14: "bls12-381 g2 msm",
    15: "bls12-381 pairing",
    16: "bls12-381 map fp",
    17: "bls12-381 map fp2",
    256: "p256 verify",
}
"""Precompiled contracts by address."""
