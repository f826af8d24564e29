"""A contract on a state: calls, transactions, events, errors, overloads."""

import pickle
from typing import Any

import pytest

import solder
from solder.contract import ContractResult, Names

ALICE, BOB = b"\xaa" * 20, b"\xbb" * 20
ALICE_TEXT = "0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa"


def _copied(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own bytes


def test_contract_deployment_binds_to_the_state_after(board: solder.Contract, board_abi: solder.Abi) -> None:
    assert (board.owner(), board.left()) == (ALICE_TEXT, 10)
    assert len(board.address) == 42
    sandbox = solder.State({ALICE: {"balance": 10**18}}).sandbox()
    bound = solder.Contract.deploy(board_abi, None, 3, "", state=sandbox, sender=ALICE, value=5)
    assert bound.state is sandbox
    account = sandbox.state.account(bound.address)
    assert account is not None
    assert account.balance == 5
    with pytest.raises(solder.Reverted, match="halt"):
        solder.Contract.deploy(board_abi, "0xfe", 3, "", state=sandbox, sender=ALICE)
    with pytest.raises(solder.InputError, match=r"constructor\(uint256,string\): 1 arguments, not 2"):
        solder.Contract.deploy(board_abi, None, 3, state=sandbox)
    with pytest.raises(solder.InputError, match="not hex"):
        solder.Contract.deploy(board_abi, "0xzz", 3, "", state=sandbox)


def test_contract_values_come_back_as_they_went(board: solder.Contract) -> None:
    pairs = [[1, 2], [3, 2**256 - 1]]
    assert board.echo(b"\x01\x02", pairs, b"abcd") == (b"\x01\x02", pairs, b"abcd")
    assert board.echo("0x0102", ((1, 2),), "0x61626364") == (b"\x01\x02", [[1, 2]], b"abcd")
    low = board.minmax([3, -(2**255), 2**255 - 1])
    assert low == (-(2**255), 2**255 - 1, 3)
    assert (low.low, low.high, low.count) == low
    assert board.scaled(5, negate=True, by=3) == -15
    assert board.scaled(number=5, by=3, negate=False) == 15
    with pytest.raises(solder.Reverted) as caught:
        board.minmax([])
    assert caught.value.reason == "no values"
    with pytest.raises(solder.Reverted, match="division or modulo by zero"):
        board.divide(1, 0)


def test_contract_structs_are_named_tuples(board: solder.Contract) -> None:
    sandbox = board.on(board.snapshot.sandbox())
    for point in ((-1, 2, "p"), {"x": -1, "y": 2, "label": "p"}, [-1, 2, "p"]):
        sandbox.place.transact(7, point, sender=ALICE)
    got = sandbox.get(7)
    assert (got, got.x, got.y, got.label) == ((-1, 2, "p"), -1, 2, "p")
    assert _copied(got) == got
    assert _copied(got).label == "p"
    assert board.get(7) == (0, 0, "")
    assert sandbox.left() == 7


def test_contract_transactions_leave_a_state_and_move_a_sandbox(board: solder.Contract) -> None:
    result = board.take.transact(4, sender=ALICE)
    assert isinstance(result, ContractResult)
    assert (result.ok, result.value, result.function.signature) == (True, None, "take(uint256)")
    assert (board.left(), board.on(result.state).left()) == (10, 6)
    sandbox = board.on(board.snapshot.sandbox())
    sandbox.take.transact(4, sender=ALICE)
    assert (sandbox.left(), board.left()) == (6, 10)
    assert board.take.estimate_gas(4, sender=ALICE) > 21_000
    listed, _ = board.take.access_list(4, sender=ALICE)
    assert [owner for owner, _ in listed] == [board.raw_address]
    assert board.left.call(overrides={board.address: {"storage_diff": {1: 99}}}).value == 99


def test_contract_events_are_decoded(board: solder.Contract) -> None:
    result = board.place.transact(7, (1, 2, "p"), sender=ALICE)
    placed, quiet = result.events
    assert (placed.name, placed.address, placed.log_index) == ("Placed", board.address, 0)
    assert (placed.args.by, placed.args.id, placed.args.point.label) == (ALICE_TEXT, 7, "p")
    assert (quiet.name, quiet.args, quiet.log_index) == ("Quiet", (7, 9), 1)
    assert board.events(result.logs) == [placed, quiet]
    named = board.name.call("hat", b"\x05")
    assert named.events[0].args.what == named.value  # what is indexed and longer than a word is its hash
    assert named.events[0].args.data == b"\x05"
    assert "Placed(by='0xaAa" in repr(placed)


def test_contract_names_that_python_cannot_have() -> None:
    function = solder.Abi(["f() returns (address from, uint8 _to, bool class, int8 to, int8 $x)"]).function("f")
    got = function.decode_output(bytes(160))
    assert got._fields == ("from_", "to", "class_", "_3", "_4")
    assert _copied(got)._fields == got._fields
    assert (got.from_, got.to, got.class_) == ("0x" + "00" * 20, 0, False)


def test_contract_custom_errors_are_decoded(board: solder.Contract) -> None:
    with pytest.raises(solder.Reverted) as caught:
        board.take(11)
    assert caught.value.reason == "TooLittle(left: 10, wanted: 11)"
    assert caught.value.error_name == "TooLittle"
    assert caught.value.error_arguments == {"left": 10, "wanted": 11}
    result = board.take.transact(1, BOB, check=False, sender=BOB)
    assert (result.ok, result.error) == (False, "NotOwner(who: 0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB)")
    with pytest.raises(solder.Reverted, match="NotOwner"):
        result.value  # noqa: B018
    with pytest.raises(solder.Reverted, match="TooLittle"):
        board.take.estimate_gas(11)
    # The same by `State.call`, where an interface is given.
    data = board["take(uint256)"].encode(11)
    plain = board.snapshot.call(board.address, data)
    assert plain.error == "custom error 0x" + board.abi.error("TooLittle").selector.hex()
    known = board.snapshot.call(board.address, data, abi=board.abi)
    assert known.error == "TooLittle(left: 10, wanted: 11)"
    assert board.abi.reason(plain.output) == known.error


def test_contract_overloads_are_chosen_by_the_arguments(board: solder.Contract) -> None:
    assert board.take.call(1, check=False).function.signature == "take(uint256)"
    assert board.take.call(1, BOB, check=False).function.signature == "take(uint256,address)"
    assert board.take.call(amount=1, to=BOB, check=False).function.signature == "take(uint256,address)"
    assert board.pick(5) == 6
    assert board.pick(ALICE) == ALICE_TEXT
    assert board["pick(uint256)"](5) == 6
    assert board.functions["pick(address)"](BOB) == "0x" + "bBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB"
    with pytest.raises(solder.InputError, match="no overload fits"):
        board.pick("five")
    with pytest.raises(solder.InputError, match="no overload fits"):
        board.take()
    with pytest.raises(solder.InputError, match="is overloaded"):
        board.abi.function("pick")
    with pytest.raises(solder.InputError, match="is overloaded"):
        board.pick.decode(bytes(32))
    twice = solder.Contract(["f(uint8 a)", "f(int8 a)"], BOB, solder.State())
    with pytest.raises(solder.InputError, match=r"several overloads fit.*f\(uint8\), f\(int8\)"):
        twice.f(1)
    with pytest.raises(AttributeError, match="there is no such function; there are divide, echo"):
        board.colour  # noqa: B018
    with pytest.raises(solder.InputError, match="there is no such function"):
        board["take(int256)"]


def test_contract_an_argument_with_the_name_of_a_field(board: solder.Contract) -> None:
    token = solder.Contract("approve(address sender, uint256 value)", BOB, solder.State({ALICE: {"balance": 9}}))
    assert token.approve.encode(ALICE, 5) == token.approve.encode(sender_=ALICE, value_=5)
    with pytest.raises(solder.InputError, match="0 arguments, not 2"):
        token.approve.encode(sender=ALICE, value=5)
    assert token.approve.call(ALICE, 5, sender=ALICE, value=9).ok
    # What a contract hides with names of its own.
    hidden = solder.Contract(["state() view returns (uint256)", "abi()"], BOB, solder.State())
    assert isinstance(hidden.state, solder.State)
    assert hidden.functions.state.encode() == hidden["state()"].encode()
    assert board.at(BOB).address != board.address


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        ("scaled", (2**127, True, 1), "number: 170141.* is not -2"),
        ("scaled", (-(2**127) - 1, True, 1), "number"),
        ("scaled", (1, 1, 1), "negate: int is not a bool"),
        ("scaled", (1, True, 256), r"by: 256 is not 0 to 2\*\*8 - 1"),
        ("scaled", (1, True, -1), "by: -1"),
        ("scaled", (1, True, 1.0), "by: float is not an int"),
        ("scaled", (1, True), "2 arguments, not 3"),
        ("scaled", (True, True, 1), "number: bool is not an int"),
        ("echo", (b"", [[1]], b"abcd"), r"pairs\[0\]: 1 values, not 2"),
        ("echo", (b"", [[1, -1]], b"abcd"), r"pairs\[0\]\[1\]: -1 is not"),
        ("echo", (b"", [[1, 2]], b"abc"), "tag: 3 bytes, not 4"),
        ("echo", ("01", [], b"abcd"), "data: hex begins with 0x"),
        ("echo", (5, [], b"abcd"), "data: int is not bytes or hex"),
        ("echo", (b"", "12", b"abcd"), "pairs: str is not a list"),
        ("echo", (b"", 12, b"abcd"), "pairs: int is not a list"),
        ("place", (1, (1, 2)), "point: 2 values, not 3"),
        ("place", (1, {"x": 1, "y": 2}), "point.label: is missing"),
        ("place", (1, {"x": 1, "y": 2, "label": "", "z": 1}), 'point: there is no field "z"'),
        ("place", (1, (1, 2, 3)), "point.label: int is not a str"),
        ("place", (1, (2**23, 2, "")), "point.x: 8388608 is not"),
        ("place", (1, "abc"), "point: str is not"),
        ("pick(address)", ("0xBBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",), "who: wrong checksum"),
        ("pick(address)", ("0x11",), "who: 1 bytes, not 20"),
        ("pick(address)", (5,), "who: int is not bytes or hex"),
    ],
)
def test_contract_bad_arguments_are_named(
    board: solder.Contract, function: str, arguments: tuple[Any, ...], says: str
) -> None:
    with pytest.raises(solder.InputError, match=says) as caught:
        board[function](*arguments)
    assert caught.value.field is not None
    assert caught.value.field.startswith(board[function].name)


