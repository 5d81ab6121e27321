"""The renewal behind an answer: a process of its own, which nobody waits for."""

import os
import sys

from . import RENEWAL, cache, schedule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .cache import Token

_DESCRIPTORS = 1 << 20  # the most that are closed: macOS without a limit says 2**63 - 1, no C int
# Variables that may hold a path relative to where the caller is.
_PATH_VARIABLES = (
    *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CREDENTIAL_FILE", "BOTO_CONFIG"),
    *("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE"),
    *("REQUESTS_CA_BUNDLE", "AWS_DATA_PATH", "AWS_LOGIN_CACHE_DIRECTORY"),
)


def start(token: "Token", environ: "Mapping[str, str]") -> None:
    """Start a process that renews ``token``, unless somebody else has just now.

    It holds none of the caller's descriptors, is in a session of its own, and lets signals through.
    """
    folder = cache.directory(environ)
    # Where no claim can be written, no new token can be kept either.
    if folder is None or not schedule.claim(folder, token, unwritable=False):
        return
    # How this program was started, without its arguments.
    begin = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    argv = [*begin, RENEWAL, token.host, str(token.issued)]
    argv[0] = sys.executable or argv[0]
    if "AWS_ECR_LOG" in environ:
        from . import trace

        trace.note(environ, "renewing behind the answer", host=token.host)
    try:
        if os.name == "nt":  # pragma: no cover - Windows
            _spawn_on_windows(argv)
        else:
            null = os.open(os.devnull, os.O_RDWR)
            os.posix_spawn(
                argv[0],
                argv,
                dict(environ),
                file_actions=[(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1, 2)],
                setsid=True,
                setsigmask=(),
            )
    except (OSError, NotImplementedError):
        pass  # renewed before the answer instead, when the time comes


def run(host: str, environ: "Mapping[str, str]", issued: int) -> None:
    """Renew the token of ``host`` that was issued at ``issued``: the process behind an answer.

    Raises ``HelperError``, for nobody to read.
    """
    if os.name == "posix":  # pragma: no branch - Windows
        os.umask(0o077)  # of the caller, who knows what it was
        home = environ.get("HOME", "")  # of which a tilde is a name, as botocore takes it
        if os.path.isabs(home or "/") and not any(
            _is_relative(environ.get(name, "")) for name in _PATH_VARIABLES
        ):
            os.chdir("/")  # the caller's directory may be unmounted meanwhile
        # Whatever the caller's parent had open.
        os.closerange(3, min(os.sysconf("SC_OPEN_MAX"), _DESCRIPTORS))
    from . import renewal

    renewal.renew(host, environ, newer_than=issued, spare=True)


def _is_relative(path: str) -> bool:
    return bool(path) and not path.startswith(("/", "~"))


def _spawn_on_windows(argv: list[str]) -> None:  # pragma: no cover - Windows
    import subprocess

    if sys.platform == "win32":
        # A console without a window: what the renewal starts would else be given one with.
        flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        # Out of the caller's job, which may end with it; CI agents make jobs that let nobody out.
        for more in (subprocess.CREATE_BREAKAWAY_FROM_JOB, 0):
            try:
                subprocess.Popen(  # noqa: S603 - our own executable
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    close_fds=True,
                    creationflags=flags | more,
                )
            except PermissionError:
                continue
            return
