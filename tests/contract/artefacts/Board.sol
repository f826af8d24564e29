// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.20;
contract Board {
    struct Point { int24 x; int24 y; string label; }
    error TooLittle(uint256 left, uint256 wanted);
    error NotOwner(address who);
    event Placed(address indexed by, uint256 indexed id, Point point);
    event Named(string indexed what, bytes data);
    event Quiet(uint256 indexed id, uint64 left) anonymous;
    address public owner;
    uint256 public left;
    mapping(uint256 => Point) private points;
    constructor(uint256 supply, string memory) payable { owner = msg.sender; left = supply; }
    function place(uint256 id, Point calldata point) external returns (uint256) {
        if (left == 0) revert TooLittle(left, 1);
        left -= 1;
        points[id] = point;
        emit Placed(msg.sender, id, point);
        emit Quiet(id, uint64(left));
        return left;
    }
    function get(uint256 id) external view returns (Point memory) { return points[id]; }
    function take(uint256 amount) external { if (amount > left) revert TooLittle(left, amount); left -= amount; }
    function take(uint256 amount, address to) external { if (msg.sender != owner) revert NotOwner(msg.sender); left -= amount; to; }
    function pick(address who) external pure returns (address) { return who; }
    function pick(uint256 number) external pure returns (uint256) { return number + 1; }
    function minmax(int256[] calldata values) external pure returns (int256 low, int256 high, uint64 count) {
        require(values.length > 0, "no values");
        low = values[0]; high = values[0]; count = uint64(values.length);
        for (uint256 i = 1; i < values.length; i++) { if (values[i] < low) low = values[i]; if (values[i] > high) high = values[i]; }
    }
    function name(string calldata what, bytes calldata data) external returns (bytes32) { emit Named(what, data); return keccak256(bytes(what)); }
    function scaled(int128 number, bool negate, uint8 by) external pure returns (int128 result) { result = (negate ? -number : number) * int128(uint128(by)); }
    function echo(bytes calldata data, uint256[2][] calldata pairs, bytes4 tag) external pure returns (bytes memory, uint256[2][] memory, bytes4) { return (data, pairs, tag); }
    function divide(uint256 a, uint256 b) external pure returns (uint256) { return a / b; }
    receive() external payable {}
}
