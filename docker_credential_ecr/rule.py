"""What the user says of hosts: which profile or role answers for which, and which are mirrored."""


class Rule:
    """One ``[[registry]]`` table. Never changed once made.

    ``match`` is a pattern of lower-case labels; ``registry`` the ECR host behind a custom name;
    ``duration`` is in seconds.
    """

    __slots__ = (
        "duration",
        "endpoint_url",
        "external_id",
        "match",
        "profile",
        "registry",
        "role_arn",
        "session_name",
    )

    def __init__(
        self,
        match: str,
        *,
        profile: str | None = None,
        role_arn: str | None = None,
        external_id: str | None = None,
        session_name: str | None = None,
        duration: int | None = None,
        registry: str | None = None,
        endpoint_url: str | None = None,
    ) -> None:
        self.match = match
        self.profile = profile
        self.role_arn = role_arn
        self.external_id = external_id
        self.session_name = session_name
        self.duration = duration
        self.registry = registry
        self.endpoint_url = endpoint_url

    @property
    def identity(self) -> str:
        """What chooses the identity, as one stable line; empty for the default chain."""
        parts = [
            f"{key}={_quoted(value)}"
            for key, value in (
                ("profile", self.profile),
                ("role", self.role_arn),
                ("session", self.session_name),
            )
            if value
        ]
        if self.external_id:
            # The line is kept and shown; the external id need not be.
            import hashlib

            parts.append(f"external-id={hashlib.sha256(self.external_id.encode()).hexdigest()[:8]}")
        if self.endpoint_url:
            parts.append(f"endpoint={self.endpoint_url}")
        return " ".join(parts)

    def matches(self, host: str) -> bool:
        """Whether ``host`` has as many labels as the pattern, and each of them fits."""
        pattern, labels = self.match.split("."), host.split(".")
        return len(pattern) == len(labels) and all(map(_fits, pattern, labels))

    def __repr__(self) -> str:
        return f"Rule({self.match!r})"


class Mirror:
    """One ``[[mirror]]`` table: images named after ``source`` come from ``registry``, an ECR host.

    ``prefix`` is the pull-through cache's, the first part of each repository's name there; it may
    be empty. Never changed once made.
    """

    __slots__ = ("prefix", "registry", "source")

    def __init__(self, source: str, registry: str, prefix: str = "") -> None:
        self.source = source
        self.registry = registry
        self.prefix = prefix

    def __repr__(self) -> str:
        return f"Mirror({self.source!r})"


def _fits(pattern: str, label: str) -> bool:
    """Whether ``label`` fits ``pattern``, in which each ``*`` stands for any characters.

    As in the kubelet's matchImages: a pattern never reaches beyond its label.
    """
    first, *rest = pattern.split("*")
    if not rest:
        return pattern == label
    if not label.startswith(first):
        return False
    place = len(first)
    *middle, last = rest
    for part in middle:
        found = label.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return len(label) - place >= len(last) and label.endswith(last)


def _quoted(value: str) -> str:
    return repr(value) if " " in value or "'" in value or '"' in value else value
