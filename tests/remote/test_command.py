"""`solder call --rpc` and `solder simulate --rpc`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from .contracts import Deployed, amount, call_data, holder

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .proxy import Proxy


@pytest.mark.parametrize("by", ["number", "hexadecimal", "hash"])
def test_command_call(solder_command: Callable[..., Any], proxy: Proxy, deployed: Deployed, by: str) -> None:
    block = {"number": deployed.block, "hexadecimal": hex(deployed.block), "hash": deployed.block_hash}[by]
    question = call_data("balanceOf(address)", holder(3))
    arguments = (
        "--rpc",
        proxy.url,
        "--block",
        block,
        "--fork",
        "Prague",
        "--to",
        deployed.tokens[2],
        "--data",
        question,
    )
    done = solder_command("call", *arguments, "--block", "timestamp=7", "--json")
    assert done.status == 0, done.err
    assert int(done.objects[0]["output"], 16) == amount(2, 3)


def test_command_simulate(solder_command: Callable[..., Any], proxy: Proxy, deployed: Deployed, tmp_path: Path) -> None:
    calls = tmp_path / "calls.json"
    calls.write_text(json.dumps(deployed.balances()[:20]))
    done = solder_command("simulate", "--rpc", proxy.url, "--fork", "Prague", calls, "--json")
    assert done.status == 0, done.err
    assert [int(row["output"], 16) for row in done.objects] == [amount(0, index) for index in range(20)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--rpc", "URL", "--to", "0x" + "11" * 20), "unknown chain id"),
        (("--rpc", "URL", "--fork", "Moon", "--to", "0x" + "11" * 20), "Moon"),
        (("--rpc", "URL", "--fork", "Prague", "--block", "5", "--block", "6"), "only one block"),
        (("--rpc", "URL", "--fork", "Prague", "--block", "newest"), "newest"),
        (("--rpc", "URL", "--fork", "Prague", "--after", "1"), "--after"),
        (("--rpc", "ftp://x"), "http"),
        (("--block", "5", "state.json"), "--rpc only"),
        (("--fork", "Prague", "state.json"), "--rpc only"),
        (("state.json", "--rpc", "URL"), "not both"),
        ((), "not both"),
    ],
)
def test_command_bad_input(
    solder_command: Callable[..., Any], proxy: Proxy, arguments: tuple[str, ...], said: str
) -> None:
    done = solder_command("call", *(proxy.url if text == "URL" else text for text in arguments))
    assert done.status == 2, done.out
    assert said in done.err
    assert "Traceback" not in done.err


def test_command_unreachable_is_a_fault(solder_command: Callable[..., Any], proxy: Proxy) -> None:
    from .proxy import Raw

    def refuse(*_: object) -> Any:
        raise Raw(403, b"no key")

    proxy.spoil = refuse
    done = solder_command("call", "--rpc", proxy.url, "--fork", "Prague", "--to", "0x" + "11" * 20)
    assert done.status == 3
    assert "the node failed: Fault.REMOTE_REFUSED" in done.err
    assert "of ours" not in done.err
