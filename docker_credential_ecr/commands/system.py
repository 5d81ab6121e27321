"""What a person is told to do, in the words of the system that runs: the only place that knows it.

On Windows the commands are PowerShell's. ``platform`` is ``sys.platform``.
"""

import ntpath
import sys

from ..errors import one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

WINDOWS, MACOS = "win32", "darwin"
IS_LINUX = sys.platform == "linux"
IS_WINDOWS = sys.platform == WINDOWS


def add_to_path(folder: str, platform: str = sys.platform) -> str:
    """Return how ``folder`` comes first where programs are looked for."""
    if platform == WINDOWS:
        return (
            f'run, and add to your PowerShell profile: $env:Path = "{one_line(folder)};$env:Path"'
        )
    return f'run, and add to your shell\'s start-up file: export PATH="{one_line(folder)}:$PATH"'


def unset(name: str, platform: str = sys.platform) -> str:
    """Return the command that takes an environment variable away."""
    shown = one_line(name)
    return f"Remove-Item Env:{shown}" if platform == WINDOWS else f"unset {shown}"


def name_profile(platform: str = sys.platform) -> str:
    """Return how an AWS profile is named in the environment."""
    return '$env:AWS_PROFILE = "..."' if platform == WINDOWS else "AWS_PROFILE=..."


def remove(path: str, platform: str = sys.platform) -> str:
    """Return the command that removes a file."""
    if platform == WINDOWS:
        return f"Remove-Item -LiteralPath {_quoted(path, platform)}"
    return f"rm {_quoted(path, platform)}"


def make_readable(path: str, platform: str = sys.platform) -> str:
    """Return the command that lets the user read a file of theirs."""
    if platform == WINDOWS:
        return f'icacls "{one_line(path)}" /grant "${{env:USERNAME}}:R"'
    return f"chmod u+r {_quoted(path, platform)}"


def make_writable(folder: str, platform: str = sys.platform) -> str:
    """Return the command that lets the user write into a directory of theirs."""
    if platform == WINDOWS:
        return f'icacls "{one_line(folder)}" /grant "${{env:USERNAME}}:(OI)(CI)F"'
    return f"chmod u+rwx {_quoted(folder, platform)}"


def make_private(folder: str, platform: str = sys.platform) -> str:
    """Return the command that closes a directory of the user's to everybody else."""
    if platform == WINDOWS:
        return f'icacls "{one_line(folder)}" /inheritance:r /grant "${{env:USERNAME}}:(OI)(CI)F"'
    return f"chmod -R go= {_quoted(folder, platform)}"


def take_over(folder: str, platform: str = sys.platform) -> str:
    """Return the command that makes a directory, and all in it, the user's."""
    if platform == WINDOWS:
        return f'takeown /r /f "{one_line(folder)}"'
    return f'sudo chown -R "$USER" {_quoted(folder, platform)}'


def set_clock(platform: str = sys.platform) -> str:
    """Return the command that sets the clock."""
    if platform == WINDOWS:
        return "w32tm /resync"
    return "sudo sntp -sS time.apple.com" if platform == MACOS else "timedatectl set-ntp true"


def is_private_place(
    folder: str, environ: "Mapping[str, str]", platform: str = sys.platform
) -> bool:
    """Whether ``folder`` is where the system keeps other users out of itself.

    On Windows that is the user's profile, by its access list. Elsewhere owner and mode of the
    folder say it, wherever it is.
    """
    if platform != WINDOWS:
        return True
    profile = _as_compared(environ.get(home_variable(platform), ""))
    return bool(profile) and f"{_as_compared(folder)}\\".startswith(f"{profile}\\")


def _as_compared(path: str) -> str:
    return ntpath.normcase(ntpath.normpath(path)).rstrip("\\") if path else ""


def home_variable(platform: str = sys.platform) -> str:
    """Return the variable that names the user's home directory."""
    return "USERPROFILE" if platform == WINDOWS else "HOME"


def store_helper(platform: str = sys.platform) -> str:
    """Return the credential helper that Docker suggests for the system's own store."""
    return {WINDOWS: "wincred", MACOS: "osxkeychain"}.get(platform, "pass")


def certificates(environ: "Mapping[str, str]", platform: str = sys.platform) -> list[str]:
    """Return the folders in which Docker looks for the authorities of single registries.

    Source: Docker's documentation, "Verify repository client with certificates".
    """
    home = environ.get(home_variable(platform), "")
    if platform == WINDOWS:
        data = environ.get("ProgramData", "C:\\ProgramData")
        return [f"{data}\\docker\\certs.d", *([f"{home}\\.docker\\certs.d"] if home else [])]
    if platform == MACOS:
        return [f"{home}/.docker/certs.d"] if home else []
    rootless = environ.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else "")
    return ["/etc/docker/certs.d", *([f"{rootless}/docker/certs.d"] if rootless else [])]


def _quoted(path: str, platform: str) -> str:
    mark = "''" if platform == WINDOWS else "'\\''"
    return "'" + one_line(path).replace("'", mark) + "'"
