"""configure: have Docker ask us, for single registries or for all, and take that back."""

import os
import sys

from .. import registry, settings
from ..errors import HelperError, one_line
from . import docker, jsontext
from .journal import Draft, Journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

    from .console import Console
    from .docker import DockerConfig

SUMMARY = "have Docker ask this helper"
DESCRIPTION = """\
Write this helper into Docker's configuration, ~/.docker/config.json or the
one in the directory DOCKER_CONFIG, for the named registries (credHelpers) or
for all of them (credsStore). Everything else in the file stays as it is."""
EXAMPLE = """\
  docker-credential-ecr configure 123456789012.dkr.ecr.us-east-1.amazonaws.com
  docker-credential-ecr configure --all --dry-run
  docker-credential-ecr configure --remove
"""
HELPERS, STORE = "credHelpers", "credsStore"  # keys of Docker's file
FALLBACK = "fallback"  # the table of ours
EXECUTABLE = f"docker-credential-{docker.HELPER}"


def arguments(parser: "argparse.ArgumentParser") -> None:
    """Add what this command takes."""
    parser.add_argument(
        "registries",
        metavar="REGISTRY",
        nargs="*",
        help="an ECR host, or a name of your own that config.toml maps to one",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="have Docker ask for every registry; the helper it asks now becomes "
        "the fallback in config.toml, for those that are not ECR",
    )
    parser.add_argument(
        "--remove",
        action="store_true",
        help="take back what this command did: for the named registries, or all",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing; print the difference, without what may be secret",
    )


def run(arguments: "argparse.Namespace", console: "Console") -> int:
    """Carry the command out. Raises ``HelperError``."""
    if arguments.all and arguments.registries:
        raise HelperError("--all is for every registry, yet registries are named", "leave one out")
    if not (arguments.all or arguments.registries or arguments.remove):
        raise HelperError(
            "no registry is named",
            "name one, such as 123456789012.dkr.ecr.us-east-1.amazonaws.com",
            "or have Docker ask for every registry: docker-credential-ecr configure --all",
        )
    plan = _Plan(docker.read(docker.config_path(console.environ)), console)
    if arguments.remove:
        plan.remove(arguments.registries)
    elif arguments.all:
        plan.add_all()
    else:
        plan.add([docker.server_of(name, console.environ) for name in arguments.registries])
    if arguments.dry_run:
        plan.show()
    else:
        plan.carry_out()
    return 0


