"""doctor: checks the whole way, from PATH to the registry, each result with what to do about it."""

import os
import sys
import time

from .. import __version__, cache, registry, renewal, settings, tokens
from ..deadline import Deadline
from ..errors import HelperError, Unavailable, one_line
from . import docker

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import Any

    from ..ecr.request import Survey
    from ..registry import Registry
    from ..settings import Rule, Settings
    from .console import Console

SUMMARY = "check everything, from PATH to the registry"
DESCRIPTION = """\
Check, in this order: the executable, Docker's configuration, our own, the AWS
credentials, the cache, the endpoint, the proxy and the clock; then ask AWS who
you are and for a token, and the registry to accept it. Every finding is ok, a
warning or an error, with what to do about it. Exit code 1 if any is an error."""
EXAMPLE = """\
  docker-credential-ecr doctor 123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr doctor --offline --json
"""
EXECUTABLE = f"docker-credential-{docker.HELPER}"
OK, WARNING, ERROR, SKIPPED = "ok", "warning", "error", "skipped"
_PATIENCE = 8  # seconds for one connection of our own
_SKEW = 300  # seconds by which AWS lets a clock be wrong (Signature Version 4)
_SKEW_SEEN = 60  # seconds worth a word
_HTTP_OK = 200
_ENDPOINTS = ("AWS_ENDPOINT_URL_{}", "AWS_ENDPOINT_URL")


