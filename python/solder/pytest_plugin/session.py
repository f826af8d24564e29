"""The gas of a run: each test is compared as it ends; at the end the file is written, or the table shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from solder.errors import InputError

# Every run of pytest loads this file; only those with the fixture `evm` or its options go further.
if TYPE_CHECKING:
    from pathlib import Path

    from solder.pytest_plugin import gas
    from solder.pytest_plugin.sandbox import Record

__all__ = ["GasSession"]

WHOLE_TEST = "test"
"""The name of the snapshot that the marker ``gas_snapshot`` takes."""
_PROPERTY = "gas"


class GasSession:
    """Compares in whichever process runs a test; collects from the reports, which all come to one process."""

    def __init__(self, config: pytest.Config) -> None:
        self.update = bool(config.getoption("--update-gas-snapshots"))
        self.path = config.rootpath / str(config.getini("evm_gas_snapshots"))
        self.root = config.rootpath
        self._config = config
        self._stored: gas.Snapshots | None = None
        self._tolerance: float | None = None
        self.measured: gas.Snapshots = {}

    @property
    def stored(self) -> gas.Snapshots:
        """What the file says; it is read when the first test is compared."""
        from solder.pytest_plugin import gas

        if self._stored is None:
            self._stored = gas.read(self.path)
        return self._stored

    @property
    def tolerance(self) -> float:
        """Percent by which gas may differ."""
        from solder.pytest_plugin import gas

        if self._tolerance is None:
            text = self._config.getoption("--gas-tolerance") or self._config.getini("evm_gas_tolerance")
            self._tolerance = gas.tolerance_of(str(text))
        return self._tolerance

    def pytest_sessionstart(self) -> None:
        """Say at once what is wrong with options or file, where a run is about them."""
        try:
            if self._config.getoption("--gas-tolerance") is not None:
                _ = self.tolerance
            if self.update:
                _ = self.stored
        except InputError as error:
            raise pytest.UsageError(str(error)) from None

    def check(self, item: pytest.Item, record: Record) -> None:
        """Report what a test measured, and fail it where the file says otherwise."""
        from solder.pytest_plugin import gas

        measured = dict(record.snapshots)
        if item.get_closest_marker("gas_snapshot") is not None:
            if WHOLE_TEST in measured:
                raise InputError(f"the marker takes the name {WHOLE_TEST!r}", item.nodeid, "gas_snapshot")
            measured[WHOLE_TEST] = record.gas
        if measured:
            item.user_properties.append((_PROPERTY, {item.nodeid: measured}))
        if self.update:
            return
        stored = self.stored.get(item.nodeid, {})
        found = gas.differences(stored, measured, 0.0)
        found = [one for one in found if not self._tolerated(one, record)]
        if found:
            pytest.fail(
                f"gas differs from {self._shown(self.path)}\n{gas.table(found)}\n"
                "pytest --update-gas-snapshots writes what is measured now",
                pytrace=False,
            )

    def _tolerated(self, one: gas.Difference, record: Record) -> bool:
        allowed = record.tolerances.get(one.name, self.tolerance)
        return one.percent is not None and abs(one.percent) <= allowed

    def _shown(self, path: Path) -> Path:
        return path.relative_to(self.root) if path.is_relative_to(self.root) else path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a test's measurements, in the process that all reports come to."""
        if report.when != "call" or not report.passed:
            return
        for name, value in report.user_properties:
            if name == _PROPERTY and isinstance(value, dict):
                self.measured.update(value)
        if self.update and report.nodeid in self.stored:
            self.measured.setdefault(report.nodeid, {})

    def pytest_sessionfinish(self) -> None:
        """Write the file, where that was asked for and this process is not one worker of several."""
        if self.update and self.measured and not hasattr(self._config, "workerinput"):
            from solder.pytest_plugin import gas

            gas.write(self.path, gas.merged(self.stored, self.measured, self.root))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say what was compared, or what is new in the file."""
        count = sum(len(names) for names in self.measured.values())
        if not count:
            return
        from solder.pytest_plugin import gas

        terminalreporter.write_sep("-", "gas snapshots")
        if not self.update:
            terminalreporter.write_line(f"{count} as in {self._shown(self.path)}")
            return
        changes = [
            gas.Difference(f"{test} {one.name}", one.before, one.after)
            for test, names in sorted(self.measured.items())
            for one in gas.differences(self.stored.get(test, {}), names, 0.0)
        ]
        terminalreporter.write_line(f"{count} written to {self._shown(self.path)}, {len(changes)} changed")
        if changes:
            terminalreporter.write_line(gas.table(changes))
