"""Which boot of which machine this is, where the kernel has no name of its own for a boot.

For Windows, macOS and others; ``cache`` asks, for what may be served until the next boot only.
"""

import os
import sys
import time

_POSIX = os.name == "posix"


def booted() -> tuple[int, str]:
    """Return when the machine was started, in epoch seconds, and its name; none if not known.

    For Windows, macOS and others without a boot id. A disk's image, or a copy of the cache, serves
    no other machine: that one was started at another time, and bears another name.
    """
    try:
        if _POSIX:
            # Since the boot, sleep included: on macOS it is the time since kern.boottime.
            up, machine = time.clock_gettime(time.CLOCK_MONOTONIC), os.uname().nodename
        else:  # pragma: no cover - Windows
            up, machine = time.monotonic(), _machine_guid()
    except (AttributeError, OSError):  # pragma: no cover - Windows
        return 0, ""
    machine = "".join(c if c.isascii() and c.isalnum() else "-" for c in machine)
    return int(time.time() - up), machine


def _machine_guid() -> str:  # pragma: no cover - Windows
    """Return what Windows' setup has drawn for this machine. Raises ``OSError``."""
    if sys.platform == "win32":
        import winreg  # part of the interpreter there

        place = r"SOFTWARE\Microsoft\Cryptography"
        access = winreg.KEY_READ | winreg.KEY_WOW64_64KEY
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place, 0, access) as key:
            return str(winreg.QueryValueEx(key, "MachineGuid")[0])
    return ""
