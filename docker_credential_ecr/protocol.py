"""Docker's credential helper protocol: get, store, erase, list, version.

Each conversation takes the request's bytes and returns an ``Answer``; nothing here touches a
stream. The sentences and exit codes are those of docker/docker-credential-helpers, which clients
compare to the letter.
"""

from . import PROGRAM, USER, __version__, cache, server_url, tokens
from .errors import (
    NO_SERVER_URL,
    NO_USERNAME,
    Answer,
    CredentialsNotFound,
    HelperError,
    ProtocolError,
    report,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .settings import Settings

REQUEST_LIMIT = 64 << 10  # bytes, 64 KiB; a login is a few KiB
READS = ("get", "store", "erase")  # the actions that have a request; the others read no stdin
DISK_LIMIT = 5.0  # seconds for what cannot be done without the disk: a login, a logout, the rules


def converse(action: str, request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Return the answer to an action of Docker's. ``request`` is what came on stdin.

    Raises ``HelperError``, which ``failure`` makes an answer of.
    """
    if action == "get":
        return get(request, environ)
    if action == "store":
        return store(request, environ)
    if action == "erase":
        return erase(request, environ)
    if action == "list":
        return list_(environ)
    return Answer(f"{PROGRAM} ({__package__}) {__version__}\n".encode())


def failure(action: str, error: HelperError) -> Answer:
    """Return the answer that says ``error``: some clients show stdout, others stderr.

    Clients crash when erase fails, and stop when list does: these say it to people alone.
    """
    said = report("error", error)
    if action == "erase":
        return Answer(stderr=said)
    if action == "list":
        return Answer(b"{}\n")
    reason = f"{error.reason}\n".encode("utf-8", "replace")
    return Answer(reason, stderr=b"" if isinstance(error, ProtocolError) else said, status=1)


def get(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Answer with the credentials for the server URL that ``request`` is."""
    asked = _asked(request)
    host = server_url.host_of(asked)
    token = None
    if host is not None:
        token = tokens.served(host, environ)
    if token is None and (host is None or not _is_ecr(host)):
        rules = _rules(environ)
        if host is None or rules.behind(host) is None:
            answer = _elsewhere(rules, "get", request, environ)
            if answer is None:
                raise CredentialsNotFound
            return answer
    if host is not None:
        token = tokens.renewed(token, host, environ)
    if token is None:
        raise CredentialsNotFound
    # Neither needs escaping: host_of and the cache's format see to that.
    credentials = f'{{"ServerURL":"{asked}","Username":"{USER}","Secret":"{token.secret}"}}\n'
    return Answer(credentials.encode("ascii"), behind=token)


def store(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Keep an ECR login: {"ServerURL": ..., "Username": "AWS", "Secret": ...}."""
    asked, username, secret = _login(request)
    if not asked:
        raise ProtocolError(NO_SERVER_URL)
    if not username:
        raise ProtocolError(NO_USERNAME)
    host = server_url.host_of(asked)
    if host is None or not _is_ours(host, environ):
        answer = _elsewhere(_rules(environ), "store", request, environ)
        if answer is not None:
            return answer
        if _ignores_logins(environ):
            return Answer()
        raise HelperError(
            f'"{server_url.shown(asked)}" is not an ECR registry: its login is not kept here',
            'list ECR registries under "credHelpers" in place of "credsStore": "ecr"',
            "or name a fallback helper: [fallback] helper in config.toml",
        )
    if _ignores_logins(environ):
        _note(environ, "store", host=host, done="nothing: AWS_ECR_IGNORE_CREDS_STORAGE")
        return Answer()
    _note(environ, "store", host=host)
    if username != USER:
        raise HelperError(
            f'the only user of "{host}" is "{USER}"',
            f"run: aws ecr get-login-password | docker login -u AWS --password-stdin {host}",
        )
    from . import login

    if not cache.in_time(lambda: login.keep(host, secret, environ), DISK_LIMIT):
        raise HelperError(
            f'the login of "{host}" could not be written within {DISK_LIMIT:g} s',
            "check that the file system of the cache responds",
            "or set AWS_ECR_CACHE_DIR to a directory on another one",
        )
    return Answer()


def erase(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Forget the tokens of a registry. Succeeds always: clients crash when it does not."""
    url = request.decode("utf-8", "replace").strip()
    host = server_url.host_of(url.removeprefix("http://"))
    if host is None or not _is_ours(host, environ):
        return _elsewhere(_rules(environ), "erase", request, environ) or Answer()
    folder = cache.directory(environ)
    if folder is None or _ignores_logins(environ):
        return Answer()
    from . import keeping

    _note(environ, "erase", host=host)
    erased: list[bool] = []
    cache.in_time(lambda: erased.append(keeping.erase(folder, host)), DISK_LIMIT)
    if not all(erased or [False]):
        raise HelperError(
            f'the tokens of "{host}" could not all be removed',
            "check that the cache can be written: docker-credential-ecr doctor --offline",
        )
    return Answer()


def list_(environ: "Mapping[str, str]") -> Answer:
    """Answer with the hosts that ``get`` would serve from the cache now, as {host: user}.

    The hosts are plain: containers/image fails on names with a scheme. No network, and no failure:
    a client that asks for the list stops at an error.
    """
    import json

    listed: dict[str, str] = {}
    try:
        answer = _elsewhere(_rules(environ), "list", b"", environ)
        if answer is not None and answer.status == 0:
            theirs: Any = json.loads(answer.stdout)
            listed = {str(host): str(user) for host, user in theirs.items()}
    except (HelperError, ValueError, AttributeError, RecursionError):
        pass
    ours: list[str] = []
    cache.in_time(lambda: ours.extend(_served(environ)), cache.DISK_LIMIT)
    listed.update(dict.fromkeys(tuple(ours), USER))
    return Answer(json.dumps(listed, separators=(",", ":")).encode() + b"\n")


def _served(environ: "Mapping[str, str]") -> list[str]:
    from time import time

    folder = cache.directory(environ)
    now = time()
    hosts = cache.hosts(folder) if folder is not None else []
    return [host for host in hosts if cache.lookup(folder or "", host, environ, now) is not None]


def _is_ecr(host: str) -> bool:
    from . import registry

    return registry.parse(host) is not None


def _is_ours(host: str, environ: "Mapping[str, str]") -> bool:
    if _is_ecr(host):
        return True
    folder = cache.directory(environ)
    if folder is not None and cache.entries(folder, host):
        return True  # whatever has become of the rule that mapped it
    return _rules(environ).behind(host) is not None


def _rules(environ: "Mapping[str, str]") -> "Settings":
    from . import settings

    found: list[Settings] = []
    if not cache.in_time(lambda: found.append(settings.load(environ)), DISK_LIMIT):
        raise HelperError(
            f"config.toml could not be read within {DISK_LIMIT:g} s",
            "check that its file system responds, or name another file: AWS_ECR_CONFIG_FILE",
        )
    return found[0]


def _ignores_logins(environ: "Mapping[str, str]") -> bool:
    return environ.get("AWS_ECR_IGNORE_CREDS_STORAGE", "").lower() == "true"


def _elsewhere(
    rules: "Settings", action: str, request: bytes, environ: "Mapping[str, str]"
) -> Answer | None:
    """Return the fallback helper's answer, unchanged, or ``None`` if the user named none."""
    if rules.fallback is None:
        return None
    from . import fallback

    if fallback.is_of_aws(rules.fallback):  # it would know no more of other hosts than we do
        return None
    _note(environ, action, helper=rules.fallback)
    status, stdout, stderr = fallback.delegate(rules.fallback, action, request, environ)
    return Answer(stdout, status=status, stderr=stderr)


def _note(environ: "Mapping[str, str]", event: str, **facts: object) -> None:
    if "AWS_ECR_LOG" in environ:
        from . import trace

        trace.note(environ, event, **facts)


def _asked(request: bytes) -> str:
    try:
        asked = request.decode("utf-8").strip(server_url.WHITE)
    except UnicodeDecodeError:
        raise CredentialsNotFound from None
    if not asked:
        raise ProtocolError(NO_SERVER_URL)
    return asked


def _login(request: bytes) -> tuple[str, str, str]:
    import json

    try:
        login = json.loads(request)
        fields = [login.get(key, "") for key in ("ServerURL", "Username", "Secret")]
        if not all(isinstance(field, str) for field in fields):
            raise ValueError  # noqa: TRY301 - one message for all that is malformed
    except (ValueError, AttributeError, RecursionError):
        # Never say what came: it holds a password.
        raise HelperError(
            "the login is not a JSON object of ServerURL, Username and Secret",
            "let docker login send it",
        ) from None
    asked, username, secret = fields
    return asked.strip(server_url.WHITE), username, secret