class Finding:
    """One result: the check's name, the state, a line, and hints that are actions."""

    __slots__ = ("hints", "message", "name", "state")

    def __init__(self, name: str, state: str, message: str, *hints: str) -> None:
        self.name = name
        self.state = state
        self.message = message
        self.hints = hints


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registry",
        metavar="REGISTRY",
        nargs="?",
        help="an ECR host, or a mapped name; without it the first in Docker's credHelpers, "
        "or that of your account and region",
    )
    parser.add_argument(
        "--offline",
        action="store_true",
        help="only what can be seen on this machine",
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out."""
    doctor = _Doctor(console, offline=arguments.offline, quiet=arguments.json)
    doctor.examine(arguments.registry)
    failed = any(finding.state == ERROR for finding in doctor.findings)
    if arguments.json:
        import json

        report = {
            "version": __version__,
            "registry": doctor.server,
            "ok": not failed,
            "checks": [
                {"name": f.name, "state": f.state, "message": f.message, "hints": list(f.hints)}
                for f in doctor.findings
            ],
        }
        console.answer(json.dumps(report, indent=1))
    return 1 if failed else 0


class _Doctor:
    """The checks, in order, and what the earlier ones found out for the later ones."""

    def __init__(self, console: "Console", *, offline: bool, quiet: bool) -> None:
        self.console = console
        self.environ = console.environ
        self.offline = offline
        self.quiet = quiet
        self.findings: list[Finding] = []
        self.server: str | None = None  # as Docker writes it: host, or host:port
        self.where: Registry | None = None
        self.rule: Rule | None = None
        self.settings: Settings | None = None
        self.config: docker.DockerConfig | None = None
        self.survey: Survey | None = None
        self.date: float | None = None  # the service's clock less ours, in seconds
        self.secret = ""

    @property
    def host(self) -> str:
        return (self.server or "").partition(":")[0]

    def examine(self, named: str | None) -> None:
        """Run every check."""
        if named is not None:
            host = registry.host_of(named)
            if host is None:
                raise HelperError(
                    "that is not the name of a registry",
                    "write a host, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com",
                )
            port = named.strip().rpartition("://")[2].partition("/")[0].partition(":")[2]
            self.server = f"{host}:{port}" if port else host
        self._check("executable", self._executable)
        self._check("docker", self._docker)
        self._check("auths", self._auths)
        self._check("config", self._config)
        self._check("fallback", self._fallback)
        self._check("registry name", self._choose)
        self._check("credentials", self._credentials)
        self._check("cache", self._cache)
        self._check("endpoint", self._endpoint)
        self._check("proxy", self._proxy)
        self._check("clock", self._clock)
        self._check("identity", self._identity)
        self._check("token", self._token)
        self._check("registry", self._registry)

    def _check(self, name: str, check: "Callable[[], list[Finding]]") -> None:
        self.name = name
        try:
            found = check()
        except HelperError as error:
            found = [self._finding(ERROR, error.reason, *error.hints)]
        for finding in found:
            self.findings.append(finding)
            if not self.quiet:
                self._print(finding)

    def _print(self, finding: Finding) -> None:
        state = self.console.coloured(finding.state) + " " * (8 - len(finding.state))
        self.console.answer(f"{state} {finding.name}: {finding.message}")
        for hint in finding.hints:
            self.console.answer(f"         hint: {hint}")
        self.console.stdout.flush()

    def _finding(self, state: str, message: str, *hints: str) -> Finding:
        return Finding(self.name, state, message, *hints)

    def _ok(self, message: str) -> list[Finding]:
        return [self._finding(OK, message)]

    def _skipped(self, why: str) -> list[Finding]:
        return [self._finding(SKIPPED, why)]

    # The checks, in order.

    def _executable(self) -> list[Finding]:
        import shutil
        import subprocess

        path = shutil.which(EXECUTABLE, path=self.environ.get("PATH"))
        folder = os.path.dirname(os.path.abspath(sys.argv[0]))
        if path is None:
            return [
                self._finding(
                    ERROR,
                    f'"{EXECUTABLE}" is not on PATH, so Docker does not find it',
                    f'run, and add to your shell\'s start-up file: export PATH="{folder}:$PATH"',
                )
            ]
        try:
            done = subprocess.run(  # noqa: S603 - found on PATH under our own name, as Docker does
                [path, "version"], capture_output=True, timeout=_PATIENCE, check=True
            )
            version = done.stdout.decode("ascii", "replace").split()[-1]
        except (OSError, subprocess.SubprocessError, IndexError):
            return [
                self._finding(
                    ERROR,
                    f'"{one_line(path)}" does not run',
                    "install it anew: pip install --force-reinstall docker-credential-ecr",
                )
            ]
        if version != __version__:
            return [
                self._finding(
                    WARNING,
                    f'"{one_line(path)}" is version {one_line(version)}, this is {__version__}',
                    f'put this one first: export PATH="{folder}:$PATH"',
                )
            ]
        return self._ok(f'"{one_line(path)}", version {version}')

    def _docker(self) -> list[Finding]:
        self.config = config = docker.read(docker.config_path(self.environ))
        shown = one_line(config.path)
        ours = config.ours()
        if self.server is None and ours:
            self.server = ours[0]
        command = f"run: docker-credential-ecr configure {self.server or '--all'}"
        helper = config.helper_for(self.server or "")
        if self.server is None and helper != docker.HELPER:
            return [
                self._finding(
                    ERROR,
                    f'Docker asks this helper for no registry: no credHelpers in "{shown}"',
                    "run: docker-credential-ecr configure REGISTRY, or configure --all",
                )
            ]
        if not helper:
            return [
                self._finding(
                    ERROR,
                    f'Docker does not ask this helper for "{self.server}": '
                    f'it is not in credHelpers in "{shown}"',
                    command,
                )
            ]
        if helper != docker.HELPER:
            return [
                self._finding(
                    ERROR,
                    f'Docker asks another helper for "{self.server}": '
                    f'"{one_line(helper)}" in "{shown}"',
                    command,
                )
            ]
        key = "credHelpers" if self.server in ours else "credsStore"
        return self._ok(f'{key} in "{shown}" name this helper for "{self.server or "all"}"')

    def _auths(self) -> list[Finding]:
        if self.config is None:
            return self._skipped("Docker's configuration cannot be read")
        hosts = [self.host] if self.server else []
        hosts += [server.partition(":")[0] for server in self.config.ours()]
        logins = self.config.logins()
        shadowing = [logins[host] for host in dict.fromkeys(hosts) if host in logins]
        return [
            self._finding(
                WARNING,
                f'auths has a login of its own for "{one_line(key)}" in '
                f'"{one_line(self.config.path)}": clients that know no helpers use it, '
                "though it ends 12 hours after it was made",
                f"run: docker logout {one_line(key)}",
            )
            for key in shadowing
        ] or self._ok("no login stands beside this helper")

    def _config(self) -> list[Finding]:
        self.settings = found = settings.load(self.environ)
        if found.path is None:
            return self._ok("no config.toml: the default AWS credentials serve every registry")
        rules = f"{len(found.rules)} rule{'' if len(found.rules) == 1 else 's'}"
        shown = one_line(found.path)
        self.rule = found.rule_for(self.host) if self.server else None
        if self.rule is None:
            return self._ok(f'"{shown}", {rules}')
        chosen = one_line(self.rule.identity) or "the default credentials"
        number = found.rules.index(self.rule) + 1
        return self._ok(
            f'"{shown}", {rules}; number {number} answers for "{self.host}", with {chosen}'
        )

    def _fallback(self) -> list[Finding]:
        from .. import fallback

        if self.settings is None:
            return self._skipped("config.toml cannot be used")
        helper = self.settings.fallback
        if helper is not None:
            return self._ok(f'"{one_line(fallback.executable(helper))}" answers for other hosts')
        if self.config is not None and self.config.store == docker.HELPER:
            return [
                self._finding(
                    WARNING,
                    "Docker asks this helper for every registry, and none answers for other hosts",
                    f'name one in "{one_line(docker.rules_path(self.environ))}", such as: '
                    '[fallback] helper = "pass"',
                )
            ]
        return self._ok("none is needed")

    def _choose(self) -> list[Finding]:
        """Settle which registry the rest is about."""
        if self.server is None:
            if self.offline:
                return self._skipped("no registry is named")
            from .token import default_registry

            try:
                self.server = default_registry(self.console)
            except HelperError as error:
                reason = f"no registry is named, and {_bare(error.reason)}"
                return [self._finding(ERROR, reason, *error.hints)]
            if self.settings is not None:
                self.rule = self.settings.rule_for(self.host)
        mapped = self.rule.registry if self.rule is not None else None
        self.where = registry.parse(mapped or self.host)
        if self.where is not None:
            behind = f', in front of "{mapped}"' if mapped else ""
            kind = "ECR Public" if self.where.service == "ecr-public" else "ECR"
            flavour = self.where.scope.partition(self.where.region)[2]
            return self._ok(f'"{self.host}"{behind}: {kind}, {self.where.region}{flavour}')
        if self.settings is None:
            return self._skipped("config.toml cannot be used, and this is no ECR hostname")
        return [
            self._finding(
                ERROR,
                f'"{self.host}" is not an ECR registry, and no rule maps it to one',
                "correct its spelling, or add a [[registry]] rule with match and registry to "
                f'"{one_line(docker.rules_path(self.environ))}"',
            )
        ]

    def _credentials(self) -> list[Finding]:
        from ..ecr.request import survey

        where = self.where
        if where is None:
            return self._skipped("it is not known for which registry")
        deadline = Deadline(renewal.timeout_of(self.environ), f'"{where.host}"')
        self.survey = found = deadline.run(
            lambda: survey(where, self.rule, self.environ, deadline, offline=self.offline)
        )
        profile = f', profile "{one_line(found.profile)}"' if found.profile else ""
        role = f', then the role "{self.rule.role_arn}"' if self.rule and self.rule.role_arn else ""
        if found.method:
            return self._ok(f"by way of {one_line(found.method)}{profile}{role}")
        if self.offline:
            return self._skipped("none in the environment and files; the network was not asked")
        if where.service == "ecr-public":
            return [
                self._finding(
                    WARNING,
                    "no AWS credentials: ECR Public serves anonymously, within tighter limits",
                    "run: aws configure, or aws configure sso",
                )
            ]
        return [
            self._finding(
                ERROR,
                "no AWS credentials: none in the environment, the AWS files, a container or the "
                "instance metadata service",
                "run: aws configure, or aws configure sso",
                "or name a profile: AWS_PROFILE=... or a [[registry]] rule in config.toml",
            )
        ]

    def _cache(self) -> list[Finding]:  # noqa: PLR0911 - one case a fault
        folder = cache.directory(self.environ)
        if folder is None:
            off = bool(self.environ.get("AWS_ECR_DISABLE_CACHE"))
            return [
                self._finding(
                    WARNING,
                    "tokens are not kept: " + ("the cache is switched off" if off else "no home"),
                    "run: unset AWS_ECR_DISABLE_CACHE" if off else "set HOME, or AWS_ECR_CACHE_DIR",
                )
            ]
        shown = one_line(folder)
        if not os.path.isdir(folder):
            if os.path.lexists(folder):
                return [
                    self._finding(
                        ERROR, f'"{shown}" is not a directory', f"remove it: rm '{shown}'"
                    )
                ]
            return self._ok(f'"{shown}", not there yet')
        wide = [path for path in _paths(folder) if _is_wide(path)]
        if wide:
            return [
                self._finding(
                    ERROR,
                    f'others may read or change "{one_line(wide[0])}"',
                    f"run: chmod -R go= '{shown}'",
                )
            ]
        foreign = [path for path in _paths(folder) if _is_foreign(path)]
        if foreign:
            return [
                self._finding(
                    ERROR,
                    f'"{one_line(foreign[0])}" belongs to another user, and is not used',
                    f"run: sudo chown -R \"$USER\" '{shown}'",
                )
            ]
        if not os.access(folder, os.W_OK | os.X_OK):
            return [
                self._finding(
                    WARNING,
                    f'"{shown}" cannot be written, so every pull asks AWS',
                    f"run: chmod u+rwx '{shown}'",
                )
            ]
        now = time.time()
        hosts = cache.hosts(folder)
        count = sum(1 for host in hosts for _ in cache.entries(folder, host))
        usable = sum(1 for host in hosts if cache.lookup(folder, host, self.environ, now))
        return self._ok(f'"{shown}", {count} kept, for {usable} of {len(hosts)} hosts usable now')

    def _endpoint(self) -> list[Finding]:
        found = self.survey
        if found is None:
            return self._skipped("it is not known which: see credentials")
        host = _host(found.endpoint)
        origin = self._origin_of_endpoint()
        hints = []
        if origin:
            hints = [f"if that is not meant: {origin}"]
        if not self.offline:
            try:
                self.date = _probe(found.endpoint, found.authorities)
            except OSError as error:
                return [
                    self._finding(
                        ERROR,
                        f'"{host}" cannot be reached: {_reason(error)}',
                        *hints,
                        "check DNS and the route: without internet access this network needs VPC "
                        "endpoints for ECR and STS, or HTTPS_PROXY",
                    )
                ]
        if origin:
            return [
                self._finding(WARNING, f'the API is called at "{host}", by your setting', *hints)
            ]
        return self._ok(f'"{host}"')

    def _origin_of_endpoint(self) -> str:
        """Return how the user's endpoint setting is taken back, or an empty string without one."""
        found, where = self.survey, self.where
        if found is None or where is None or found.endpoint == found.plain_endpoint:
            return ""
        if self.rule is not None and self.rule.endpoint_url:
            return "remove endpoint_url from the rule in config.toml"
        service = where.service.upper().replace("-", "_")
        for name in _ENDPOINTS:
            variable = name.format(service)
            if self.environ.get(variable):
                return f"unset {variable}"
        return (
            "remove endpoint_url from the AWS config file, or set "
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true"
        )

    def _proxy(self) -> list[Finding]:
        import socket
        from urllib.parse import urlsplit

        if self.survey is None:
            return self._skipped("it is not known for which endpoint: see credentials")
        variable, url = _proxy_for(self.survey.endpoint, self.environ)
        if not url:
            return self._ok("none for this endpoint")
        host = _host(url)
        hint = f"check {variable}, or exempt AWS: NO_PROXY=.amazonaws.com"
        if not self.offline:
            try:
                parts = urlsplit(url if "://" in url else f"http://{url}")
                address = (parts.hostname or "", parts.port or 80)
                socket.create_connection(address, _PATIENCE).close()
            except (OSError, ValueError) as error:
                return [
                    self._finding(
                        ERROR,
                        f'the proxy "{host}" of {variable} does not answer: {_reason(error)}',
                        hint,
                    )
                ]
        return self._ok(f'"{host}", by {variable}')

    def _clock(self) -> list[Finding]:
        if self.date is None:
            return self._skipped("the service's time is not known")
        skew = self.date
        size, side = abs(skew), "slow" if skew > 0 else "fast"
        if size <= _SKEW_SEEN:
            return self._ok("agrees with the service's")
        return [
            self._finding(
                ERROR if size > _SKEW else WARNING,
                f"this machine's clock is {int(size) // 60} min {side}; AWS refuses requests "
                f"beyond {_SKEW // 60} min",
                "set it: timedatectl set-ntp true",
            )
        ]

    def _identity(self) -> list[Finding]:
        from ..ecr.request import caller

        if self.offline:
            return self._skipped("offline")
        if self.survey is None or not self.survey.method:
            return self._skipped("there are no AWS credentials to ask with")
        profile = self.rule.profile if self.rule is not None else None
        try:
            deadline = Deadline(renewal.timeout_of(self.environ), "the caller's identity")
            arn = deadline.run(lambda: caller(self.environ, deadline, profile).arn)
        except Unavailable as error:
            # ECR may well answer where STS cannot be reached.
            return [self._finding(WARNING, _bare(error.reason), *error.hints)]
        except HelperError as error:
            return [self._finding(ERROR, _bare(error.reason), *error.hints)]
        return self._ok(f'"{one_line(arn)}"')

    def _token(self) -> list[Finding]:
        if self.offline:
            return self._skipped("offline")
        if self.survey is None or not self.survey.method:
            return self._skipped("there are no AWS credentials to ask with")
        # One that AWS issues now: the cache says nothing about permissions.
        token = tokens.renew(self.host, self.environ, newer_than=time.time())
        if token is None:
            return self._skipped("this is no ECR registry")
        self.secret = token.secret
        served = tokens.authorize(self.host, self.environ)
        ends = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(token.expires))
        if served is not None and served.is_login:
            self.secret = served.secret
            return [
                self._finding(
                    WARNING,
                    "AWS gave one, but a login of your own answers in its place",
                    f"run: docker logout {self.server}",
                )
            ]
        return self._ok(f"AWS gave one, valid until {ends}")

    def _registry(self) -> list[Finding]:
        if self.offline:
            return self._skipped("offline")
        if not self.secret:
            return self._skipped("there is no token to show it")
        region = self.where.region if self.where is not None else "REGION"
        try:
            status = _ask(f"https://{self.server}/v2/", self.host, self.secret)
        except OSError as error:
            return [
                self._finding(
                    ERROR,
                    f'"{self.server}" cannot be reached: {_reason(error)}',
                    "check DNS and the route: without internet access this network needs the VPC "
                    f"endpoint com.amazonaws.{region}.ecr.dkr, or HTTPS_PROXY",
                )
            ]
        if status in (401, 403):
            return [
                self._finding(
                    ERROR,
                    f'"{self.server}" refuses the token, with status {status}',
                    f"see which identity it is for, and get a new one: "
                    f"docker-credential-ecr refresh {self.host}",
                    "check the account in the registry's name, and VPC endpoint policies",
                )
            ]
        if status != _HTTP_OK:
            return [
                self._finding(
                    ERROR,
                    f'"{self.server}" does not answer as a registry, with status {status}',
                    "check what stands in front of it: a proxy, or a mapping in config.toml",
                )
            ]
        return self._ok(f'"{self.server}" accepts the token')


