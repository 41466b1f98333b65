"""The process that forks children: Qiskit is imported once here, and a child starts in milliseconds.

Not `multiprocessing`'s forkserver, for two reasons (`docs/decisions/0004-children.md`): its children import
the program's main module again, and a busy one outlives a worker that was killed. Here the zygote leaves
when its control socket closes, and the kernel kills its children with it.

Messages on the control socket (msgpack): `["fork", token]` with two descriptors, the child's end of a
socket pair and the file for its last words; `["kill", pid]`. Back come `["ready"]`, `["forked", token, pid]`
and `["exited", pid, status]`.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any

import msgpack

PRELOAD = (
    "numpy",
    "qiskit",
    "qiskit.qasm2",
    "qiskit.qasm3",
    "qiskit.qpy",
    "qiskit.quantum_info",
    "qiskit.transpiler.preset_passmanagers",
    "qiskit_aer",
    "qiskit_qasm3_import",
    "circuits.compilation",
    "circuits.parse",
    "isolation.child",
    "isolation.aer",
)

_PR_SET_PDEATHSIG = 1
_MESSAGE_BYTES = 4096


def main(control_fd: int, more: Sequence[str] = ()) -> None:
    """Serve fork requests until the worker is gone; `more` are further modules to load first."""
    control = socket.socket(fileno=control_fd)
    for module in (*PRELOAD, *more):
        importlib.import_module(module)
    from circuits.compilation import warm_up

    warm_up()
    gc.collect()
    gc.freeze()
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGTERM):  # sent to a whole group, they are for the worker to answer
        signal.signal(number, signal.SIG_IGN)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    _tell(control, ["ready"])
    children: set[int] = set()
    while True:
        readable, _, _ = select.select([control.fileno(), wake_read], [], [])
        if wake_read in readable:
            os.read(wake_read, 4096)
            _reap(control, children)
        if control.fileno() in readable and not _serve(control, children, (wake_read, wake_write)):
            return


def _serve(control: socket.socket, children: set[int], wake: tuple[int, int]) -> bool:
    """Answer one request; False when the worker is gone."""
    try:
        data, descriptors, _, _ = socket.recv_fds(control, _MESSAGE_BYTES, 2)
    except ConnectionResetError:  # the worker left without reading our last message
        return False
    if not data:
        return False
    match msgpack.unpackb(data):
        case ["fork", token]:
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                control.close()
                for descriptor in wake:
                    os.close(descriptor)
                _become_child(*descriptors)
            children.add(pid)
            for descriptor in descriptors:
                os.close(descriptor)
            _tell(control, ["forked", token, pid])
        case ["kill", pid] if pid in children:
            os.kill(pid, signal.SIGKILL)
    return True


def _reap(control: socket.socket, children: set[int]) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        children.discard(pid)
        _tell(control, ["exited", pid, os.waitstatus_to_exitcode(status)])


def _tell(control: socket.socket, message: list[Any]) -> None:
    with contextlib.suppress(OSError):  # the worker is gone; the next read says so
        control.send(msgpack.packb(message))


def _become_child(connection_fd: int, last_words_fd: int) -> None:
    """Turn the forked process into a child; never returns."""
    try:
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(0)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(last_words_fd, 1)
        os.dup2(last_words_fd, 2)
        os.close(last_words_fd)
        from isolation.child import serve

        serve(socket.socket(fileno=connection_fd))
    except BaseException:  # noqa: BLE001  a child must never return into the zygote's loop
        sys.excepthook(*sys.exc_info())
        os._exit(70)
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