def test_contract_an_address_without_code_is_told(board: solder.Contract) -> None:
    nobody = board.at(BOB)
    with pytest.raises(solder.InputError, match=r"left.outputs: nothing was returned: is there a contract"):
        nobody.left()
    assert "nothing was returned" in repr(nobody.left.call())


def test_contract_bad_places() -> None:
    state = solder.State()
    with pytest.raises(solder.InputError, match="wrong checksum"):
        solder.Contract("f()", "0xBBbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", state)
    with pytest.raises(solder.InputError, match="address: 3 bytes"):
        solder.Contract("f()", b"abc", state)
    with pytest.raises(solder.InputError, match="neither a State nor a Sandbox"):
        solder.Contract("f()", BOB, None)  # type: ignore[arg-type]
    assert solder.Contract("f()", "0x" + "bb" * 20, state).raw_address == BOB


def test_contract_a_copy_works(board: solder.Contract) -> None:
    copy = _copied(board)
    assert (copy.address, copy.left(), copy.abi) == (board.address, 10, board.abi)
    assert (repr(copy), hash(copy)) == (repr(board), hash(board))
    with pytest.raises(AttributeError):
        board.address = "0x"  # type: ignore[misc]
    assert {"take", "place", "on"} <= set(dir(board))
    assert "take" in board.functions
    assert "colour" not in board.functions
    assert next(iter(board.functions)) in repr(board.functions)


