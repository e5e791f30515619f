"""Filters of system calls, which the kernel enforces for the rest of a process's life.

:func:`lock_parser` is for a process that reads what may come from anywhere: no socket, no other
program, no file opened for writing, no look into another process. :func:`deny_network` is for a
worker that has no business on the network: no socket but Unix ones, and no way to another
process's. Programs that it starts inherit that.

Neither needs a privilege or a library (see seccomp(2) and the kernel's
``Documentation/userspace-api/seccomp_filter.rst``).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 38, 22
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, SECCOMP_MODE_FILTER = 1, 1, 2

Line = tuple[int, int, int, int]
"""An instruction: what to do, how many lines to skip if true and if false, and its operand."""

# Instructions of classic BPF (linux/bpf_common.h) and answers of the filter (linux/seccomp.h).
LOAD_WORD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL_PROCESS, FAIL_WITH = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
"""Offsets in ``struct seccomp_data``."""
X32 = 0x40000000
"""From here on x86-64 counts the calls of its other, unused interface."""
CLONE_THREAD = 0x10000
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


@dataclass(frozen=True)
class _Machine:
    """Numbers of system calls: ``asm/unistd_64.h`` and ``asm-generic/unistd.h``."""

    architecture: int
    """``AUDIT_ARCH_...`` of linux/audit.h."""
    seccomp: int
    clone: int
    opens: tuple[tuple[int, int], ...]
    """Calls that open a file, and which argument has the flags."""
    sockets: tuple[int, ...]
    """socket and socketpair, whose first argument is the address family."""
    intrusions: tuple[int, ...]
    """ptrace, process_vm_readv and process_vm_writev: into another process."""
    denied: tuple[int, ...]
    """What else a parser needs not."""


CLONE3 = 435
_INTRUSIONS = (425, 438)
"""io_uring_setup, whose requests no filter sees, and pidfd_getfd: the same number everywhere."""
_DENIED = (424, 434, 437, 452)
"""pidfd_send_signal, pidfd_open, openat2, fchmodat2: the same"""
_MACHINES = {
    "x86_64": _Machine(
        architecture=0xC000003E,
        seccomp=317,
        clone=56,
        opens=((2, 1), (257, 2)),
        sockets=(41, 53),
        intrusions=(101, 310, 311),
        denied=(
            *(42, 44, 46, 49, 50),  # connect, sendto, sendmsg, bind, listen
            *(57, 58, 59, 322),  # fork, vfork, execve, execveat
            *(62, 129, 200, 234, 297),  # kill and its kin
            *(321, 323),  # bpf, userfaultfd
            *(76, 82, 83, 84, 85, 86, 87, 88, 90, 92, 94, 133),  # truncate to mknod, by path
            *(258, 259, 260, 263, 264, 265, 266, 268, 316),  # the same, ...at
            *(165, 272, 308),  # mount, unshare, setns
        ),
    ),
    "aarch64": _Machine(
        architecture=0xC00000B7,
        seccomp=277,
        clone=220,
        opens=((56, 2),),
        sockets=(198, 199),
        intrusions=(117, 270, 271),
        denied=(
            *(200, 201, 203, 206, 211),  # bind, listen, connect, sendto, sendmsg
            *(221, 281),  # execve, execveat
            *(129, 130, 131, 138, 240),  # kill and its kin
            *(280, 282),  # bpf, userfaultfd
            *(33, 34, 35, 36, 37, 38, 45, 53, 54, 276),  # mknodat to renameat2
            *(40, 97, 268),  # mount, unshare, setns
        ),
    ),
}


def parser_program(machine: str) -> bytes:
    """Return the filter for a parser on *machine* (as ``uname -m`` names it).

    Raises:
        OSError: the numbers of its system calls are not known here.
    """
    known = _known(machine)
    lines = _prologue(known)
    for number in (*known.sockets, *known.intrusions, *known.denied, *_INTRUSIONS, *_DENIED):
        lines += _deny(number)
    # Its flags lie in memory, where no filter can look: libc then falls back to clone().
    lines += [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, FAIL_WITH | errno.ENOSYS)]
    for number, argument in known.opens:
        lines += [
            (EQUAL, 0, 4, number),
            (LOAD_WORD, 0, 0, ARGUMENTS_AT + 8 * argument),
            (ANY_BIT, 0, 1, WRITES),
            (RETURN, 0, 0, FAIL_WITH | errno.EPERM),
            (RETURN, 0, 0, ALLOW),
        ]
    lines += [  # threads, but no processes
        (EQUAL, 0, 3, known.clone),
        (LOAD_WORD, 0, 0, ARGUMENTS_AT),
        (ANY_BIT, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, FAIL_WITH | errno.EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    return _bytes(lines)


def no_network_program(machine: str) -> bytes:
    """Return the filter for a worker without network on *machine*.

    Raises:
        OSError: the numbers of its system calls are not known here.
    """
    known = _known(machine)
    lines = _prologue(known)
    for number in (*known.intrusions, *_INTRUSIONS):
        lines += _deny(number)
    for number in known.sockets:
        lines += [
            (EQUAL, 0, 4, number),
            (LOAD_WORD, 0, 0, ARGUMENTS_AT),
            (EQUAL, 1, 0, socket.AF_UNIX),
            # As where the kernel has no such network: libraries know what to make of it.
            (RETURN, 0, 0, FAIL_WITH | errno.EAFNOSUPPORT),
            (RETURN, 0, 0, ALLOW),
        ]
    return _bytes([*lines, (RETURN, 0, 0, ALLOW)])


def _known(machine: str) -> _Machine:
    known = _MACHINES.get(machine)
    if known is None:
        raise OSError(errno.ENOSYS, f"no filter of system calls for {machine}")
    return known


def _prologue(known: _Machine) -> list[Line]:
    """Return what stops calls by another interface, and loads the call's number."""
    return [
        (LOAD_WORD, 0, 0, ARCHITECTURE_AT),
        (EQUAL, 1, 0, known.architecture),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD_WORD, 0, 0, NUMBER_AT),
        (AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL_PROCESS),
    ]


def _deny(number: int) -> list[Line]:
    return [(EQUAL, 0, 1, number), (RETURN, 0, 0, FAIL_WITH | errno.EPERM)]


def _bytes(lines: list[Line]) -> bytes:
    return b"".join(struct.pack("=HBBI", *line) for line in lines)


class _Program(ctypes.Structure):
    """``struct sock_fprog``"""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


def lock_parser() -> None:
    """Leave this process nothing but computing; see :func:`parser_program`.

    Raises:
        OSError: the kernel has no such filters, or the machine is not known.
    """
    _apply(parser_program(platform.machine()))


def deny_network() -> None:
    """Leave this process no socket but Unix ones; see :func:`no_network_program`.

    Raises:
        OSError: the kernel has no such filters, or the machine is not known.
    """
    _apply(no_network_program(platform.machine()))


def _apply(lines: bytes) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    filtered = _Program(len(lines) // 8, lines)
    if not libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        call = ctypes.c_long(_known(platform.machine()).seccomp)
        everybody = SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
        if not libc.syscall(call, *everybody, ctypes.byref(filtered)):
            return
        # Some service managers forbid that call. This one leaves out threads that libraries have
        # started already.
        if not libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filtered), 0, 0):
            return
    raise OSError(ctypes.get_errno(), "the kernel takes no filter of system calls")
