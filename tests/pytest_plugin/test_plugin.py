"""The plugin as a project sees it: pytest runs pytest, on real code."""

import json
from pathlib import Path
from typing import Any

import pytest

# Loaded before the inner runs: they forget what they load first, and classes would come twice.
import solder.pytest_plugin.failures
import solder.pytest_plugin.gas
import solder.pytest_plugin.sources  # noqa: F401

from .contracts import COUNTER, OWNER, text_revert

pytest_plugins = ["pytester"]

HEAD = f"""
import pytest, solder
THERE, FAILS, OWNER = b"\\xcc" * 20, b"\\xdd" * 20, {OWNER!r}
ACCOUNTS = {{
    THERE: {{"code": {COUNTER!r}}},
    FAILS: {{"code": {text_revert("not the owner")!r}}},
    OWNER: {{"balance": 10**18}},
}}
def word(number): return number.to_bytes(32, "big")
"""
MARKED = '@pytest.mark.evm(state=ACCOUNTS, fork="Cancun")\n'
FILE = ".gas-snapshot.json"


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project without a cache, whose tests run in this process."""
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    return pytester


def run(project: pytest.Pytester, *bodies: str, arguments: tuple[str, ...] = ()) -> pytest.RunResult:
    if bodies:
        project.makepyfile(test_it=HEAD + "\n".join(bodies))
    return project.runpytest_inprocess("-q", *arguments)


def stored(project: pytest.Pytester) -> Any:
    return json.loads((project.path / FILE).read_text())


def test_plugin_each_test_has_a_sandbox_of_its_own(project: pytest.Pytester) -> None:
    body = "def test_{0}(evm):\n    evm.transact(THERE, word(5))\n    assert evm.storage(THERE, 0) == 5\n"
    run(project, MARKED + body.format("a"), MARKED + body.format("b")).assert_outcomes(passed=2)


def test_plugin_markers_say_what_the_state_is(project: pytest.Pytester) -> None:
    saved = project.path / "saved.solder"
    import solder

    solder.State({OWNER: {"balance": 3}}, fork="London").save(saved)
    (project.path / "alloc.json").write_text(
        json.dumps({"alloc": {"0x" + OWNER.hex(): {"balance": "0x4"}}, "fork": "Paris"})
    )
    run(
        project,
        "def test_none(evm):\n    assert len(evm.state) == 0",
        '@pytest.mark.evm(fork="Berlin")\ndef test_fork(evm):\n    assert evm.state.fork == "Berlin"',
        '@pytest.mark.evm(state="saved.solder")\ndef test_saved(evm):\n'
        '    assert (evm.state.fork, evm.balance(OWNER)) == ("London", 3)',
        '@pytest.mark.evm(state="alloc.json", block={"number": 9})\ndef test_json(evm):\n'
        '    assert (evm.state.fork, evm.balance(OWNER), evm.state.block["number"]) == ("Paris", 4, 9)',
        "@pytest.mark.evm(state=solder.State({OWNER: {'balance': 5}}))\n"
        "def test_state(evm):\n    assert evm.balance(OWNER) == 5",
        '@pytest.mark.evm(state="saved.solder")\nclass TestIt:\n    @pytest.mark.evm(state={}, fork="Osaka")\n'
        '    def test_nearest(self, evm):\n        assert evm.state.fork == "Osaka"\n',
    ).assert_outcomes(passed=6)


def test_plugin_blocks_are_states(project: pytest.Pytester, sample_blocks: Path) -> None:
    folder = sample_blocks / "19933122"
    run(
        project,
        f"@pytest.mark.evm(state={str(folder)!r}, after=33)\ndef test_block(evm):\n"
        '    assert (evm.state.fork, evm.state.block["number"]) == ("Cancun", 19933122)\n'
        '    assert evm.account("0xfe0c760cbcb9da239b9ba805f0aeaed3be84f65a").nonce > 0',
    ).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('state="absent.json"', "absent.json: No such file"),
        ('fork="Moon"', "Moon"),
        ("colour=1", "evm.colour: no such field"),
        ("state=7", "evm.state: int is no state"),
        ('"saved"', "evm: takes fields by name"),
        ('state=solder.State(), fork="Cancun"', "evm.fork: a state has its fork already"),
        ("block=7", "evm.block: a dict of fields"),
        ('rpc="http://x", state={}', "evm.rpc: goes with block and fork only"),
    ],
)
def test_plugin_a_bad_marker_is_named(project: pytest.Pytester, marker: str, message: str) -> None:
    result = run(project, f"@pytest.mark.evm({marker})\ndef test_it(evm):\n    pass")
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()


def test_plugin_options_say_what_all_begin_with(project: pytest.Pytester) -> None:
    import solder

    solder.State({OWNER: {"balance": 3}}, fork="London").save(project.path / "base.solder")
    project.makeini("[pytest]\naddopts = -p no:cacheprovider\nevm_state = base.solder\nevm_fork = Berlin\n")
    run(
        project,
        'def test_option(evm):\n    assert (evm.state.fork, evm.balance(OWNER)) == ("London", 3)',
        '@pytest.mark.evm(fork="Osaka")\ndef test_marker(evm):\n'
        '    assert (evm.state.fork, len(evm.state)) == ("Osaka", 0)',
    ).assert_outcomes(passed=2)
    project.makeini("[pytest]\naddopts = -p no:cacheprovider\nevm_fork = Berlin\n")
    run(project, 'def test_fork(evm):\n    assert evm.state.fork == "Berlin"').assert_outcomes(passed=1)


def test_plugin_the_state_may_be_a_fixture(project: pytest.Pytester) -> None:
    run(
        project,
        '@pytest.fixture(scope="session")\ndef evm_state():\n    return solder.State(ACCOUNTS)',
        "def test_it(evm):\n    assert evm.balance(OWNER) == 10**18",
    ).assert_outcomes(passed=1)


def test_plugin_a_failure_shows_calls_and_reason(project: pytest.Pytester) -> None:
    result = run(
        project,
        MARKED + "def test_it(evm):\n    evm.transact(THERE, word(5), sender=OWNER)\n    evm.call(FAILS, word(7))\n",
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*evm.call(FAILS, word(7))",
            "*Reverted: revert: not the owner*",
            "*calls of evm*",
            f"1. transact 0x{'cc' * 20} 0x{'0' * 63}5 from 0x{OWNER.hex()}: success, * gas",
            f"2. call 0x{'dd' * 20} 0x{'0' * 63}7: 'not the owner', * gas",
            "*the call that failed*",
            "revert: not the owner, * gas",
            f"* CALL 0x{'dd' * 20} 0x{'0' * 63}7 *gas*not the owner*",
        ]
    )


def test_plugin_a_failure_before_the_test_shows_calls_too(project: pytest.Pytester) -> None:
    fixture = "@pytest.fixture\ndef failing(evm):\n    evm.call(FAILS)\n"
    result = run(project, fixture, MARKED + "def test_it(failing):\n    pass\n")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([">*evm.call(FAILS)", "*not the owner", "*calls of evm*", "1. call *no data*"])


def test_plugin_tracebacks_end_at_the_test(project: pytest.Pytester) -> None:
    ours = run(project, MARKED + "def test_it(evm):\n    evm.call(THERE, 5)\n")
    ours.stdout.fnmatch_lines([">*evm.call(THERE, 5)", "E*InputError: data: int is not bytes or hex", "*test_it.py:*"])
    assert not any(line.lstrip().startswith("def call") for line in ours.stdout.lines)
    other = run(project, MARKED + "def test_it(evm):\n    evm.actor(5)\n")
    other.assert_outcomes(failed=1)
    other.stdout.fnmatch_lines(["*sandbox.py:*", "*AttributeError*"])


def test_plugin_another_revert_than_expected_shows_both(project: pytest.Pytester) -> None:
    result = run(project, MARKED + 'def test_it(evm):\n    with evm.reverts("paused"):\n        evm.call(FAILS)\n')
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*expected 'paused', but it failed with 'not the owner'*", "*calls of evm*", "*the call that failed*"]
    )


def test_plugin_a_failure_names_the_line(project: pytest.Pytester) -> None:
    vault = Path(__file__).resolve().parent.parent / "trace" / "vault.json"
    body = f"""
