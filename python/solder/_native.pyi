"""The native module (``crates/python``). Private: import from ``solder``; mypy's stubtest holds this file to it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from os import PathLike
from typing import Any, Literal, NotRequired, Self, TypedDict, final, type_check_only

from numpy.typing import NDArray
from typing_extensions import disjoint_base

__all__ = [
    "MAX_WORKERS",
    "Account",
    "AccountChange",
    "Artefact",
    "Block",
    "BlockLoader",
    "BlockResult",
    "BundleResult",
    "CallResult",
    "Calls",
    "Chain",
    "ChangeSet",
    "Column",
    "ConformanceRun",
    "Header",
    "Log",
    "Receipt",
    "Schedule",
    "State",
    "Table",
    "Transaction",
    "__version__",
    "ai_kernels",
    "error_codes",
    "execute_block",
    "function_selector",
    "integer_product",
    "profile_block",
    "profile_case",
    "provoke_panic",
    "replay_block",
    "save_schedules",
    "t8n",
    "time_products",
    "versions",
]

MAX_WORKERS: int
__version__: str

@type_check_only
class CaseDict(TypedDict):
    name: str
    fork: str
    passed: bool | None
    error: str | None
    file: str
    seconds: float
    trace: str | None

@type_check_only
class ReplayDict(TypedDict):
    block: int
    fork: str
    transactions: int
    gas_used: int
    gas_used_ok: bool
    receipts_root_ok: bool | None
    logs_bloom_ok: bool
    state_digest: str
    serial_seconds: float
    serial_cpu_seconds: float
    error: str | None

@type_check_only
class ParallelDict(TypedDict):
    workers: int
    workers_used: int
    clamp_reason: str | None
    parallel_equals_serial: bool
    parallel_seconds: float | None
    parallel_cpu_seconds: float | None
    executions: int
    conflicts: int
    serial_fallbacks: int

@type_check_only
class CountersDict(TypedDict):
    transactions: int
    executions: int
    conflicts: int
    late_conflicts: int
    parked: int
    published: int
    workers: int
    workers_used: int
    clamp: Literal["small", "few_transactions", "traced"] | None

@type_check_only
class HotDict(TypedDict):
    address: str
    contract: str | None
    field: Literal["balance", "nonce", "code", "existence", "slot"]
    slot: str | None
    meaning: str | None
    aborts: int
    dependencies: int

@type_check_only
class SummaryDict(TypedDict):
    workers: int
    utilisation: float | None
    critical_path_seconds: float
    limit: dict[str, float | None]
    predicted_speedup: dict[str, float | None]
    measured_speedup: float | None
    hottest: list[HotDict]

@type_check_only
class ScheduledBlockDict(TypedDict):
    number: int
    transactions: int
    gas_used: int
    workers: int
    executions: int
    conflicts: int
    serial_seconds: float | None
    parallel_seconds: float | None

@type_check_only
class BlobScheduleDict(TypedDict):
    target: int
    max: int
    base_fee_update_fraction: int

@type_check_only
class AccountDict(TypedDict, total=False):
    nonce: int
    balance: int
    code: bytes
    storage: dict[int, int]

@type_check_only
class CodingDict(TypedDict):
    kind: Literal["index", "fixed", "float32_order"]
    multiplier: NotRequired[int]
    shift: NotRequired[int]

@type_check_only
class ValueDict(TypedDict):
    name: str
    bits: int
    shape: list[int | str]
    minimum: int
    maximum: int

@type_check_only
class PortDict(ValueDict):
    coding: CodingDict

@type_check_only
class NodeCostDict(TypedDict):
    name: str
    operator: str
    macs: int
    bytes: int

@type_check_only
class CostDict(TypedDict):
    macs: int
    bytes: int
    memory_bytes: int
    nodes: list[NodeCostDict]

@type_check_only
class NodeTimeDict(TypedDict):
    node: int
    name: str
    operator: str
    nodes: list[int]
    nanoseconds: int

@final
class Artefact:
    @staticmethod
    def load(source: bytes | str | PathLike[str], *, expected: bytes | None = None) -> Artefact: ...
    @property
    def identity(self) -> bytes: ...
    @property
    def graph(self) -> str: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def parameters(self) -> int: ...
    @property
    def inputs(self) -> list[PortDict]: ...
    @property
    def outputs(self) -> list[PortDict]: ...
    def values(self) -> list[ValueDict]: ...
    def tensor(self, name: str) -> NDArray[Any]: ...
    def cost(
        self, batch: int = 1, sequence: int | None = None, *, threads: int = 1, kernel: str | None = None
    ) -> CostDict: ...
    def run(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        kernel: str | None = None,
        threads: int = 1,
        memory_limit: int | None = None,
    ) -> dict[str, NDArray[Any]]: ...
    def profile(
        self,
        inputs: Mapping[str, NDArray[Any]],
        *,
        kernel: str | None = None,
        threads: int = 1,
        memory_limit: int | None = None,
    ) -> tuple[dict[str, NDArray[Any]], list[NodeTimeDict]]: ...

@final
class Chain:
    def __new__(
        cls,
        id: int,
        schedule: Sequence[tuple[str, Literal["block", "timestamp", "total_difficulty"], int]],
        *,
        blob_schedule: dict[str, BlobScheduleDict] | None = None,
        deposit_contract: bytes | None = None,
    ) -> Self: ...
    @staticmethod
    def mainnet() -> Chain: ...
    @staticmethod
    def from_name(network: str) -> Chain: ...
    @staticmethod
    def from_id(chain_id: int) -> Chain: ...
    @property
    def chain_id(self) -> int: ...
    def fork_at(self, number: int, timestamp: int, parent_total_difficulty: int = 0) -> str: ...

@final
class Header:
    @property
    def hash(self) -> bytes: ...
    @property
    def parent_hash(self) -> bytes: ...
    @property
    def ommers_hash(self) -> bytes: ...
    @property
    def beneficiary(self) -> bytes: ...
    @property
    def state_root(self) -> bytes: ...
    @property
    def transactions_root(self) -> bytes: ...
    @property
    def receipts_root(self) -> bytes: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def difficulty(self) -> int: ...
    @property
    def number(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def extra_data(self) -> bytes: ...
    @property
    def mix_hash(self) -> bytes: ...
    @property
    def nonce(self) -> bytes: ...
    @property
    def base_fee_per_gas(self) -> int | None: ...
    @property
    def withdrawals_root(self) -> bytes | None: ...
    @property
    def blob_gas_used(self) -> int | None: ...
    @property
    def excess_blob_gas(self) -> int | None: ...
    @property
    def parent_beacon_block_root(self) -> bytes | None: ...
    @property
    def requests_hash(self) -> bytes | None: ...
    @property
    def block_access_list_hash(self) -> bytes | None: ...
    @property
    def slot_number(self) -> int | None: ...

@final
class Transaction:
    @staticmethod
    def decode(raw: bytes) -> Transaction: ...
    def encode(self) -> bytes: ...
    @property
    def type(self) -> int: ...
    @property
    def hash(self) -> bytes: ...
    @property
    def sender(self) -> bytes: ...
    @property
    def nonce(self) -> int: ...
    @property
    def gas_limit(self) -> int: ...
    @property
    def gas_price(self) -> int: ...
    @property
    def max_priority_fee_per_gas(self) -> int | None: ...
    @property
    def to(self) -> bytes | None: ...
    @property
    def value(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def chain_id(self) -> int | None: ...
    @property
    def access_list(self) -> list[tuple[bytes, list[bytes]]]: ...
    @property
    def blob_versioned_hashes(self) -> list[bytes]: ...
    @property
    def max_fee_per_blob_gas(self) -> int: ...
    @property
    def authorization_count(self) -> int: ...

@final
class Block:
    @staticmethod
    def decode_rlp(raw: bytes, chain: Chain, parent_total_difficulty: int = 0) -> Block: ...
    def with_chain(self, chain: Chain, parent_total_difficulty: int = 0) -> Block: ...
    @property
    def header(self) -> Header: ...
    @property
    def transactions(self) -> list[Transaction]: ...
    @property
    def ommers(self) -> list[Header]: ...
    @property
    def withdrawals(self) -> list[tuple[int, int, bytes, int]] | None: ...
    @property
    def fork(self) -> str: ...
    @property
    def number(self) -> int: ...

@final
class Account:
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    @property
    def nonce(self) -> int: ...
    @property
    def balance(self) -> int: ...
    @property
    def code_hash(self) -> bytes: ...
    @property
    def code(self) -> bytes | None: ...

@disjoint_base
class State:
    def __new__(
        cls,
        accounts: Mapping[Any, Any] | State | None = None,
        block_hashes: dict[int, bytes] | None = None,
        *,
        chain: Chain | None = None,
        fork: str | None = None,
        block: dict[str, Any] | None = None,
    ) -> Self: ...
    def __len__(self) -> int: ...
    def __contains__(self, owner: bytes | str, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, tuple[bytes]]: ...
    @property
    def chain(self) -> Chain: ...
    @property
    def fork(self) -> str: ...
    @property
    def block(self) -> dict[str, Any]: ...
    @property
    def sender(self) -> bytes: ...
    @property
    def depth(self) -> int: ...
    def account(self, owner: bytes | str) -> Account | None: ...
    def storage(self, owner: bytes | str, slot: int) -> int: ...
    def slots(self, owner: bytes | str) -> dict[int, int]: ...
    def accounts(self) -> list[bytes]: ...
    def root(self) -> bytes: ...
    def with_block(self, block: dict[str, Any]) -> Self: ...
    def with_sender(self, sender: bytes | str) -> Self: ...
    def set_balance(self, owner: bytes | str, balance: int) -> Self: ...
    def set_nonce(self, owner: bytes | str, nonce: int) -> Self: ...
    def set_code(self, owner: bytes | str, code: bytes | str) -> Self: ...
    def set_storage(self, owner: bytes | str, slot: int, value: int) -> Self: ...
    def edit(self, overrides: dict[Any, Any]) -> Self: ...
    def apply(self, changes: ChangeSet) -> Self: ...
    def diff(self, other: State) -> ChangeSet: ...
    def to_bytes(self) -> bytes: ...
    @classmethod
    def from_bytes(cls, raw: bytes) -> Self: ...
    def at_block(self, block: Block) -> Self: ...
    def after_transactions(self, block: Block, count: int) -> Self: ...
    def deal_token(
        self, token: bytes | str, owner: bytes | str, amount: int, *, adjust_supply: bool = False
    ) -> Self: ...
    def call(
        self,
        to: bytes | str | None = None,
        data: bytes | str | None = None,
        *,
        sender: bytes | str | None = None,
        value: int | None = None,
        gas_limit: int | None = None,
        gas_price: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        nonce: int | None = None,
        access_list: Sequence[tuple[bytes | str, Sequence[int | bytes | str]]] | None = None,
        block: dict[str, Any] | None = None,
        overrides: dict[Any, Any] | None = None,
    ) -> CallResult: ...
    def transact(
        self,
        to: bytes | str | None = None,
        data: bytes | str | None = None,
        *,
        sender: bytes | str | None = None,
        value: int | None = None,
        gas_limit: int | None = None,
        gas_price: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        nonce: int | None = None,
        access_list: Sequence[tuple[bytes | str, Sequence[int | bytes | str]]] | None = None,
        block: dict[str, Any] | None = None,
        overrides: dict[Any, Any] | None = None,
    ) -> CallResult: ...
    def transact_signed(self, tx: Transaction) -> CallResult: ...
    def search_gas(
        self,
        to: bytes | str | None = None,
        data: bytes | str | None = None,
        *,
        sender: bytes | str | None = None,
        value: int | None = None,
        gas_limit: int | None = None,
        gas_price: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        nonce: int | None = None,
        access_list: Sequence[tuple[bytes | str, Sequence[int | bytes | str]]] | None = None,
        block: dict[str, Any] | None = None,
        overrides: dict[Any, Any] | None = None,
        error_ratio: float = 0.015,
    ) -> tuple[int | None, CallResult | None]: ...
    def access_list(
        self,
        to: bytes | str | None = None,
        data: bytes | str | None = None,
        *,
        sender: bytes | str | None = None,
        value: int | None = None,
        gas_limit: int | None = None,
        gas_price: int | None = None,
        max_priority_fee_per_gas: int | None = None,
        nonce: int | None = None,
        block: dict[str, Any] | None = None,
        overrides: dict[Any, Any] | None = None,
    ) -> tuple[list[tuple[bytes, list[bytes]]], CallResult]: ...
    def bundle(self, txs: Sequence[Transaction | Mapping[str, Any]], *, atomic: bool = False) -> BundleResult: ...
    def run_list(
        self,
        txs: Sequence[Transaction | Mapping[str, Any]],
        policy: Literal["reject", "skip"],
        *,
        workers: int,
        block: dict[str, Any] | None = None,
        forced: bool = False,
    ) -> tuple[BlockResult, Self]: ...
    def simulate_columns(
        self,
        calls: Calls,
        *,
        workers: int,
        logs: bool = False,
        diffs: bool = False,
        output: bool = True,
        progress: Callable[[int, int], object] | None = None,
    ) -> tuple[Table, Table | None, Table | None]: ...

@final
class CallResult:
    @property
    def status(self) -> Literal["success", "revert", "halt", "rejected"]: ...
    @property
    def ok(self) -> bool: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def gas_refunded(self) -> int: ...
    @property
    def output(self) -> bytes: ...
    @property
    def logs(self) -> list[Log]: ...
    @property
    def created(self) -> bytes | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def panic(self) -> int | None: ...
    @property
    def changes(self) -> ChangeSet | None: ...
    @property
    def state(self) -> Any: ...
    @property
    def coinbase_payment(self) -> int | None: ...
    @property
    def coinbase_fees(self) -> int | None: ...

@final
class BundleResult:
    def __len__(self) -> int: ...
    @property
    def results(self) -> list[CallResult]: ...
    @property
    def ok(self) -> bool: ...
    @property
    def coinbase_payment(self) -> int: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def changes(self) -> ChangeSet: ...
    @property
    def state(self) -> Any: ...

@final
class Calls:
    def __new__(
        cls,
        to: Any = None,
        data: Any = None,
        *,
        sender: Any = None,
        value: Any = None,
        gas_limit: Any = None,
        gas_price: Any = None,
        access_lists: Any = None,
        fields: dict[int, Any] | None = None,
    ) -> Self: ...
    @staticmethod
    def from_list(calls: Sequence[Mapping[str, Any]]) -> Calls: ...
    def __len__(self) -> int: ...

@final
class Column:
    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> str: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...
    def to_list(self) -> list[Any]: ...
    def __arrow_c_schema__(self) -> Any: ...
    def __arrow_c_array__(self, requested_schema: object = None) -> tuple[Any, Any]: ...

@final
class Table:
    @property
    def names(self) -> list[str]: ...
    def __len__(self) -> int: ...
    def column(self, name: str) -> Column: ...
    def output_integers(self, word: int = 0, *, signed: bool = False) -> list[int | None]: ...
    def output_floats(self, word: int = 0, *, scale: float = 1.0, signed: bool = False) -> Column: ...
    def __arrow_c_stream__(self, requested_schema: object = None) -> Any: ...

@final
class AccountChange:
    @property
    def address(self) -> bytes: ...
    @property
    def before(self) -> Account | None: ...
    @property
    def after(self) -> Account | None: ...
    @property
    def storage(self) -> dict[int, tuple[int, int]]: ...
    @property
    def reset(self) -> bool: ...
    @property
    def changed(self) -> bool: ...

@final
class ChangeSet:
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> AccountChange: ...
    def __iter__(self) -> Iterator[AccountChange]: ...
    def get(self, account: bytes) -> AccountChange | None: ...
    def digest(self) -> bytes: ...
    def invert(self) -> ChangeSet: ...

@final
class Log:
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...
    @property
    def address(self) -> bytes: ...
    @property
    def topics(self) -> list[bytes]: ...
    @property
    def data(self) -> bytes: ...

@final
class Receipt:
    def encode(self) -> bytes: ...
    @property
    def type(self) -> int: ...
    @property
    def success(self) -> bool: ...
    @property
    def state_root(self) -> bytes | None: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def cumulative_gas_used(self) -> int: ...
    @property
    def logs(self) -> list[Log]: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def contract_address(self) -> bytes | None: ...
    @property
    def output(self) -> bytes: ...

@final
class BlockResult:
    @property
    def receipts(self) -> list[Receipt]: ...
    @property
    def gas_used(self) -> int: ...
    @property
    def blob_gas_used(self) -> int: ...
    @property
    def receipts_root(self) -> bytes: ...
    @property
    def logs_bloom(self) -> bytes: ...
    @property
    def requests(self) -> list[bytes] | None: ...
    @property
    def requests_hash(self) -> bytes | None: ...
    @property
    def changes(self) -> ChangeSet: ...
    @property
    def skipped(self) -> list[tuple[int, str, str]]: ...
    @property
    def state_digest(self) -> bytes: ...
    @property
    def block_access_list_hash(self) -> bytes | None: ...
    @property
    def counters(self) -> CountersDict | None: ...
    @property
    def schedule(self) -> Schedule | None: ...

@final
class Schedule:
    @staticmethod
    def load(path: str) -> Schedule: ...
    def save(self, path: str | PathLike[str]) -> None: ...
    def summary(self, min_gas: int = 0, min_transactions: int = 0) -> SummaryDict: ...
    def svg(self, block: int | None = None) -> str: ...
    def _repr_svg_(self) -> str | None: ...
    @property
    def blocks(self) -> list[ScheduledBlockDict]: ...
    def __len__(self) -> int: ...

@final
class ConformanceRun:
    def __new__(
        cls,
        kind: Literal["state", "block", "rlp", "trie", "transaction"],
        paths: list[str],
        *,
        fork: str | None,
        filter: str | None,
        threads: int,
        trace: bool,
        cases: AbstractSet[str] | None = None,
        workers: int | None = None,
        forced: bool = False,
        seeds: Sequence[int] | None = None,
    ) -> Self: ...
    def __iter__(self) -> Self: ...
    def __next__(self) -> CaseDict: ...
    @property
    def files_done(self) -> int: ...
    @property
    def files_total(self) -> int: ...
    @property
    def files_foreign(self) -> int: ...
    @property
    def cases_done(self) -> int: ...
    @property
    def transactions(self) -> int: ...
    @property
    def executions(self) -> int: ...

@final
class BlockLoader:
    def __new__(cls) -> Self: ...
    def find(self, path: str) -> list[str]: ...
    def load(self, path: str) -> tuple[Block, State]: ...

def execute_block(
    block: Block,
    state: State,
    policy: Literal["reject", "skip"] = "reject",
    *,
    workers: int = 1,
    schedule: bool = False,
    forced: bool = False,
    mislead: bool = False,
    seed: int | None = None,
) -> BlockResult: ...
def replay_block(
    block: Block,
    state: State,
    repeat: int,
    *,
    workers: int | None = None,
    schedule: bool = False,
    forced: bool = False,
    mislead: bool = False,
    seed: int | None = None,
) -> tuple[ReplayDict, ParallelDict | None, Schedule | None]: ...
def ai_kernels() -> list[str]: ...
def integer_product(a: NDArray[Any], b: NDArray[Any], *, kernel: str | None = None) -> NDArray[Any]: ...
def time_products(
    shapes: Sequence[tuple[int, int, int, int]], *, kernel: str | None = None, threads: int = 1, repeats: int = 3
) -> list[float]: ...
def function_selector(signature: str) -> bytes: ...
def profile_block(
    block: Block, state: State, *, repeat: int = 3, by_transaction: bool = False, tree: bool = False
) -> bytes: ...
def profile_case(path: str, content: bytes, *, repeat: int = 3, tree: bool = False) -> tuple[str, bytes]: ...
def t8n(alloc: bytes, env: bytes, txs: bytes, options: dict[str, Any]) -> dict[str, bytes]: ...
def save_schedules(path: str, schedules: Sequence[Schedule]) -> None: ...
def provoke_panic(text: str) -> None: ...
def error_codes() -> list[tuple[str, str]]: ...
def versions() -> dict[str, str]: ...
