"""Another credential helper, which answers for every host that is not ours.

What it says, on either stream, and how it ends pass through unchanged.
"""

import os
import sys

from .errors import HelperError, one_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "docker-credential-"  # how Docker names a helper's executable
OURSELVES = "ecr"
# AWS's own helper (awslabs/amazon-ecr-credential-helper), whose name a link to us may have.
OF_AWS = "ecr-login"
# Set for the helper: should it come back to us, by whatever name, we do not ask it again.
_MARK = "DOCKER_CREDENTIAL_ECR_FALLBACK"


def delegate(
    helper: str, action: str, request: bytes, environ: "Mapping[str, str]"
) -> tuple[int, bytes, bytes]:
    """Return (exit code, stdout, stderr) of ``docker-credential-<helper> <action>``.

    ``request`` is what it reads on stdin. Raises ``HelperError`` if there is no such helper, or if
    it is ourselves. There is no time limit: it may be asking the user for a passphrase.
    """
    import subprocess

    path = executable(helper, environ)
    try:
        done = subprocess.run(  # noqa: S603 - a helper that the user named, and no shell
            [path, action],
            input=request,
            capture_output=True,
            check=False,
            env={**environ, _MARK: helper},
        )
    except OSError as error:
        raise HelperError(
            f'cannot run the fallback helper "{one_line(path)}": {error.strerror}',
            "check that it is a program for this machine, and executable",
        ) from None
    # A signal's number is negative here; shells say 128 and the number.
    status = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return status, done.stdout, done.stderr


def executable(helper: str, environ: "Mapping[str, str]") -> str:
    """Return the path of the helper's executable. Raises ``HelperError`` as ``delegate`` does.

    ``helper`` is of ``Settings``: its name is one that a helper can have.
    """
    program = PREFIX + helper
    path = find(program, environ)
    if path is None:
        raise HelperError(
            f'the fallback helper "{program}" is not on PATH',
            f"install {program}, or correct [fallback] helper in config.toml",
        )
    if helper == OURSELVES or _is_us(path, environ) or _MARK in environ:
        raise HelperError(
            f'the fallback helper "{program}" leads back to {PREFIX}{OURSELVES}',
            "name another helper under [fallback] in config.toml, or remove that table",
        )
    return path


def is_of_aws(helper: str | None) -> bool:
    """Whether ``helper`` is AWS's own: it answers for ECR alone, so it is nobody's fallback."""
    return helper == OF_AWS


def is_ours(helper: str, environ: "Mapping[str, str]") -> bool:
    """Whether Docker runs this program for ``helper``: by our name, or AWS's that leads to us."""
    path = find(PREFIX + OF_AWS, environ) if is_of_aws(helper) else None
    return helper == OURSELVES or (path is not None and _is_us(path, environ))


def _is_us(path: str, environ: "Mapping[str, str]") -> bool:
    own = (sys.argv[0], find(PREFIX + OURSELVES, environ))
    return os.path.realpath(path) in {os.path.realpath(name) for name in own if name is not None}


def find(program: str, environ: "Mapping[str, str]") -> str | None:
    """Return the path of ``program`` in the absolute folders of PATH, or ``None``.

    Never in the current directory, where ``shutil.which`` looks first on Windows: whoever can
    write there would be run, and be told the password of a login.
    """
    names = [program]
    if os.name == "nt":  # pragma: no cover - Windows
        ends = environ.get("PATHEXT", "").split(os.pathsep) or [".EXE"]
        names = [program + end for end in ends if end.startswith(".")] or [f"{program}.exe"]
    for folder in environ.get("PATH", os.defpath).split(os.pathsep):
        for name in names if os.path.isabs(folder) else ():
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                return path
    return None
