"""What modules that were made lazy import by: freeze_lazy.py writes the calls."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Table(dict[str, "Any"]):
    """The lazy names of one module: each is imported when it is first looked up."""

    __slots__ = ("module", "rows")

    def __init__(self, module: str, rows: dict[str, list[tuple[str, str | None]]]) -> None:
        super().__init__()
        self.module, self.rows = module, rows

    def __missing__(self, name: str) -> "Any":
        """Import ``name``, as the statement would have, and have it in the module from now on."""
        value = None
        for module, part in self.rows[name]:
            value = _imported(self.module, module, part, name)
        self[name] = value
        vars(sys.modules[self.module])[name] = value
        return value

    def attribute(self, name: str) -> "Any":
        """Be the module's ``__getattr__``."""
        if name in self.rows:
            return self[name]
        if "__path__" in vars(sys.modules[self.module]) and not name.startswith("_"):
            # A module of the package, which somebody else's import would have brought here.
            try:
                return _imported(self.module, self.module, name, name)
            except ImportError:
                pass
        raise AttributeError(f"module {self.module!r} has no attribute {name!r}")

    def before(self, own: "Callable[[str], Any]") -> "Callable[[str], Any]":
        """Return what comes before a module's own ``__getattr__``."""

        def attribute(name: str) -> "Any":
            return self[name] if name in self.rows else own(name)

        return attribute


def _imported(own: str, module: str, part: str | None, name: str) -> "Any":
    """Return what ``import module`` or ``from module import part`` binds to ``name`` in ``own``."""
    __import__(module)
    if part is None:
        top = module.partition(".")[0]
        return sys.modules[top if top == name else module]
    if module != own:  # whose own answer would be this one
        try:
            return getattr(sys.modules[module], part)
        except AttributeError:
            pass
    inner = f"{module}.{part}"
    try:
        __import__(inner)
    except ModuleNotFoundError as error:
        if error.name != inner:
            raise
        raise ImportError(f"cannot import name {part!r} from {module!r}", name=module) from None
    return sys.modules[inner]
