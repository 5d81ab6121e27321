"""What of AWS's library is loaded: a botocore session for the services that an answer needs.

botocore is boto3's own core; ``import boto3`` itself is left out, as it loads the transfer manager
of another service, which costs more than the rest of a miss (benchmarks/README.md).
"""

import functools
import os

from .explanation import NoTerminal, TooLarge
from .process import Process
from .refusals import is_elsewhere

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

# The services that an answer may need: for the token, for roles, for SSO and login sessions.
_SERVICES = ("ecr", "ecr-public", "signin", "sso", "sso-oidc", "sts")


REPLY_LIMIT = 1 << 20  # bytes, 1 MiB; the largest answer that we ask for has 4 KiB
# What each of botocore's parsers takes for an error without a code: the status alone speaks then.
_NO_ERROR = b"<html></html>"
_LENGTH_DIGITS = 18  # of a Content-Length that are read: int() refuses thousands; 1 EB has 19
_ERROR = 400  # HTTP: from here on AWS's body names an error


def load(profile: str | None, environ: "Mapping[str, str]") -> "Any":
    """Return a botocore session that reads only the data files of the services that we call.

    Left alone, it lists 440 service folders and parses an endpoints.json of 1.2 MB, a third of the
    time that a client takes. The loader is a component that botocore lets its user register; one
    with data paths of the user's own (AWS_DATA_PATH, ~/.aws/models) is left as it is.
    """
    import botocore.exceptions
    import botocore.loaders
    import botocore.session

    _bound()
    session = botocore.session.Session(profile=profile, include_builtin_handlers=False)
    _register_handlers(session)

    class Loader(botocore.loaders.Loader):  # type: ignore[misc]
        """botocore's data loader, for the services that we call."""

        def list_available_services(self, type_name: str) -> list[str]:
            return [service for service in _SERVICES if self._has(service, type_name)]

        def _has(self, service: str, type_name: str) -> bool:
            try:
                return bool(self.list_api_versions(service, type_name))
            except botocore.exceptions.DataNotFoundError:
                return False

        def load_data_with_path(self, name: str) -> "tuple[Any, str]":
            if name == "endpoints":
                try:
                    partitions, path = super().load_data_with_path("partitions")
                    return _endpoints(partitions), path
                except (botocore.exceptions.DataNotFoundError, LookupError, TypeError):
                    pass  # a botocore with other files than those that we know: by its own then
            return super().load_data_with_path(name)  # type: ignore[no-any-return]

    own = os.path.expanduser(botocore.loaders.Loader.CUSTOMER_DATA_PATH)
    if not session.get_config_variable("data_path") and not os.path.isdir(own):
        session.register_component("data_loader", Loader())
    if any(not path.strip() for _, path in _authorities(session, environ)):
        # botocore takes an empty setting for a file without a name.
        session.set_config_variable("ca_bundle", authorities(session, environ)[1] or True)
    return session


def _register_handlers(session: "Any") -> None:
    """Register those of botocore's own handlers that an event of our services may reach.

    Nine of ten are for other services and for manuals; each is held against sixty old names.
    """
    import botocore.handlers as theirs

    events = session.get_component("event_emitter")
    ways = {
        theirs.REGISTER_FIRST: events.register_first,
        theirs.REGISTER_LAST: events.register_last,
    }
    for event, handler, *order in theirs.BUILTIN_HANDLERS:
        kind, service, *_ = f"{event}.".split(".")
        if kind != "docs" and service in ("", "*", *_SERVICES):
            way = ways[order[0]] if order else events.register
            way(event, handler)


def authorities(session: "Any", environ: "Mapping[str, str]") -> tuple[str, str]:
    """Return the setting that names a file of certificate authorities, and the file; or nothing.

    A setting that is empty is as if it were not there.
    """
    for setting, path in _authorities(session, environ):
        if path.strip():
            return setting, path
    return "", ""


def _authorities(session: "Any", environ: "Mapping[str, str]") -> list[tuple[str, str]]:
    """Return the settings that there are, empty or not, in botocore's order."""
    found = (
        ("AWS_CA_BUNDLE", environ.get("AWS_CA_BUNDLE")),
        ("ca_bundle", session.get_scoped_config().get("ca_bundle")),
        ("REQUESTS_CA_BUNDLE", environ.get("REQUESTS_CA_BUNDLE")),
    )
    return [(setting, path) for setting, path in found if path is not None]


