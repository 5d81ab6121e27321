"""The executable: argv and argv[0] choose one conversation.

The law of output: stdout belongs to the protocol, people read stderr. An error is one lower-case
line that quotes its operand, then hints that are actions. Nothing on stderr when all is well.

Only this module touches ``sys.argv``, the standard streams and the exit code. It leaves with
``os._exit`` after the last write: taking the interpreter down costs a sixth of a hit. Once an
answer is written, nothing changes the exit code any more: clients show the stdout of a helper that
fails, and that would be the token.
"""

import os
import sys

from . import ACTIONS, RENEWAL, protocol, tokens
from .errors import Answer, HelperError, has_left, report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KUBELET_NAME = "ecr-credential-provider"  # the cloud provider's plugin, and ...-sa for pods' roles
CHUNK = 64 << 10  # bytes, 64 KiB: a pipe's capacity on Linux
_INTERRUPTED = 130  # 128 + SIGINT, as shells say it


def main() -> None:
    """Hold the conversation that the command line asks for, and leave the process."""
    try:
        _open_standard_streams()
        answer = _answer(sys.argv)
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)
    status = answer.status
    try:
        _write(1, answer.stdout)
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)
    except OSError as error:
        if has_left(error):
            os._exit(1)  # nobody is listening
        status = 1
        answer = Answer(stderr=report("error", _unwritten(error)))
    try:
        _write(2, answer.stderr)
        if "DOCKER_CREDENTIAL_ECR_FRONT" in os.environ:
            from . import herd

            herd.tell(answer, os.environ)
        if answer.behind is not None:
            tokens.renew_behind(answer.behind, os.environ)
    except BaseException:  # noqa: BLE001, S110 - the answer is out
        pass
    os._exit(status)


def _answer(argv: list[str]) -> Answer:  # noqa: PLR0911 - one case a conversation
    """Return what the conversation that ``argv`` names says, whatever becomes of it."""
    action = argv[1] if len(argv) > 1 else ""
    failure: Callable[[HelperError], Answer] = _told
    try:
        if action in ACTIONS and len(argv) == 2:  # noqa: PLR2004 - program and action

            def failure(error: HelperError) -> Answer:
                return protocol.failure(action, error)

            request = _read(protocol.REQUEST_LIMIT) if action in protocol.READS else b""
            return protocol.converse(action, request, os.environ)
        if action == RENEWAL and len(argv) == 4 and argv[3].isdecimal():  # noqa: PLR2004 - host and time of issue
            from . import behind

            behind.run(argv[2], os.environ, int(argv[3]))
            return Answer()
        if action == "kubelet" or os.path.basename(argv[0]).startswith(KUBELET_NAME):
            from . import kubelet

            failure = kubelet.failure
            return kubelet.converse(_read, os.environ)
        from . import commands

        return Answer(status=commands.run(argv[1:], sys.stdout, sys.stderr, os.environ))
    except HelperError as error:
        answer = failure(error)
        answer.conditions = error.conditions
        return answer
    except BrokenPipeError:
        return Answer(status=1)  # nobody is listening
    except Exception as error:  # noqa: BLE001 - a traceback may quote what must not be shown
        return failure(_defect(error))


def _told(error: HelperError) -> Answer:
    return Answer(stderr=report("error", error), status=1)


def _open_standard_streams() -> None:
    """Put the null device where a standard stream is closed.

    The next file that is opened would take its number, and be sent what is meant for the stream.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def _read(limit: int) -> bytes:
    """Return all that comes on stdin, which is nothing if it is closed; ``limit`` is in bytes."""
    chunks: list[bytes] = []
    size = 0
    while True:
        try:
            chunk = os.read(0, CHUNK)
        except BlockingIOError:
            _await(0)
            continue
        except OSError as error:
            raise HelperError(
                f'the request cannot be read: "{error.strerror}"',
                "check where its stdin comes from",
            ) from None
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise HelperError(f"the request is longer than {limit >> 10} KiB")


def _write(descriptor: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            _await(descriptor)


def _await(descriptor: int) -> None:
    """Wait for a stream that its owner has set not to block."""
    import select

    streams = [descriptor]
    select.select(streams if descriptor == 0 else [], streams if descriptor != 0 else [], [])


def _unwritten(error: OSError) -> HelperError:
    return HelperError(
        f'the answer cannot be written: "{error.strerror}"', "check where its stdout goes"
    )


def _defect(error: Exception) -> HelperError:
    """Return what to say of a defect of ours: where it is, not what it held."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        # Others' modules have no lines in the native executable.
        if trace.tb_lineno is not None:
            file = os.path.basename(trace.tb_frame.f_code.co_filename)
            place = f"{file}:{trace.tb_lineno}"
        trace = trace.tb_next
    return HelperError(
        f'defect: "{type(error).__name__}" at "{place}"',
        "report it with this line and the version: docker-credential-ecr version",
    )


if __name__ == "__main__":
    main()
