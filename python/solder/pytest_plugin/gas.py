"""Gas snapshots: what named calls of tests used, in a file that is compared in every run.

The file is JSON, sorted, one line a snapshot: ``{"<test id>": {"<name>": gas}}``. Measurements travel with the tests'
reports, so that workers of pytest-xdist only read the file and whoever collects the reports writes it, once.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from solder.errors import InputError
from solder.state.files import read_json

__all__ = ["Difference", "Snapshots", "differences", "table", "tolerance_of"]

Snapshots = dict[str, dict[str, int]]
"""Gas by test and name."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A snapshot that is not as the file has it; ``before`` or ``after`` is None where only one side has it."""

    name: str
    before: int | None
    after: int | None

    @property
    def percent(self) -> float | None:
        """The change, in percent of what it was."""
        if self.before is None or self.after is None:
            return None
        return 100.0 * (self.after - self.before) / self.before if self.before else float("inf")


def read(path: Path) -> Snapshots:
    """The snapshots of a file; none where there is no file. Raises ``InputError`` for any other content."""
    if not path.exists():
        return {}
    found: Snapshots = {}
    for test, names in read_json(path).items():
        if not isinstance(names, Mapping):
            raise InputError("not an object of numbers", str(path), test)
        for name, gas in names.items():
            if isinstance(gas, bool) or not isinstance(gas, int) or gas < 0:
                raise InputError("not a number of gas", str(path), f"{test}.{name}")
        found[test] = dict(names)
    return found


def write(path: Path, snapshots: Snapshots) -> None:
    """Write the file anew, all of it or nothing."""
    content = {test: dict(sorted(names.items())) for test, names in sorted(snapshots.items()) if names}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            file.write(text)
    except OSError as error:
        raise InputError(error.strerror or str(error), str(path)) from None
    try:
        Path(file.name).replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            Path(file.name).unlink()
        raise InputError(error.strerror or str(error), str(path)) from None


def merged(before: Snapshots, measured: Snapshots, root: Path) -> Snapshots:
    """The file's next content: what tests measured; what others had, while their source is there."""
    kept = {test: names for test, names in before.items() if (root / test.split("::")[0]).exists()}
    return {**kept, **measured}


def differences(before: Mapping[str, int], after: Mapping[str, int], tolerance: float) -> list[Difference]:
    """What differs by more than ``tolerance`` percent, or is on one side only, by name."""
    found = [Difference(name, before.get(name), after.get(name)) for name in sorted({*before, *after})]
    return [one for one in found if one.before != one.after and (one.percent is None or abs(one.percent) > tolerance)]


def table(rows: Iterable[Difference]) -> str:
    """The differences as aligned text."""
    cells = [("name", "snapshot", "now", "change", "")]
    for row in rows:
        percent = row.percent
        if row.before is None or row.after is None or percent is None:
            note = "new" if row.before is None else "not measured any more"
            cells.append((row.name, _grouped(row.before), _grouped(row.after), "", note))
        else:
            cells.append(
                (
                    row.name,
                    _grouped(row.before),
                    _grouped(row.after),
                    f"{row.after - row.before:+,}",
                    f"{percent:+.2f} %",
                )
            )
    widths = [max(len(line[column]) for line in cells) for column in range(5)]
    lines = []
    for name, *numbers in cells:
        right = [text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)]
        lines.append("  ".join([name.ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)


def _grouped(gas: int | None) -> str:
    return "-" if gas is None else f"{gas:,}"


def tolerance_of(text: str) -> float:
    """Percent, as an option has them: "1.5" or "1.5%"."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1.0
    if not 0 <= percent < float("inf"):
        raise InputError(f"{text!r} is no percentage", field="evm_gas_tolerance")
    return percent
