"""The executable: argv and argv[0] choose one conversation.

The law of output: stdout belongs to the protocol, people read stderr. An error is one lower-case
line that quotes its operand, then hints that are actions. Nothing on stderr when all is well.

Only this module touches ``sys.argv``, the standard streams and the exit code. It leaves with
``os._exit`` after the last write: taking the interpreter down costs a sixth of a hit.
"""

import os
import sys

from . import protocol, tokens
from .errors import HelperError

PROGRAM = "docker-credential-ecr"
KUBELET_NAME = "ecr-credential-provider"  # the cloud provider's plugin, and ...-sa for pods' roles
CHUNK = 64 << 10  # bytes, 64 KiB: a pipe's capacity on Linux


def main() -> None:
    """Hold the conversation that the command line asks for, and leave the process."""
    status = 1
    try:
        _open_standard_streams()
        status = _converse(sys.argv)
    except HelperError as error:
        _complain(error)
    except KeyboardInterrupt:
        status = 130  # 128 + SIGINT, as shells say it
    except BrokenPipeError:
        pass  # nobody is listening
    except Exception as error:  # noqa: BLE001 - a traceback may quote what must not be shown
        _complain(_defect(error))
    os._exit(status)


def _converse(argv: list[str]) -> int:
    action = argv[1] if len(argv) > 1 else ""
    if action in protocol.ACTIONS and len(argv) == 2:  # noqa: PLR2004 - program and action
        try:
            request = b"" if action in ("list", "version") else _read(0, protocol.REQUEST_LIMIT)
            answer = protocol.converse(action, request, os.environ)
        except Exception as error:  # noqa: BLE001 - the client, too, is told of any failure
            answer = protocol.failure(error if isinstance(error, HelperError) else _defect(error))
        _write(1, answer.stdout)
        if answer.stderr:
            _write(2, answer.stderr)
        if answer.error is not None:
            _complain(answer.error)
        if answer.behind is not None:
            tokens.renew_behind(answer.behind, os.environ)
        return answer.status
    if action == tokens.RENEWAL and len(argv) == 4:  # noqa: PLR2004 - host and time of issue
        os.closerange(3, 1024)  # whatever else the caller's parent had open
        tokens.renew(argv[2], os.environ, newer_than=float(argv[3]))
        return 0
    if action == "kubelet" or os.path.basename(argv[0]).startswith(KUBELET_NAME):
        from . import kubelet

        return kubelet.run(lambda limit: _read(0, limit), os.environ, _write)
    from . import commands

    status = commands.run(argv[1:], sys.stdout, sys.stderr, os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def _open_standard_streams() -> None:
    """Put the null device where a standard stream is closed.

    The next file that is opened would take its number, and be sent what is meant for the stream.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _read(descriptor: int, limit: int) -> bytes:
    """Return all that comes on ``descriptor``, which is nothing if it is closed."""
    chunks: list[bytes] = []
    size = 0
    while True:
        try:
            chunk = os.read(descriptor, CHUNK)
        except OSError:
            chunk = b""
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise HelperError(f"the request is longer than {limit >> 10} KiB")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _complain(error: HelperError) -> None:
    lines = [f"{PROGRAM}: error: {error.reason}", *(f"{PROGRAM}: hint: {h}" for h in error.hints)]
    try:
        _write(2, "".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))
    except OSError:
        pass  # nobody is listening


def _defect(error: Exception) -> HelperError:
    """Return what to say of a defect of ours: where it is, not what it held."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        trace = trace.tb_next
    return HelperError(
        f'defect: "{type(error).__name__}" at "{place}"',
        "report it with this line and the version: docker-credential-ecr version",
    )


if __name__ == "__main__":
    main()
