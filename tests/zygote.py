"""A process that has imported everything and becomes nlpk at once, as often as it is asked: `python zygote.py SOCKET`.

Importing torch takes a second and a half, which a test of fifty commands would spend fifty times. `STUB` is a program
that hands its arguments, folder, environment, stdin, stdout and stderr to the zygote and ends with the status it gets.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

STUB = """#!{python} -SE
import json, os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect({path!r})
asked = json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(door, [len(asked).to_bytes(8, "big")], [0, 1, 2])
door.sendall(asked)
os._exit(int(door.recv(8) or b"1"))
"""
HEAD = 8


def serve(path: str) -> None:
    """Answer one stub after another; each gets a child of its own."""
    import datasets  # noqa: F401 - what commands import later, and slowly
    import torch  # noqa: F401
    import transformers  # noqa: F401

    import nlptasks
    from nlpk import app  # noqa: F401
    from nlptasks.training import run  # noqa: F401

    for name in nlptasks.names():
        nlptasks.load(name)
    door = socket.socket(socket.AF_UNIX)
    door.bind(path)
    door.listen()
    signal.signal(signal.SIGCHLD, reap)
    while True:
        caller = door.accept()[0]
        if os.fork() == 0:
            keep(caller)


def reap(signal: int, frame: FrameType | None) -> None:
    """Let ended children go."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def keep(caller: socket.socket) -> None:
    """Become nlpk in a child, wait for it, and tell the caller its status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, pipes, _, _ = socket.recv_fds(caller, HEAD, 3)
    asked = b""
    while len(asked) < int.from_bytes(head, "big"):
        asked += caller.recv(1 << 16)
    child = os.fork()
    if child == 0:
        caller.close()
        arguments, folder, environment = json.loads(asked)
        become(arguments, folder, environment, pipes)
    for pipe in pipes:
        os.close(pipe)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    caller.sendall(str(status if status >= 0 else 128 - status).encode())
    os._exit(0)


def become(arguments: list[str], folder: str, environment: dict[str, str], pipes: Sequence[int]) -> None:
    """Be nlpk from here on."""
    from nlpk.__main__ import main

    for place, pipe in enumerate(pipes):
        os.dup2(pipe, place)
        os.close(pipe)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(place, mode, closefd=False) for place, mode in enumerate("rww"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    main()


def write_stub(program: Path, path: Path) -> None:
    """Write the program that calls the zygote at a socket."""
    program.write_text(STUB.format(python=sys.executable, path=str(path)), encoding="utf-8")
    program.chmod(0o755)


if __name__ == "__main__":
    serve(sys.argv[1])
