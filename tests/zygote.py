"""A process that has imported everything and becomes nlpk at once, as often as it is asked: `python zygote.py SOCKET`.

Importing torch takes a second and a half, which the tests would spend a hundred times. `STUB` is a program that hands
its arguments, folder, environment, limits, stdin, stdout and stderr to the zygote, passes on the signals that it gets,
and ends with the status it is told; if it is killed, what it started is, too. Called `nlpk` it is nlpk, called by any
other name it runs the script that is its first argument.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import redirect_stdout, suppress
from pathlib import Path
from types import FrameType

STUB = """#!{python} -SE
import json, os, resource, signal, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect({path!r})
asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ), resource.getrlimit(resource.RLIMIT_FSIZE)]).encode()
socket.send_fds(door, [len(asked).to_bytes(8, "big")], [0, 1, 2])
door.sendall(asked)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, frame: door.send(bytes([number])))
os._exit(int(door.recv(8) or b"1"))
"""
HEAD = 8
#: Seconds between two looks whether the tests, which may have been killed, are still there.
PATIENCE = 5


def serve(path: str) -> None:
    """Answer one stub after another, each by a child of its own, for as long as the tests run that started this."""
    tests = os.getppid()
    import datasets  # noqa: F401 - what commands import later, and slowly
    import torch._dynamo  # noqa: F401 - the first optimizer wants it
    import transformers  # noqa: F401

    import nlptasks
    from nlpk import app
    from nlptasks.pretraining import run as pretraining  # noqa: F401
    from nlptasks.pretraining import words
    from nlptasks.training import run  # noqa: F401

    for name in nlptasks.names():
        nlptasks.load(name)
    words.jieba_words()
    with redirect_stdout(io.StringIO()):
        app.run(["tasks"])  # typer and rich import late, too
    gc.freeze()  # nothing here is garbage, and what children do not touch they share
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen()
    door.settimeout(PATIENCE)
    signal.signal(signal.SIGCHLD, reap)
    while os.getppid() == tests:
        try:
            caller = door.accept()[0]
        except TimeoutError:
            continue
        if os.fork() == 0:
            keep(caller)
        caller.close()


def reap(signal: int, frame: FrameType | None) -> None:
    """Let ended children go."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def keep(caller: socket.socket) -> None:
    """Become the program in a child, pass signals on to it, wait for it, and tell the caller its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, pipes, _, _ = socket.recv_fds(caller, HEAD, 3)
    asked = b""
    while len(asked) < int.from_bytes(head, "big"):
        asked += caller.recv(1 << 16)
    child = os.fork()
    if child == 0:
        caller.close()
        arguments, folder, environment, room = json.loads(asked)
        become(arguments, folder, environment, room, pipes)
    for pipe in pipes:
        os.close(pipe)
    threading.Thread(target=pass_on, args=(caller, child), daemon=True).start()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(OSError):  # a stub that was killed waits no more
        caller.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def pass_on(caller: socket.socket, child: int) -> None:
    """Send a child the signals that its stub gets, and kill it when the stub is gone."""
    while number := caller.recv(1):
        os.kill(child, number[0])
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)


def become(
    arguments: list[str], folder: str, environment: dict[str, str], room: tuple[int, int], pipes: Sequence[int]
) -> None:
    """Be nlpk or a script from here on."""
    from nlpk.__main__ import main

    for place, pipe in enumerate(pipes):
        os.dup2(pipe, place)
        os.close(pipe)
    sys.stdin, sys.stdout = (os.fdopen(place, mode, closefd=False) for place, mode in enumerate("rw"))
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)  # by lines, as ever
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    resource.setrlimit(resource.RLIMIT_FSIZE, room)
    sys.argv = arguments
    if Path(arguments[0]).name == "nlpk":
        main()
    sys.argv = arguments[1:]
    runpy.run_path(sys.argv[0], run_name="__main__")
    sys.stdout.flush()
    os._exit(0)


def write_stub(program: Path, path: Path) -> None:
    """Write the program that calls the zygote at a socket."""
    program.write_text(STUB.format(python=sys.executable, path=str(path)), encoding="utf-8")
    program.chmod(0o755)


if __name__ == "__main__":
    serve(sys.argv[1])