class _Plan:
    """What is to be written, in which order, and what there is to say about it."""

    def __init__(self, config: "DockerConfig", console: "Console") -> None:
        self.config = config
        self.console = console
        self.journal = Journal()
        self.draft = Draft(config.path, config.text)
        self.drafts: list[tuple[Draft, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.where = f'in "{one_line(config.path)}"'

    def add(self, servers: list[str]) -> None:
        """Name us for single registries."""
        displaced: dict[str, str | None] = {}
        for server in dict.fromkeys(servers):
            present = self.config.helpers.get(server)
            if present == docker.HELPER:
                self.said.append(f"{server}: configured already {self.where}")
                continue
            displaced[server] = present
            self._put(HELPERS, server)
            instead = f', in place of "{one_line(present)}"' if present else ""
            self.said.append(f"{server}: configured {self.where}{instead}")
        self.drafts.append((self.draft, displaced))
        logins = self.config.logins()
        for server in servers:
            host = server.partition(":")[0]
            if host in logins:
                self.console.warn(
                    f'"{server}" has a login of its own {self.where}: clients that know no '
                    "helpers use that, though it ends 12 hours after it was made",
                    f"remove it: docker logout {server}",
                )
        self._warn_of_path()

    def add_all(self) -> None:
        """Name us for every registry, and have the present helper asked by us."""
        present = self.config.store
        if present == docker.HELPER:
            self.said.append(f"all registries: configured already {self.where}")
        else:
            if present:
                # Ours first: at no moment is there a login that no helper is asked for.
                self._move_to_fallback(present)
            self._put(STORE)
            self.drafts.append((self.draft, {STORE: present or None}))
            self.said.append(f"all registries: configured {self.where}")
        for server, helper in self.config.helpers.items():
            if helper != docker.HELPER and registry.parse(server) is not None:
                self.console.warn(
                    f'"{one_line(helper)}" is still asked for "{server}" {self.where}',
                    f"run: docker-credential-ecr configure {server}",
                )
        if not present:
            self._warn_of_lost_logins()
        self._warn_of_path()

    def remove(self, names: list[str]) -> None:
        """Take us out, for the named registries or everywhere, and bring back who was there."""
        found = self.config.ours()
        wanted = [_server(name) for name in names] or found
        servers = [server for server in found if server in wanted]
        store = not names and self.config.store == docker.HELPER
        self.said += [
            f"{one_line(server)}: {'removed' if server in servers else 'not configured'} "
            f"{self.where}"
            for server in wanted
        ]
        if store:
            self.said.append(f"all registries: removed {self.where}")
        if not self.said:
            self.said.append(f"nothing is configured {self.where}")
        self._take_out(servers, store=store)

    def _take_out(self, servers: list[str], *, store: bool) -> None:
        gone: dict[str, str | None] = dict.fromkeys(servers)
        former = self.journal.displaced(self.config.path)
        for server in servers:
            if server in former:
                self._put(HELPERS, server, helper=former[server])
            else:
                self._drop(HELPERS, server)
        if servers and not _content(self.draft.text).get(HELPERS):
            self._drop(HELPERS)
        rules = None
        if store:
            gone[STORE] = None
            helper, rules = self._back_from_fallback(former.get(STORE))
            if helper:
                self._put(STORE, helper=helper)
            else:
                self._drop(STORE)
        # Where one of the states before our changes says the same, its very bytes come back.
        for state in self.journal.states_before(self.config.path, self.config.text or ""):
            if self.draft.changed and _content(state) == _content(self.draft.text):
                self.draft.text = state
        self.drafts.append((self.draft, gone))
        if rules is not None:
            self.drafts.append((rules, {FALLBACK: None}))

    def show(self) -> None:
        """Print the difference, with no string that may be a secret."""
        difference = ""
        for draft, _ in self.drafts:
            texts = [draft.was, draft.text]
            if draft is self.draft:
                texts = [
                    jsontext.masked(text, (HELPERS, STORE)) if text and text.strip() else text
                    for text in texts
                ]
            difference += _difference(draft.path, *texts)
        if difference:
            self.console.stdout.write(difference)
        else:
            self._say()

    def carry_out(self) -> None:
        """Write what changes; if that fails half-way, nothing has changed."""
        written: list[Draft] = []
        try:
            for draft, _ in self.drafts:
                if draft.changed:
                    draft.save()
                    written.append(draft)
        except HelperError:
            for draft in written:
                back = Draft(draft.path, draft.text)
                back.text = draft.was
                back.save()
            raise
        for draft, displaced in self.drafts:
            if draft.changed:
                self.journal.record(draft, displaced)
        self._say()

    def _say(self) -> None:
        for line in self.said:
            self.console.answer(line)

    def _put(self, *path: str, helper: str = docker.HELPER) -> None:
        if not (self.draft.text or "").strip():
            self.draft.edit((0, len(self.draft.text or ""), "{}"))
        self.draft.edit(jsontext.put(self.draft.text or "", path, helper))

    def _drop(self, *path: str) -> None:
        self.draft.edit(jsontext.drop(self.draft.text or "", path))

    def _move_to_fallback(self, helper: str) -> None:
        """Plan for ``helper`` to be named as the fallback in our configuration file."""
        found = settings.load(self.console.environ)
        path = docker.rules_path(self.console.environ)
        shown = one_line(path)
        if found.fallback == helper:
            return
        if found.fallback:
            raise HelperError(
                f'"{shown}" names the fallback helper "{one_line(found.fallback)}", and '
                f'"{one_line(self.config.path)}" the helper "{one_line(helper)}"',
                "there can be one of them: remove the other from its file",
            )
        rules = _read_rules(path)
        rules.edit(_fallback_edit(rules.text or "", helper))
        by_hand = HelperError(
            f'cannot add the fallback helper "{one_line(helper)}" to "{shown}"',
            f'write it there: [fallback], and below it helper = "{one_line(helper)}"',
        )
        if settings.helper_fault(helper) or not _only_fallback_differs(rules, helper):
            raise by_hand
        self.drafts.append((rules, {FALLBACK: helper}))
        self.said.append(f'"{one_line(helper)}" is the fallback now, in "{shown}"')

    def _back_from_fallback(self, former: str | None) -> tuple[str | None, Draft | None]:
        """Return the helper that Docker is to ask again, and the change of our own file."""
        try:
            helper = settings.load(self.console.environ).fallback
            path = docker.rules_path(self.console.environ)
        except HelperError:
            return former, None  # a file that cannot be used is left alone
        if helper is None or self.journal.displaced(path).get(FALLBACK) != helper:
            return former or helper, None
        rules = _read_rules(path)
        for state in self.journal.states_before(path, rules.was or ""):
            rules.text = state
            if _only_fallback_differs(rules, helper):
                self.said.append(f'"{helper}" is no fallback any more, in "{one_line(path)}"')
                return helper, rules
        self.console.warn(
            f'"{one_line(path)}" still names the fallback helper "{helper}"',
            "remove it there if nothing needs it: it was changed since",
        )
        return helper, None

    def _warn_of_path(self) -> None:
        import shutil

        if shutil.which(EXECUTABLE, path=self.console.environ.get("PATH")) is None:
            folder = os.path.dirname(os.path.abspath(sys.argv[0]))
            self.console.warn(
                f'"{EXECUTABLE}" is not on PATH, so Docker will not find it',
                f'run, and add to your shell\'s start-up file: export PATH="{folder}:$PATH"',
            )

    def _warn_of_lost_logins(self) -> None:
        helper = settings.load(self.console.environ).fallback
        others = [h for h in self.config.logins() if registry.parse(h) is None]
        if helper is None and others:
            self.console.warn(
                f'Docker no longer uses the login of "{one_line(others[0])}" {self.where}',
                "name a fallback helper, such as pass, under [fallback] in "
                f'"{one_line(docker.rules_path(self.console.environ))}", and log in again',
            )


def _server(name: str) -> str:
    """Return a registry's name as Docker writes it, or what the user wrote."""
    host = registry.host_of(name)
    if host is None:
        return name
    port = name.strip().rpartition("://")[2].partition("/")[0].partition(":")[2]
    return f"{host}:{port}" if port else host


def _content(text: str | None) -> "dict[str, Any]":
    """Return what a configuration says: no file, and no helpers, say nothing."""
    import json

    found: dict[str, Any] = json.loads(text) if text and text.strip() else {}
    return {key: value for key, value in found.items() if value or key not in (HELPERS, STORE)}


def _read_rules(path: str) -> Draft:
    try:
        with open(path, "rb") as file:
            return Draft(path, file.read().decode("utf-8"))
    except FileNotFoundError:
        return Draft(path, None)


def _fallback_edit(text: str, helper: str) -> "jsontext.Edit":
    """Return the edit that names ``helper`` under [fallback], and keeps all that is there."""
    import re

    newline = "\r\n" if "\r\n" in text else "\n"
    line = f'helper = "{helper}"'
    header = re.search(r"(?m)^[ \t]*\[[ \t]*fallback[ \t]*\][^\r\n]*", text)
    if header is not None:
        return header.end(), header.end(), newline + line
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    return len(text), len(text), f"{gap}[fallback]{newline}{line}{newline}"


def _only_fallback_differs(rules: Draft, helper: str) -> bool:
    """Whether the change adds or removes the fallback helper, and nothing else in the file."""
    contents = [
        settings.parse_toml(rules.path, (text or "").encode("utf-8"))
        for text in (rules.was, rules.text)
    ]
    helpers = [(content.pop(FALLBACK, None) or {}).get("helper") for content in contents]
    return set(helpers) == {helper, None} and contents[0] == contents[1]


def _difference(path: str, old: str | None, new: str | None) -> str:
    import difflib

    lines = [(text or "").replace("\r\n", "\n").splitlines(keepends=True) for text in (old, new)]
    names = [os.devnull if text is None else one_line(path) for text in (old, new)]
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(lines[0], lines[1], names[0], names[1])
    )
