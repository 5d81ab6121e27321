"""Docker's credential helper protocol: get, store, erase, list, version.

Each conversation takes the request's bytes and returns an ``Answer``; nothing here touches a
stream. The sentences and exit codes are those of docker/docker-credential-helpers, which clients
compare to the letter.
"""

from . import __version__, cache, registry, tokens
from .errors import (
    NO_SERVER_URL,
    NO_USERNAME,
    CredentialsNotFound,
    HelperError,
    NoCredentials,
    ProtocolError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

USER = "AWS"  # the only user that ECR knows
REQUEST_LIMIT = 64 << 10  # bytes, 64 KiB; a login is a few KiB
ACTIONS = ("get", "store", "erase", "list", "version")


class Answer:
    """What to say: bytes for stdout, an error for people, the exit code, the token to renew."""

    __slots__ = ("behind", "error", "status", "stderr", "stdout")

    def __init__(
        self,
        stdout: bytes = b"",
        *,
        status: int = 0,
        error: HelperError | None = None,
        behind: cache.Token | None = None,
        stderr: bytes = b"",
    ) -> None:
        self.stdout = stdout
        self.status = status
        self.error = error
        self.behind = behind
        self.stderr = stderr


def converse(  # noqa: PLR0911 - one case a conversation
    action: str, request: bytes, environ: "Mapping[str, str]"
) -> Answer:
    """Return the answer to one of ``ACTIONS``. ``request`` is what came on stdin."""
    try:
        if action == "get":
            return get(request, environ)
        if action == "store":
            return store(request, environ)
        if action == "erase":
            return erase(request, environ)
        if action == "list":
            return list_(environ)
        return Answer(f"{cache.APPLICATION} ({__package__}) {__version__}\n".encode())
    except ProtocolError as error:
        return Answer(f"{error.reason}\n".encode(), status=1)
    except HelperError as error:
        return failure(error)


def failure(error: HelperError) -> Answer:
    """Return the answer that says ``error``: some clients show stdout, others stderr."""
    return Answer(f"{error.reason}\n".encode("utf-8", "replace"), status=1, error=error)


def get(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Answer with the credentials for the server URL that ``request`` is."""
    server_url = _server_url(request)
    host = registry.host_of(server_url)
    token = None
    if host is not None:
        try:
            token = tokens.authorize(host, environ)
        except NoCredentials:
            found = registry.parse(host)
            if found is not None and found.service == "ecr-public":
                raise CredentialsNotFound from None  # the client goes on anonymously
            raise
    if token is None:
        answer = _elsewhere("get", request, environ)
        if answer is None:
            raise CredentialsNotFound
        return answer
    # Neither needs escaping: host_of and the cache's format see to that.
    credentials = f'{{"ServerURL":"{server_url}","Username":"{USER}","Secret":"{token.secret}"}}\n'
    return Answer(credentials.encode("ascii"), behind=token)


def store(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Keep an ECR login: {"ServerURL": ..., "Username": "AWS", "Secret": ...}."""
    server_url, username, secret = _login(request)
    if not server_url:
        raise ProtocolError(NO_SERVER_URL)
    if not username:
        raise ProtocolError(NO_USERNAME)
    host = registry.host_of(server_url)
    if host is None or tokens.target(host, environ) is None:
        answer = _elsewhere("store", request, environ)
        if answer is not None:
            return answer
        raise HelperError(
            f'"{_shown(server_url)}" is not an ECR registry: its login is not kept here',
            'list ECR registries under "credHelpers" in place of "credsStore": "ecr"',
            "or name a fallback helper: [fallback] helper in config.toml",
        )
    if environ.get("AWS_ECR_IGNORE_CREDS_STORAGE", "").lower() == "true":
        return Answer()
    if username != USER:
        raise HelperError(
            f'the user of "{host}" is "{USER}", no other is known to ECR',
            f"run: aws ecr get-login-password | docker login -u AWS --password-stdin {host}",
        )
    tokens.keep_login(host, secret, environ)
    return Answer()


def erase(request: bytes, environ: "Mapping[str, str]") -> Answer:
    """Forget the tokens of a registry. Succeeds always: clients crash when it does not."""
    url = request.decode("utf-8", "replace").strip()
    host = registry.host_of(url.removeprefix("http://"))
    if host is None or registry.parse(host) is None:
        try:
            mapped = host is not None and tokens.target(host, environ) is not None
        except HelperError:
            mapped = False
        if not mapped:
            try:
                return _elsewhere("erase", request, environ) or Answer()
            except HelperError as error:
                return Answer(error=error)  # for people; the client must see a success
    folder = cache.directory(environ)
    ignored = environ.get("AWS_ECR_IGNORE_CREDS_STORAGE", "").lower() == "true"
    if host is not None and folder is not None and not ignored:
        cache.erase(folder, host)
    return Answer()


def list_(environ: "Mapping[str, str]") -> Answer:
    """Answer with the hosts that ``get`` would serve from the cache now, as {"https://host": user}.

    No network, and no failure: a client that asks for the list stops at an error.
    """
    import json
    from time import time

    listed = {}
    folder = cache.directory(environ)
    now = time()
    for host in cache.hosts(folder) if folder is not None else ():
        if cache.lookup(folder or "", host, environ, now) is not None:
            listed[f"https://{host}"] = USER
    try:
        answer = _elsewhere("list", b"", environ)
        if answer is not None and answer.status == 0:
            theirs = json.loads(answer.stdout)
            listed = {**{str(k): str(v) for k, v in theirs.items()}, **listed}
    except (HelperError, ValueError, AttributeError):
        pass
    return Answer(json.dumps(listed, separators=(",", ":")).encode() + b"\n")


def _elsewhere(action: str, request: bytes, environ: "Mapping[str, str]") -> Answer | None:
    """Return the fallback helper's answer, unchanged, or ``None`` if the user named none."""
    from . import settings

    helper = settings.load(environ).fallback
    if helper is None:
        return None
    from . import fallback

    status, stdout, stderr = fallback.delegate(helper, action, request)
    return Answer(stdout, status=status, stderr=stderr)


def _server_url(request: bytes) -> str:
    try:
        server_url = request.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise CredentialsNotFound from None
    if not server_url:
        raise ProtocolError(NO_SERVER_URL)
    return server_url


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
    server_url, username, secret = fields
    return server_url.strip(), username, secret


def _shown(server_url: str) -> str:
    """Return a server URL for a message: the host alone, as user info may hold a password."""
    authority = server_url.partition("://")[2] or server_url
    host = authority.partition("/")[0].rpartition("@")[2].partition("?")[0]
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in host)[:253]
