"""A workload's accounts behind JSON-RPC, so that remote state is measured against the same state in memory."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import workload

import solder

_WORD = "0x" + "00" * 32


def remote(work: workload.Workload) -> solder.State:
    """The workload's state, read from a server of this process."""
    accounts = {address: _shown(fields) for address, fields in work.accounts.items()}
    block = {
        "hash": "0x" + "11" * 32,
        "logsBloom": "0x" + "00" * 256,
        "nonce": "0x" + "00" * 8,
        "miner": "0x" + "00" * 20,
        "extraData": "0x",
        **dict.fromkeys(
            ("parentHash", "sha3Uncles", "stateRoot", "transactionsRoot", "receiptsRoot", "mixHash"), _WORD
        ),
        **dict.fromkeys(("difficulty", "gasUsed", "baseFeePerGas", "blobGasUsed", "excessBlobGas"), "0x0"),
        "number": hex(work.state.block["number"]),
        "timestamp": hex(work.state.block["timestamp"]),
        "gasLimit": hex(work.state.block["gas_limit"]),
    }
    empty: dict[str, Any] = {"balance": "0x0", "nonce": "0x0", "code": "0x", "storage": {}}

    def answer(method: str, params: list[Any]) -> object:
        if method == "eth_chainId":
            return hex(work.state.chain.chain_id)
        if method.startswith("eth_getBlock"):
            return block
        account = accounts.get(bytes.fromhex(params[0][2:]), empty)
        if method == "eth_getStorageAt":
            return hex(account["storage"].get(int(params[1], 16), 0))
        return account[{"eth_getBalance": "balance", "eth_getTransactionCount": "nonce", "eth_getCode": "code"}[method]]

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            calls = asked if isinstance(asked, list) else [asked]
            replies = [{"id": call["id"], "result": answer(call["method"], call["params"])} for call in calls]
            body = json.dumps(replies if isinstance(asked, list) else replies[0]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 64  # more than a client opens at once

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    return solder.State.remote(url, fork=work.state.fork, verify="never", cache=False, batch=1000)


def _shown(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "balance": hex(fields.get("balance", 0)),
        "nonce": hex(fields.get("nonce", 0)),
        "code": "0x" + fields.get("code", b"").hex(),
        "storage": fields.get("storage", {}),
    }