def _paths(folder: str) -> list[str]:
    found = [folder]
    for place, folders, files in os.walk(folder):
        found += [os.path.join(place, name) for name in [*folders, *files]]
    return found


def _is_wide(path: str) -> bool:
    try:
        return (
            os.name == "posix" and bool(os.lstat(path).st_mode & 0o077) and not os.path.islink(path)
        )
    except OSError:
        return False  # gone meanwhile


def _is_foreign(path: str) -> bool:
    try:
        return os.name == "posix" and os.lstat(path).st_uid != os.geteuid()
    except OSError:
        return False  # gone meanwhile


def _host(url: str) -> str:
    """Return host and port of a URL, without user info."""
    authority = url.rpartition("://")[2].partition("/")[0]
    return one_line(authority.rpartition("@")[2])


def _proxy_for(url: str, environ: "Any") -> tuple[str, str]:
    """Return the variable and the URL of the proxy for ``url``, both empty without one."""
    from urllib.request import proxy_bypass

    host = url.rpartition("://")[2].partition("/")[0]
    if proxy_bypass(host):
        return "", ""
    scheme = url.partition("://")[0]
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        if environ.get(name):
            return name, environ[name]
    return "", ""


def _probe(url: str, authorities: str) -> float | None:
    """Return by how many seconds the service's clock is ahead of ours. Raises ``OSError``."""
    from email.utils import mktime_tz, parsedate_tz

    _, headers = _get(url, {}, [authorities] if authorities else [])
    date = parsedate_tz(headers.get("Date", ""))
    return mktime_tz(date) - time.time() if date else None


