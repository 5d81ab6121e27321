"""What a message about AWS may name, and the hints that several of them give."""

from ..errors import one_line

ENDPOINT_HINT = "check what AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_ECR and endpoint_url point to"
PROXY_HINT = "if this network has a proxy, set HTTPS_PROXY"


class Names:
    """What a message may name. ``host`` is empty where nobody asked for a registry.

    ``role`` is an ARN or empty, ``profile`` a name or empty, ``sso_login`` a command;
    ``authorities`` the setting that names a file of certificates, and the file, both empty if there
    is none; ``unreadable`` why one of AWS's own files could not be opened.
    """

    __slots__ = ("authorities", "host", "profile", "role", "service", "sso_login", "unreadable")

    def __init__(
        self,
        *,
        host: str,
        service: str,
        profile: str,
        role: str,
        sso_login: str,
        authorities: tuple[str, str] = ("", ""),
        unreadable: OSError | None = None,
    ) -> None:
        self.host = host
        self.service = service
        self.profile = one_line(profile)
        self.role = one_line(role)
        self.sso_login = sso_login
        self.authorities = authorities
        self.unreadable = unreadable

    @property
    def wanted(self) -> str:
        """What credentials are needed for: a registry, or the caller's identity."""
        return f'"{self.host}"' if self.host else "the caller's identity"

    @property
    def trying(self) -> str:
        """The beginning of a reason: what was tried."""
        return f"cannot get a token for {self.wanted}" if self.host else f"cannot get {self.wanted}"

    @property
    def named(self) -> str:
        """The profile, to go after a noun, or nothing."""
        return f' of profile "{self.profile}"' if self.profile else ""

    @property
    def flag(self) -> str:
        """The profile, to go after an ``aws`` command, or nothing."""
        return f" --profile {self.profile}" if self.profile else ""

    @property
    def role_named(self) -> str:
        """The role, to go after a noun, or nothing."""
        return f' "{self.role}"' if self.role else ""
