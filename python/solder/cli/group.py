"""The subcommands that pass through click, and the list that ``solder --help`` shows."""

import click

from solder.cli.call import call
from solder.cli.conformance import blocktest, statetest, vectortest
from solder.cli.model import model
from solder.cli.profile import profile
from solder.cli.replay import replay
from solder.cli.schedule import schedule
from solder.cli.simulate import simulate
from solder.cli.status import OK
from solder.cli.trace import trace


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def solder() -> None:
    """Solder: an execution engine for the Ethereum Virtual Machine.

    Results go to standard output, progress and messages to standard error. Exit status: 0 all well, 1 a check
    failed, 2 bad usage or unreadable input, 3 a fault of this machine.
    """


@click.command(context_settings={"ignore_unknown_options": True}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def t8n(arguments: tuple[str, ...]) -> int:
    """Apply transactions to a state, with the interface of geth's `evm t8n` (see `solder t8n --help`)."""
    from solder.cli.t8n import run_t8n

    return run_t8n(list(arguments))


@click.command()
def versions() -> None:
    """Print the versions of this build, for a bug report."""
    from solder.config import show_versions

    show_versions()


for _command in (
    call,
    simulate,
    trace,
    replay,
    profile,
    schedule,
    model,
    statetest,
    blocktest,
    vectortest,
    t8n,
    versions,
):
    solder.add_command(_command)


def run_group(arguments: list[str]) -> int:
    """Run a subcommand; its return value is the exit status."""
    # Not `solder.main`: that one prints and exits on Ctrl-C and on a closed pipe by itself.
    try:
        with solder.make_context("solder", arguments) as context:
            status = solder.invoke(context)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status if isinstance(status, int) else OK
