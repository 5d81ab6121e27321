"""The connections that doctor makes itself: to the endpoint, to the proxy and to the registry.

Every function raises ``HelperError`` with what the system says of a connection that fails, and
nothing of what may be in a URL.
"""

import os
import time

from ...errors import HelperError, one_line
from .. import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

PATIENCE = 8  # seconds for one connection of our own
_REASON_LENGTH = 120  # characters of what a library says


def clock_offset(url: str, authorities: str) -> float | None:
    """Return by how many seconds the clock behind ``url`` is ahead of ours, if it says so.

    ``authorities`` is a file of certificates, or empty.
    """
    from email.utils import mktime_tz, parsedate_tz

    _, headers = _get(url, {}, [authorities] if authorities else [])
    date = parsedate_tz(headers.get("Date", ""))
    return mktime_tz(date) - time.time() if date else None


def registry_status(server: str, secret: str, environ: "Mapping[str, str]") -> int:
    """Return the HTTP status with which a registry (host, or host:port) answers the token."""
    import base64

    basic = base64.b64encode(f"AWS:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    return _get(f"https://{server}/v2/", headers, authorities_of(server, environ))[0]


def authorities_of(server: str, environ: "Mapping[str, str]") -> list[str]:
    """Return the files of authorities that Docker trusts for ``server``: host, or host:port.

    They are in a folder of exactly that name: a folder of ``HOST.evil.example`` is another's.
    """
    found = []
    for folder in system.certificates(environ):
        place = os.path.join(folder, server)
        try:
            names = sorted(os.listdir(place))
        except OSError:
            continue
        found += [os.path.join(place, name) for name in names if name.endswith(".crt")]
    return found


def connect(url: str) -> None:
    """Connect to the host and port of a URL, and hang up."""
    import socket
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        address = (parts.hostname or "", parts.port or 80)
        socket.create_connection(address, PATIENCE).close()
    except (OSError, ValueError) as error:
        raise HelperError(_reason(error)) from None


def proxy_for(url: str, environ: "Mapping[str, str]") -> tuple[str, str]:
    """Return what names the proxy for ``url``, and the proxy's URL; both empty without one."""
    from urllib.request import getproxies, proxy_bypass

    scheme, _, rest = url.partition("://")
    if proxy_bypass(rest.partition("/")[0]):
        return "", ""
    for name in (f"{scheme}_proxy", f"{scheme}_proxy".upper()):
        if environ.get(name):
            return name, environ[name]
    # Windows and macOS have a setting of the system's, which AWS's library uses as well.
    proxy = getproxies().get(scheme, "")
    return ("the system's settings", proxy) if proxy else ("", "")


def _get(url: str, headers: dict[str, str], authorities: "Sequence[str]") -> "tuple[int, Any]":
    """Return status and headers of a GET, whatever the status."""
    import http.client
    import ssl
    import urllib.error
    import urllib.request

    class NoRedirect(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_: "Any") -> None:
            return None  # the token is for this host only

    try:
        context = ssl.create_default_context()
        for path in authorities:
            context.load_verify_locations(path)
        handler = urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(handler, NoRedirect())
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, or the user's
        with opener.open(request, timeout=PATIENCE) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers
    except (http.client.HTTPException, ValueError) as error:
        raise HelperError(type(error).__name__.lower()) from None
    except OSError as error:
        raise HelperError(_reason(error)) from None


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", error)
    text = getattr(inner, "strerror", None) or getattr(inner, "verify_message", None)
    return one_line(str(text or inner or type(inner).__name__)).lower()[:_REASON_LENGTH]
