"""The server URL of Docker's protocol: which ones a token may be sent to, and their hosts.

Every ``get`` passes here, so this module imports nothing. What a host means is ``registry``'s.
"""

WHITE = (
    " \t\n\v\f\r"  # what may surround a server URL; Python alone would take U+001C for white, too
)
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_")
# Characters that end or disguise a host, or that would need escaping in our JSON answer.
_FORBIDDEN = frozenset(' @#?"\\')
_PORT_LIMIT = 65535
_HOST_LENGTH = 253  # characters, RFC 1035


def split(server_url: str) -> tuple[str, str] | None:
    """Return the lower-case host of a server URL that a token may be sent to, and its port.

    Accepted: a bare host or ``https://``, a port, a path, surrounding white space, a trailing dot.
    ``None`` for everything else: another scheme (a token never travels in clear), user info,
    a query, a fragment, control and non-ASCII characters. The port is empty if there is none.
    """
    url = server_url.strip(WHITE)
    if not url.isascii() or not url.isprintable() or not _FORBIDDEN.isdisjoint(url):
        return None
    url = url.lower()
    scheme, mark, rest = url.partition("://")
    if mark and scheme != "https":
        return None
    authority = (rest if mark else url).partition("/")[0]
    host, colon, port = authority.partition(":")
    if colon and not _is_port(port):
        return None
    host = host.removesuffix(".")
    if not host or len(host) > _HOST_LENGTH or not _HOST_CHARACTERS.issuperset(host):
        return None
    if "" in host.split("."):
        return None
    return host, port


def host_of(server_url: str) -> str | None:
    """Return the host of a server URL that a token may be sent to, or ``None``: see ``split``."""
    parts = split(server_url)
    return None if parts is None else parts[0]


def shown(text: str) -> str:
    """Return the host of a URL or a name for a message: the rest of it may be secret.

    Neither user info nor path, query or fragment; control and non-ASCII characters as ``?``.
    """
    rest = text.strip()
    rest = rest.partition("://")[2] or rest
    end = min((place for mark in "/?#" if (place := rest.find(mark)) >= 0), default=len(rest))
    host, after = rest[:end].rpartition("@")[2], rest[end:]
    if "@" in after:
        host = ""  # what stands before may be the start of a password
    return "".join(c if " " < c <= "~" else "?" for c in host)[:_HOST_LENGTH]


def _is_port(text: str) -> bool:
    # Zeros in front count for nothing; how many there are is limited like a host.
    digits = text.lstrip("0")
    fits = text.isdecimal() and len(text) <= _HOST_LENGTH and 0 < len(digits) <= len("65535")
    return fits and int(digits) <= _PORT_LIMIT
