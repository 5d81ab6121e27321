"""A ``credential_process`` that ends with us.

It is in a group of its own, with what it starts. A watcher, a shell that waits for the end of a
pipe which we alone hold open, ends that group when we end, however that is: an answer that is out
of time leaves the process without looking back, and a signal asks nobody.
"""

import os

from .explanation import TooLarge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT = 1 << 20  # bytes, 1 MiB, of what it prints; credentials are 2 KiB
# It is told whom to end, then waits until the pipe closes; a second later it is no longer polite.
_WATCH = 'read -r who || exit; read -r _; kill -TERM "$who"; sleep 1; kill -KILL "$who"'


class Process:
    """A process as botocore's ProcessProvider starts and asks it: ``subprocess.Popen``'s face.

    ``returncode`` is the exit code once ``communicate`` has returned. Raises ``OSError`` if it
    cannot be started.
    """

    def __init__(self, arguments: "Sequence[str]", **_: object) -> None:
        import subprocess

        self.returncode: int | None = None
        # In a terminal's foreground it may ask for a code: from another group it could not read
        # there. The terminal's own Ctrl-C reaches it in ours.
        self._alone = os.name == "posix" and not _has_terminal()
        self._watcher = _Watcher()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user's configuration names it
                arguments,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # its words are never shown: they may be secret
                process_group=0 if self._alone else None,
            )
        except BaseException as error:
            self._watcher.dismiss()
            if isinstance(error, OSError) and error.filename is None:
                error.filename = arguments[0]  # Windows does not say what is missing
            raise
        self._watcher.watch(-self._process.pid if self._alone else self._process.pid)

    def communicate(self) -> tuple[bytes, bytes]:
        """Return what it printed, once it has ended, and nothing for stderr. Raises TooLarge."""
        out = self._process.stdout
        printed = b""
        try:
            printed = out.read(LIMIT + 1) if out is not None else b""
            if len(printed) <= LIMIT:
                self.returncode = self._process.wait()
        finally:
            if self.returncode is None:
                self._kill()
            self._watcher.dismiss()
        if self.returncode is None:
            raise TooLarge
        return printed, b""

    def _kill(self) -> None:
        import signal

        try:
            if self._alone:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        except OSError:
            pass
        self._process.wait()


class _Watcher:
    """A shell that ends a process, or the group of one, when this process ends.

    None on Windows, nor in an image without a shell: there the process ends by itself, or with us
    if it prints too much.
    """

    def __init__(self) -> None:
        import subprocess

        self._shell: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        if os.name != "posix":  # pragma: no cover - Windows
            return
        reading, self._pipe = os.pipe()
        try:
            self._shell = subprocess.Popen(  # noqa: S603 - a command of our own
                ("/bin/sh", "-c", _WATCH),
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # whatever ends our group, or our session
            )
        except OSError:
            pass
        finally:
            os.close(reading)

    def watch(self, who: int) -> None:
        """End process ``who``, or if negative its group, when this process ends."""
        if self._shell is not None:
            try:
                os.write(self._pipe, f"{who}\n".encode())
            except OSError:
                pass  # somebody has ended the shell

    def dismiss(self) -> None:
        """Leave the process alone: it has ended."""
        if self._shell is not None:
            self._shell.kill()
            self._shell.wait()
        if self._pipe >= 0:  # pragma: no branch - Windows
            os.close(self._pipe)
            self._pipe = -1


def _has_terminal() -> bool:
    """Whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
