"""What is linked in beside the code: botocore's data as a folder, and certificate authorities.

The folder has a name that no file of the disk has a say in: whatever begins with ``ROOT`` is looked
up here, everything else is the disk's.
"""

import marshal
import os

import _linked

ROOT = "/<embedded>/botocore/data"
AUTHORITIES = "cacert.der"

# Where distributions keep the machine's authorities, where OpenSSL's own place has none.
# Source: Go's crypto/x509, root_linux.go.
BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from typing import Any

_view = _linked.data()
_size = int.from_bytes(_view[:8], "little")
_index: dict[str, tuple[int, int]] = marshal.loads(_view[8 : 8 + _size])  # name: offset, size
_values = _view[8 + _size :]


def _own(path: str) -> str | None:
    """Return the name of ``path`` in the folder, or None for a path of the disk."""
    if path == ROOT:
        return ""
    return path[len(ROOT) + 1 :] if path.startswith(ROOT + "/") else None


def _raw(name: str) -> memoryview:
    offset, size = _index[name]
    return _values[offset : offset + size]


def isfile(path: str) -> bool:
    """Do as ``os.path.isfile``."""
    name = _own(path)
    return os.path.isfile(path) if name is None else name in _index


def isdir(path: str) -> bool:
    """Do as ``os.path.isdir``."""
    name = _own(path)
    if name is None:
        return os.path.isdir(path)
    return not name or any(other.startswith(name + "/") for other in _index)


def listdir(path: str) -> list[str]:
    """Do as ``os.listdir``."""
    name = _own(path)
    if name is None:
        return os.listdir(path)
    start = name + "/" if name else ""
    found = {other[len(start) :].partition("/")[0] for other in _index if other.startswith(start)}
    return sorted(found)


def value(path: str) -> "Any":
    """Return what the JSON file ``path`` of the folder holds; None for a path of the disk."""
    name = _own(path)
    return marshal.loads(_raw(name)) if name in _index else None


def trusting(base: "type[ssl.SSLContext]", bundle: str) -> "type[ssl.SSLContext]":
    """Return ``base`` with the embedded authorities in the place of the file ``bundle``."""

    class Context(base):  # type: ignore[misc, valid-type]
        def load_verify_locations(
            self,
            cafile: "Any" = None,
            capath: "Any" = None,
            cadata: "Any" = None,
        ) -> None:
            if cafile == bundle:
                cafile, cadata = None, bytes(_raw(AUTHORITIES))
            super().load_verify_locations(cafile, capath, cadata)

    return Context


def load_bundle(context: "ssl.SSLContext") -> None:
    """Load the machine's authorities from where its distribution has them, once OpenSSL has looked."""
    if "SSL_CERT_FILE" in os.environ:
        return
    for path in BUNDLES:
        if os.path.exists(path):
            context.load_verify_locations(path)
            return