import json
def test_it(evm):
    path = {str(vault)!r}
    evm.know_sources(path)
    with open(path) as file:
        contract = json.load(file)["output"]["contracts"]["contracts/Vault.sol"]["Vault"]
    vault = evm.deploy("0x" + contract["evm"]["bytecode"]["object"]).created
    evm.transact(vault, "0x6ce800c5", sender=OWNER)
"""
    result = run(project, body)
    result.assert_outcomes(failed=1)
    assert (
        'not the owner at contracts/Vault.sol:32: require(msg.sender == owner, "not the owner");' in result.stdout.str()
    )


GAS = MARKED + 'def test_gas(evm):\n    evm.transact(THERE, word({}))\n    evm.gas_snapshot("add")\n'


def test_gas_is_written_and_compared(project: pytest.Pytester) -> None:
    missing = run(project, GAS.format(5))
    missing.assert_outcomes(failed=1)
    missing.stdout.fnmatch_lines(
        ["gas differs from .gas-snapshot.json", "*name*snapshot*now*change*", "add*-*43,2*new"]
    )
    assert not (project.path / FILE).exists()
    written = run(project, arguments=("--update-gas-snapshots",))
    written.assert_outcomes(passed=1)
    written.stdout.fnmatch_lines(["*1 written to .gas-snapshot.json, 1 changed"])
    (gas,) = stored(project).values()
    assert gas.keys() == {"add"}
    run(project).assert_outcomes(passed=1)
    # A call data byte more that is not zero: 12 gas.
    changed = run(project, GAS.format(0x105))
    changed.assert_outcomes(failed=1)
    changed.stdout.fnmatch_lines([f"add*{gas['add']:,}*{gas['add'] + 12:,}*+12*+0.03 %"])
    run(project, arguments=("--gas-tolerance", "0.1%")).assert_outcomes(passed=1)
    run(project, GAS.format(0x105).replace('"add"', '"add", tolerance=0.1')).assert_outcomes(passed=1)


def test_gas_that_is_not_measured_any_more_fails(project: pytest.Pytester) -> None:
    run(project, GAS.format(5), arguments=("--update-gas-snapshots",)).assert_outcomes(passed=1)
    gone = run(project, GAS.format(5).replace('"add"', '"sum"'))
    gone.assert_outcomes(failed=1)
    gone.stdout.fnmatch_lines(["add*not measured any more", "sum*new"])
    run(project, arguments=("--update-gas-snapshots",)).assert_outcomes(passed=1)
    assert [list(names) for names in stored(project).values()] == [["sum"]]


def test_gas_of_other_tests_stays_in_the_file(project: pytest.Pytester) -> None:
    other = GAS.format(7).replace("test_gas", "test_other")
    run(project, GAS.format(5), other, arguments=("--update-gas-snapshots",)).assert_outcomes(passed=2)
    before = stored(project)
    run(project, GAS.format(0x105), other, arguments=("--update-gas-snapshots", "-k", "test_gas"))
    after = stored(project)
    assert after["test_it.py::test_other"] == before["test_it.py::test_other"]
    assert after["test_it.py::test_gas"]["add"] == before["test_it.py::test_gas"]["add"] + 12
    (project.path / "test_it.py").rename(project.path / "test_new.py")
    run(project, arguments=("--update-gas-snapshots",))
    assert set(stored(project)) == {"test_new.py::test_gas", "test_new.py::test_other"}


def test_gas_of_a_whole_test(project: pytest.Pytester) -> None:
    run(
        project,
        "@pytest.mark.gas_snapshot\n" + MARKED + "def test_all(evm):\n"
        "    a = evm.transact(THERE, word(5)).gas_used\n    b = evm.transact(THERE, word(5)).gas_used\n"
        "    assert evm.gas_snapshot('sum', a + b) == a + b",
        arguments=("--update-gas-snapshots",),
    ).assert_outcomes(passed=1)
    (gas,) = stored(project).values()
    assert gas["test"] == gas["sum"] > 60_000


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('evm.call(bytes(20)); evm.gas_snapshot("a")', "gas: no transaction yet"),
        ('evm.gas_snapshot("a", -1)', "gas: -1 is no number of gas"),
        ('evm.gas_snapshot("a", 1); evm.gas_snapshot("a", 1)', "name: this test has a snapshot 'a' already"),
    ],
)
def test_gas_misuse_is_named(project: pytest.Pytester, body: str, message: str) -> None:
    result = run(project, f"def test_it(evm):\n    {body}\n")
    result.assert_outcomes(failed=1)
    assert message in result.stdout.str()


@pytest.mark.parametrize("content", ["[]", "{", '{"a": 1}', '{"a": {"b": -1}}', '{"a": {"b": true}}'])
def test_gas_a_damaged_file_is_named(project: pytest.Pytester, content: str) -> None:
    (project.path / FILE).write_text(content)
    compared = run(project, GAS.format(5))
    compared.assert_outcomes(failed=1)
    assert FILE in compared.stdout.str()
    written = run(project, arguments=("--update-gas-snapshots",))
    assert written.ret == pytest.ExitCode.USAGE_ERROR
    assert (project.path / FILE).read_text() == content


def test_gas_a_bad_tolerance_is_a_usage_error(project: pytest.Pytester) -> None:
    result = run(project, GAS.format(5), arguments=("--gas-tolerance", "much"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "'much' is no percentage" in result.stderr.str()


def test_gas_of_several_workers_is_one_file(project: pytest.Pytester) -> None:
    bodies = [GAS.format(5).replace("test_gas", f"test_{number}") for number in range(6)]
    project.makepyfile(test_it=HEAD + "\n".join(bodies), test_more=HEAD + "\n".join(bodies))
    workers = ("-q", "-n", "2", "-p", "no:cacheprovider")
    project.runpytest_subprocess(*workers, "--update-gas-snapshots").assert_outcomes(passed=12)
    result = project.runpytest_subprocess(*workers)
    result.assert_outcomes(passed=12)
    result.stdout.fnmatch_lines(["*12 as in .gas-snapshot.json"])
    assert len(stored(project)) == 12
    assert [path.name for path in project.path.iterdir() if path.name.startswith("tmp")] == []


def test_plugin_costs_little_where_it_is_not_used(project: pytest.Pytester) -> None:
    body = "import sys\ndef test_it():\n    ours = {name for name in sys.modules if name.startswith('solder.')}\n"
    expected = {"solder.errors", "solder.pytest_plugin", "solder.pytest_plugin.session"}
    project.makepyfile(test_it=f"{body}    assert ours == {expected}\n")
    project.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=1)