@functools.cache
def _bound() -> None:
    """Put limits where botocore has none, and no place for its user to set any.

    The size of a reply, from wherever it comes, and the life of a ``credential_process``. Both by
    a subclass in the place of the class, under its public name; tests hold each to it.
    """
    import botocore.awsrequest
    import botocore.credentials
    import urllib3.exceptions

    class Reply(botocore.awsrequest.AWSResponse):  # type: ignore[misc]
        """A response whose body is read up to a limit, and only where its status lets it count."""

        _content: bytes | None

        @property
        def content(self) -> bytes:
            if self._content is None and is_elsewhere(self.status_code):
                self.raw.close()
                self._content = _NO_ERROR
            if self._content is None:
                chunks: list[bytes] = []
                size = 0
                for chunk in self.raw.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    if size > REPLY_LIMIT:
                        raise TooLarge
                # botocore tells urllib3 not to look, and takes half a body for the whole.
                length = self.headers.get("content-length", "")
                chunked = "transfer-encoding" in self.headers
                if not chunked and length.isdecimal() and size < int(length[:_LENGTH_DIGITS]):
                    raise urllib3.exceptions.ProtocolError("the body ended early")
                self._content = b"".join(chunks)
                if self.status_code >= _ERROR and not _is_error(self._content):
                    self._content = _NO_ERROR
            return self._content

    class Provider(botocore.credentials.ProcessProvider):  # type: ignore[misc]
        """botocore's own, with a process that ends with us."""

        def __init__(self, profile_name: str, load_config: "Callable[[], Any]") -> None:
            super().__init__(profile_name, load_config, popen=Process)

    class RoleProvider(botocore.credentials.AssumeRoleProvider):  # type: ignore[misc]
        """botocore's own, which asks for an MFA code where somebody can type it."""

        def __init__(self, *arguments: "Any", **named: "Any") -> None:
            super().__init__(*arguments, **{"prompter": _asked, **named})

    botocore.credentials.AssumeRoleProvider = RoleProvider
    botocore.awsrequest.AWSResponse = Reply
    botocore.credentials.ProcessProvider = Provider


def _asked(prompt: str) -> str:
    """Return what somebody types at the terminal for ``prompt``, unseen. Raises ``NoTerminal``."""
    import getpass

    if os.name == "posix":  # pragma: no branch - Windows
        try:
            os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
        except OSError:
            # getpass would warn, and read what came on stdin.
            raise NoTerminal from None
    return getpass.getpass(prompt)


def _is_error(content: bytes) -> bool:
    """Whether ``content`` looks like an error of AWS's: a JSON object, or XML with an error."""
    return content.lstrip().startswith(b"{") or b"<Error" in content


def _endpoints(partitions: "Mapping[str, Any]") -> "dict[str, Any]":
    """Return what botocore's endpoints.json says, without its services.

    The endpoint of a request comes from its service's rule set; this gives the partitions' regions
    and names, which partitions.json (7 KB) has too. A test compares every endpoint with boto3's.
    """
    return {
        "version": 3,
        "partitions": [
            {
                "partition": partition["id"],
                "dnsSuffix": partition["outputs"]["dnsSuffix"],
                "regionRegex": partition["regionRegex"],
                "regions": {region: {} for region in partition["regions"]},
                "defaults": {
                    "hostname": "{service}.{region}.{dnsSuffix}",
                    "protocols": ["https"],
                    "signatureVersions": ["v4"],
                    "variants": [
                        {
                            "tags": tags,
                            "hostname": "{service}" + fips + ".{region}.{dnsSuffix}",
                            "dnsSuffix": partition["outputs"][suffix],
                        }
                        for tags, fips, suffix in (
                            (["fips"], "-fips", "dnsSuffix"),
                            (["dualstack"], "", "dualStackDnsSuffix"),
                            (["dualstack", "fips"], "-fips", "dualStackDnsSuffix"),
                        )
                    ],
                },
                "services": {},
            }
            for partition in partitions["partitions"]
        ],
    }
