"""The table of commands, and the one place where an error becomes an exit status."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from nlptasks.errors import NlpkError

from . import __version__, console, data, demo, doctor, embed, evaluate, models, predict, search, tasks, train

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for module in (train, predict, evaluate, embed, search, tasks, models, data, doctor, demo):
    module.register(app)


def show_version(asked: bool) -> None:
    """Print the version and stop."""
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Chinese-first language processing: train, ask, embed and search with one BERT, offline.

    Results go to stdout, everything for people to stderr. --debug anywhere shows the traceback of an error.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM, treated like Ctrl-C: what was done is kept."""


def terminate(signum: int, frame: FrameType | None) -> None:
    """Turn SIGTERM into an exception."""
    raise Terminated


def commands() -> list[str]:
    """List every command by its path, such as `search build`."""
    return paths(typer.main.get_command(app), ())


def paths(command: Any, above: tuple[str, ...]) -> list[str]:  # noqa: ANN401 - typer's own click has no public types
    """List the commands below one."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return [" ".join(above)]
    return [path for name, below in inner.items() for path in paths(below, (*above, name))]


def main() -> None:
    """Run nlpk and end with its status."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    signal.signal(signal.SIGTERM, terminate)
    status = run(arguments, debug)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        close_stdout()
    except OSError as error:
        console.note(f"stdout: cannot be written ({error.strerror})")
        status = 2
    sys.stderr.flush()
    # Not sys.exit: a thread may still be reading stdin, and the interpreter's own end would wait for it or complain.
    os._exit(status)


def run(arguments: list[str], debug: bool = False) -> int:
    """Run one command line and give its exit status."""
    console.show_library_notes()
    try:
        found = typer.main.get_command(app).main(arguments, prog_name="nlpk", standalone_mode=False)
        return found if isinstance(found, int) else 0
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except BrokenPipeError:
        close_stdout()
        return 0
    except KeyboardInterrupt as error:
        console.note("terminated" if isinstance(error, Terminated) else "interrupted")
        return 143 if isinstance(error, Terminated) else 130
    except Exception as error:
        if debug:
            raise
        return complained(error)


def complained(error: Exception) -> int:
    """Show an error in one line and give its status: 2 for the user's, 1 for ours."""
    if isinstance(error, NlpkError):
        console.note(str(error))
        return 2
    if hasattr(error, "format_message"):  # typer's usage errors
        context = getattr(error, "ctx", None)
        where = f"; see {context.command_path} --help" if context else ""
        message = str(error.format_message()).strip().rstrip(".")
        if message:
            console.note(" ".join(message.split()) + where)
        return 2
    if isinstance(error, OSError):
        console.note(f"{error.filename or 'input or output'}: {error.strerror or error}")
        return 2
    if type(error).__name__ == "Abort":
        return 130
    console.note(f"internal error: {type(error).__name__}: {error}; please report it with what --debug shows")
    return 1


def close_stdout() -> None:
    """Let nothing more be written to a pipe that nobody reads."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