def test_contract_pages_escape_and_are_bounded(board: solder.Contract) -> None:
    assert board.address in board._repr_html_()
    assert "error" in board.abi._repr_html_()
    result = board.place.call(7, (1, 2, "<script>" + "x" * 10_000), sender=ALICE)
    page = result._repr_html_()
    assert "Placed" in page
    assert "<script>" not in page
    assert len(page) < 3000
    assert "TooLittle" in board.take.call(11, check=False)._repr_html_()
    assert repr(result).startswith("<ContractResult place(uint256,(int24,int24,string)) success")
    many = solder.Abi([f"f{number}()" for number in range(100)])
    assert "and 40 more" in many._repr_html_()


def test_contract_names_for_traces(board: solder.Contract) -> None:
    names = Names(board.abi, {BOB: ["take(uint256 amountOut)"]})
    data = board["take(uint256)"].encode(11)
    assert names.function(data[:4]) == "take(uint256)"
    assert names.call(data) == "take(amount: 11)"
    assert names.call(data, BOB) == names.call(data, "0x" + "bb" * 20) == "take(amountOut: 11)"
    assert names.output(board["pick(uint256)"].encode(1), (2).to_bytes(32, "big")) == "2"
    assert names.output(data, b"") == ""
    failed = board.take.call(11, check=False)
    assert names.error(failed.output) == "TooLittle(left: 10, wanted: 11)"
    assert names.error(bytes.fromhex("4e487b71") + (17).to_bytes(32, "big")) == (
        "Panic(0x11): arithmetic overflow or underflow"
    )
    assert names.error(b"\x01\x02\x03\x04") == "custom error 0x01020304"
    assert names.error(b"") is None
    log = board.place.call(7, (1, 2, "p"), sender=ALICE).logs[0]
    assert names.event(log.topics, log.data) == f'Placed(by: {ALICE_TEXT}, id: 7, point: (1, 2, "p"))'
    # Malformed is said, unknown is None, and nothing raises.
    assert "malformed" in (names.call(data[:20]) or "")
    assert "malformed" in (names.event(log.topics, b"") or "")
    assert "malformed" in (names.error(failed.output[:20]) or "")
    assert (names.call(b""), names.function(b"\x01"), names.event([], b""), names.event([bytes(32)], b"")) == (
        None,
    ) * 4
    assert not Names()
    assert Names([board.abi, solder.Abi("g()")]).function(solder.Abi("g()").function("g").selector) == "g()"
