"""Runs in the box: lets another process open a network socket, and prints what the kernel said.

    python3 probe.py PID [PID ...]

Each process is stopped (ptrace), made to carry out one ``socket(AF_INET, SOCK_STREAM, 0)`` in the
place of the call in which it waits, put back as it was, and let go. So what answers is the filter
of that very process. x86-64 only.
"""

import ctypes
import errno
import os
import sys

ATTACH, DETACH, STEP, GET_REGISTERS, SET_REGISTERS, PEEK = 16, 17, 9, 12, 13, 1
SOCKET, CLOSE = 41, 3
SYSCALL = 0x050F
"""The instruction, as the two bytes before the one at which a waiting process stands."""
NAMES = (
    "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags rsp ss "
    "fs_base gs_base ds es fs gs"
)


class Registers(ctypes.Structure):
    """``struct user_regs_struct``"""

    _fields_ = tuple((name, ctypes.c_ulonglong) for name in NAMES.split())


libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def trace(request, pid, address=None, data=None):
    ctypes.set_errno(0)
    found = libc.ptrace(request, pid, address, data)
    if found == -1 and ctypes.get_errno():
        raise OSError(ctypes.get_errno(), f"ptrace {request} of {pid}")
    return found


def call(pid, registers, number, *arguments):
    """Carry out a system call in the stopped process; return what the kernel answered."""
    changed = Registers.from_buffer_copy(registers)
    changed.rip -= 2
    changed.rax, changed.orig_rax = number, 2**64 - 1
    changed.rdi, changed.rsi, changed.rdx = arguments
    trace(SET_REGISTERS, pid, None, ctypes.byref(changed))
    trace(STEP, pid)
    os.waitpid(pid, 0)
    trace(GET_REGISTERS, pid, None, ctypes.byref(changed))
    return ctypes.c_longlong(changed.rax).value


def probe(pid):
    """Return ``open``, or the name of the error."""
    trace(ATTACH, pid)
    os.waitpid(pid, 0)
    registers = Registers()
    trace(GET_REGISTERS, pid, None, ctypes.byref(registers))
    try:
        if trace(PEEK, pid, registers.rip - 2) & 0xFFFF != SYSCALL:
            return "busy"
        answer = call(pid, registers, SOCKET, 2, 1, 0)
        if answer >= 0:
            call(pid, registers, CLOSE, answer, 0, 0)
    finally:
        trace(SET_REGISTERS, pid, None, ctypes.byref(registers))
        trace(DETACH, pid)
    return "open" if answer >= 0 else errno.errorcode[-answer]


for word in sys.argv[1:]:
    answer = "busy"
    while answer == "busy":
        answer = probe(int(word))
    print(word, answer, flush=True)
