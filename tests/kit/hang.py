"""A disk that stops to answer: whoever opens a file hangs, as on a server of files that is gone."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from pathlib import Path
from typing import Self

from kit import missing

# linux/fanotify.h
_CLASS_CONTENT, _CLOEXEC = 0x4, 0x1
_MARK_ADD, _OPEN_PERM, _EVENT_ON_CHILD = 0x1, 0x1_0000, 0x0800_0000
_ALLOW = 1
_AT_FDCWD = -100
_EVENT = struct.Struct("=IBBHQii")  # length, version, reserved, header length, mask, file, process
_ANSWER = struct.Struct("=iI")  # file, answer


class Hang:
    """A context manager: other processes hang on opening files in ``folder`` that end in ``end``.

    The kernel asks us before each open (fanotify(7), root only); to those we do not answer. They
    can be killed meanwhile, and go on afterwards.
    """

    def __init__(self, folder: Path, end: str) -> None:
        self.folder = folder
        self.end = end
        self.held = 0  # how many opens hang

    def __enter__(self) -> Self:
        libc = ctypes.CDLL(None, use_errno=True)
        libc.fanotify_mark.argtypes = [
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint64,
            ctypes.c_int,
            ctypes.c_char_p,
        ]
        self._queue = libc.fanotify_init(_CLASS_CONTENT | _CLOEXEC, os.O_RDONLY)
        mask, path = _OPEN_PERM | _EVENT_ON_CHILD, os.fsencode(self.folder)
        if self._queue < 0 or libc.fanotify_mark(self._queue, _MARK_ADD, mask, _AT_FDCWD, path):
            missing(f"fanotify cannot be had: {os.strerror(ctypes.get_errno())}")
        self._wake, self._stop = os.pipe()
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._stop)
        self._thread.join()
        os.close(self._wake)
        os.close(self._queue)  # the kernel lets go of those that hang

    def _answer(self) -> None:
        while True:
            ready, _, _ = select.select([self._queue, self._wake], [], [])
            if self._wake in ready:
                return
            events = os.read(self._queue, 64 << 10)
            while events:
                length, _, _, _, _, file, process = _EVENT.unpack_from(events)
                events = events[length:]
                path = os.readlink(f"/proc/self/fd/{file}")
                if path.endswith(self.end) and process != os.getpid():
                    self.held += 1
                else:
                    os.write(self._queue, _ANSWER.pack(file, _ALLOW))
                os.close(file)
