"""A disk that takes what is written and fails to keep it: fsync is refused to one thread."""

from __future__ import annotations

import ctypes
import errno
import platform

_SET_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD_NUMBER, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ERRNO, _ALLOW = 0x00050000, 0x7FFF0000
_FSYNC, _FDATASYNC = 74, 75  # x86-64


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_ushort),
        ("if_true", ctypes.c_ubyte),
        ("if_false", ctypes.c_ubyte),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.POINTER(_Instruction)))


def refuse_sync() -> None:
    """
    Let every fsync of the calling thread fail with EIO, for ever.

    Raises:
        OSError: The system has no such filters, or is no x86-64.
    """
    if platform.machine() != "x86_64":
        raise OSError(errno.ENOSYS, "the numbers of system calls are those of x86-64")
    steps = (
        _Instruction(_LOAD_NUMBER, 0, 0, 0),
        _Instruction(_IF_EQUAL, 1, 0, _FSYNC),
        _Instruction(_IF_EQUAL, 0, 1, _FDATASYNC),
        _Instruction(_RETURN, 0, 0, _ERRNO | errno.EIO),
        _Instruction(_RETURN, 0, 0, _ALLOW),
    )
    program = _Program(len(steps), (_Instruction * len(steps))(*steps))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(
        _SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0
    ):
        raise OSError(ctypes.get_errno(), "no system call filter")