def _ask(url: str, host: str, secret: str) -> int:
    """Return the status with which a registry answers. Raises ``OSError``."""
    import base64
    import glob

    # Where Docker looks for the authorities of one registry.
    authorities = glob.glob(f"/etc/docker/certs.d/{host}*/*.crt")
    basic = base64.b64encode(f"AWS:{secret}".encode()).decode()
    return _get(url, {"Authorization": f"Basic {basic}"}, authorities)[0]


def _get(url: str, headers: dict[str, str], authorities: list[str]) -> "tuple[int, Any]":
    """Return status and headers of a GET, whatever the status. Raises ``OSError``."""
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: "Any") -> None:
            return None  # the token is for this host only

    context = ssl.create_default_context()
    for path in authorities:
        context.load_verify_locations(path)
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), NoRedirect())
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, or the user's own
    try:
        with opener.open(request, timeout=_PATIENCE) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(type(error).__name__) from None


def _reason(error: Exception) -> str:
    """Return what the system says, without what may be in a URL."""
    inner = getattr(error, "reason", error)
    text = getattr(inner, "strerror", None) or getattr(inner, "verify_message", None)
    return one_line(str(text or inner or type(inner).__name__)).lower()[:120]


def _bare(reason: str) -> str:
    """Return a reason without what it was for, which the check's name says."""
    return reason.removeprefix('cannot get a token for "sts": ')
