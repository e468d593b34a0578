"""The table of commands, and the one place where an error becomes an exit status."""

from __future__ import annotations

import difflib
import io
import os
import sys
import traceback
from contextlib import suppress
from functools import cache
from typing import Annotated, Any

import typer

from nlptasks.errors import NlpkError

from . import (
    __version__,
    console,
    data,
    demo,
    doctor,
    embed,
    evaluate,
    models,
    play,
    predict,
    pretrain,
    search,
    signals,
    tasks,
    train,
    uci,
)

STDOUT_ROOM = 1 << 20  # bytes
#: What typer says, and what a reader expects.
REWORDED = {
    "Value error, ": "",
    ". Did you mean": "; did you mean",
    "Input should be a valid integer, unable to parse string as an integer": "expected a whole number",
    "Input should be greater than or equal to": "expected at least",
    "Input should be a valid number, unable to parse string as a number": "expected a number",
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)
for module in (train, predict, evaluate, embed, search, pretrain, play, uci, tasks, models, data, doctor, demo):
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


@cache
def tree() -> Any:  # noqa: ANN401 - typer's own click has no public types
    """Make the commands with their options, once: it takes longer than most of them take to start."""
    return plain(typer.main.get_command(app))


def commands() -> list[str]:
    """List every command by its path, such as `search build`."""
    return paths(tree(), ())


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
    status = run(arguments, debug) if prepared() else 2
    # Not sys.exit: a thread may still be reading stdin, and the interpreter's own end would wait for it or complain.
    os._exit(max(status, flushed(quiet=status == 2)))


def prepared() -> bool:
    """Make stdout and stderr fit for their work; tell whether they are there."""
    if sys.stderr is None:  # closed: print would then write complaints to stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - lives as long as the process
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if sys.stdout is None:  # the next file opened would become stdout
        console.note("stdout is closed; give it somewhere to go, such as > FILE")
        return False
    # Room for long lines: a signal then finds them whole in the buffer, or not there at all.
    roomy = io.BufferedWriter(io.FileIO(sys.stdout.fileno(), "wb", closefd=False), STDOUT_ROOM)
    tty = sys.stdout.isatty()
    sys.stdout = io.TextIOWrapper(roomy, sys.stdout.encoding, "backslashreplace", line_buffering=tty)
    return True


def flushed(*, quiet: bool) -> int:
    """Write what is still in the buffers, and give the status of that; say nothing where all is said."""
    status = 0
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        pass
    except KeyboardInterrupt:
        status = 130
    except OSError as error:
        if not quiet:
            console.note(f"stdout: cannot be written ({error.strerror}); make room")
        status = 2
    with suppress(OSError):
        sys.stderr.flush()
    return status


def run(arguments: list[str], debug: bool = False) -> int:
    """Run one command line and give its exit status."""
    try:
        with console.library_notes():
            dispatch(arguments)
        return 0
    except typer.Exit as error:
        return error.exit_code
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except BrokenPipeError:
        close_stdout()
        return 0
    except KeyboardInterrupt as error:
        said, status = signals.told(error)
        console.note(said)
        return status
    except Exception as error:
        if debug:
            traceback.print_exception(error)
        return complained(error)


def dispatch(arguments: list[str]) -> None:
    """Find the command and call it.

    Not by its own `main`, which would end with other statuses after a signal or a closed pipe.
    """
    command = tree()
    if "_NLPK_COMPLETE" in os.environ:
        command.main(arguments, prog_name="nlpk")
    with command.make_context("nlpk", arguments) as context:
        command.invoke(context)


def plain(command: Any) -> Any:  # noqa: ANN401 - typer's own click has no public types
    """Take the types of arguments out of the help, where their names say enough."""
    for parameter in command.params:
        if parameter.param_type_name == "argument":
            parameter.display_type_rich = lambda ctx: None
    for below in getattr(command, "commands", {}).values():
        plain(below)
    return command


def complained(error: Exception) -> int:
    """Show an error in one line and give its status: 2 for the user's, 1 for ours."""
    if isinstance(error, NlpkError):
        console.note(str(error))
        return 2
    if hasattr(error, "format_message"):  # typer's usage errors
        complained_of_usage(error)
        return 2
    if isinstance(error, OSError):
        console.note(f"{error.filename or 'reading or writing failed'}: {error.strerror or error}")
        return 2
    console.note(f"internal error: {type(error).__name__}: {error}; please report it with what --debug shows")
    return 1


def complained_of_usage(error: Any) -> None:  # noqa: ANN401 - one of typer's classes
    """Say what is wrong with a command line; where there is nothing but the command, show its help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.format_message(), file=sys.stderr)
        return
    message = " ".join(error.format_message().split()).rstrip(".")
    if near := getattr(error, "possibilities", None):
        closest = difflib.get_close_matches(error.option_name, near, 1, 0)
        message = f"{error.message}; did you mean {closest[0]}?"
    for theirs, ours in REWORDED.items():
        message = message.replace(theirs, ours)
    context = getattr(error, "ctx", None)
    console.note(f"{message[:1].lower()}{message[1:]}" + (f"; see {context.command_path} --help" if context else ""))


def close_stdout() -> None:
    """Let nothing more be written to a pipe that nobody reads."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
