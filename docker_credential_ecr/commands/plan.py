"""What `configure` is about to write, in which order, and what there is to say about it.

A plan is made from files as they were read; where one of them changes meanwhile, a new plan is
made. Nothing is said before all is written.
"""

import os
import sys

from .. import fallback, keys, registry, server_url, settings
from ..errors import HelperError, one_line
from . import docker, jsontext, registries, rules, system, textfile
from .docker import HELPERS, STORE
from .journal import Journal
from .rules import FALLBACK
from .textfile import Draft

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .console import Console

EXECUTABLE = fallback.PREFIX + docker.HELPER


class Plan:
    """One plan: made by one of ``add``, ``add_all`` and ``remove``, then shown or carried out."""

    def __init__(self, environ: "Mapping[str, str]") -> None:
        self.environ = environ
        self.config = docker.read(environ)
        self.journal = Journal(environ)
        self.draft = Draft(self.config.path, self.config.text)
        self.drafts: list[tuple[Draft, dict[str, str | None]]] = []
        self.said: list[str] = []
        self.warnings: list[tuple[str, ...]] = []  # a reason, and hints
        self.where = f'in "{one_line(self.config.path)}"'

    def add(self, servers: list[str]) -> None:
        """Name us for single registries."""
        displaced: dict[str, str | None] = {}
        for server in dict.fromkeys(servers):
            present = self.config.helpers.get(server)
            if present is not None and self.config.asks_us(present):
                self.said.append(f"{server}: configured already {self.where}")
                continue
            displaced[server] = present
            self._put(HELPERS, server)
            instead = f', in place of "{one_line(present)}"' if present else ""
            self.said.append(f"{server}: configured {self.where}{instead}")
        self.drafts.append((self.draft, displaced))
        self._warn_of_aws_helper()
        logins = self.config.logins()
        for host in dict.fromkeys(server.partition(":")[0] for server in servers):
            if host in logins:
                # `docker logout` takes the name, with its port if it has one, and adds the schemes.
                key = server_url.shown(logins[host])
                self._warn(
                    f'"{key}" has a login of its own {self.where}: clients that do not know '
                    "helpers use it, and it ends 12 hours after it was made",
                    f"remove it: docker logout {key}",
                )
        self._warn_of_path()

    def add_all(self) -> None:
        """Name us for every registry, and have the present helper asked by us."""
        present = self.config.store
        displaced: dict[str, str | None] = {}
        if self.config.asks_us(present):
            self._mend_fallback()
            self.said.append(f"all registries: configured already {self.where}")
        else:
            if present and not fallback.is_of_aws(present):
                # Ours first: at no moment is there a login that no helper is asked for.
                self._move_to_fallback(present)
            else:
                self._mend_fallback()
            self._put(STORE)
            displaced[STORE] = present or None
            instead = f', in place of "{present}"' if fallback.is_of_aws(present) else ""
            self.said.append(f"all registries: configured {self.where}{instead}")
        for server, helper in self.config.helpers.items():
            if self.config.asks_us(helper):
                continue
            if fallback.is_of_aws(helper):
                self._put(HELPERS, server)
                displaced[server] = helper
                self.said.append(
                    f'{one_line(server)}: configured {self.where}, in place of "{helper}"'
                )
            elif registry.parse(server) is not None:
                self._warn(
                    f'"{one_line(helper)}" is still asked for "{one_line(server)}" {self.where}',
                    f"run: docker-credential-ecr configure {one_line(server)}",
                )
        if displaced:
            self.drafts.append((self.draft, displaced))
        if not present:
            self._warn_of_lost_logins()
        self._warn_of_path()

    def remove(self, names: list[str]) -> None:
        """Take us out, for the named registries or everywhere, and bring back who was there."""
        # Not what the user wrote for AWS's helper, though that name may lead to us.
        helpers = self.config.helpers
        found = [server for server, helper in helpers.items() if helper == docker.HELPER]
        wanted = [registries.written(name) for name in names]
        # Docker's names of hosts are what somebody once typed, upper case or not.
        servers = [server for server in found if not names or server.lower() in wanted]
        store = not names and self.config.store == docker.HELPER
        self.said += [f"{one_line(server)}: removed {self.where}" for server in servers]
        gone = [server.lower() for server in servers]
        self.said += [f"{s}: not configured {self.where}" for s in wanted if s not in gone]
        if store:
            self.said.append(f"all registries: removed {self.where}")
        elif not names and not self.config.asks_us(self.config.store):
            # Another took our place: what we wrote into our own file is left to take back.
            _, changed_rules = self._back_from_fallback(None)
            if changed_rules is not None:
                self.drafts.append((changed_rules, {FALLBACK: None}))
        if not self.said:
            self.said.append(f"nothing is configured {self.where}")
        self._take_out(servers, store=store)

    def show(self, console: "Console") -> None:
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
        self._say(console, difference)

    def sweep(self, *, alone: bool) -> None:
        """Remove what a run that was killed left beside the files. See ``textfile.sweep``."""
        for path in {self.config.path, *(draft.path for draft, _ in self.drafts)}:
            textfile.sweep(path, alone=alone)

    def carry_out(self, console: "Console") -> None:
        """Write what changes; if that fails half-way, nothing has changed.

        Raises ``HelperError``, and ``Changed`` if another program writes at the same time.
        """
        written: list[Draft] = []
        try:
            for draft, _ in self.drafts:
                draft.save()
                written.append(draft)
        except HelperError:
            for draft in written:
                draft.take_back()
            raise
        for draft, displaced in self.drafts:
            if draft.changed:
                self.journal.record(draft, displaced)
        self._say(console)

    def _say(self, console: "Console", difference: str = "") -> None:
        if difference:
            console.write(difference)
        else:
            for line in self.said:
                console.answer(line)
        for reason, *hints in self.warnings:
            console.warn(reason, *hints)

    def _warn(self, reason: str, *hints: str) -> None:
        self.warnings.append((reason, *hints))

    def _put(self, *path: str, helper: str = docker.HELPER) -> None:
        if not (self.draft.text or "").strip():
            self.draft.edit((0, len(self.draft.text or ""), "{}"))
        self.draft.edit(jsontext.put(self.draft.text or "", path, helper))

    def _drop(self, *path: str) -> None:
        # As often as it is there.
        while (edit := jsontext.drop(self.draft.text or "", path)) is not None:
            self.draft.edit(edit)

    def _take_out(self, servers: list[str], *, store: bool) -> None:
        gone: dict[str, str | None] = dict.fromkeys(servers)
        former = self._former(servers, store=store)
        for server in servers:
            if server in former:
                self._put(HELPERS, server, helper=former[server])
            else:
                self._drop(HELPERS, server)
        if servers and not _content(self.draft.text).get(HELPERS):
            self._drop(HELPERS)
        changed_rules = None
        if store:
            gone[STORE] = None
            helper, changed_rules = self._back_from_fallback(former.get(STORE))
            if helper:
                self._put(STORE, helper=helper)
            else:
                self._drop(STORE)
        # Where one of the states before our changes says the same, its very bytes come back.
        for state in self.journal.states_before(self.config.path, self.config.text or ""):
            if self.draft.changed and _content(state) == _content(self.draft.text):
                self.draft.text = state
                break
        self.drafts.append((self.draft, gone))
        if changed_rules is not None:
            self.drafts.append((changed_rules, {FALLBACK: None}))

    def _former(self, servers: list[str], *, store: bool) -> dict[str, str]:
        """Return who was there before us, by place; not AWS's helper once that is gone."""
        former = self.journal.displaced(self.config.path)
        if fallback.find(fallback.PREFIX + fallback.OF_AWS, self.environ) is not None:
            return former
        places = [place for place, helper in former.items() if fallback.is_of_aws(helper)]
        if any(place in servers or (store and place == STORE) for place in places):
            self.said.append(f'"{fallback.OF_AWS}" is no longer installed: it is not put back')
        return {place: helper for place, helper in former.items() if place not in places}

    def _mend_fallback(self) -> None:
        """Plan for AWS's helper to be named as the fallback no longer, if it is."""
        if not fallback.is_of_aws(settings.load(self.environ).fallback):
            return
        path = registries.rules_path(self.environ)
        draft = rules.read(path)
        draft.edit(rules.drop_fallback(draft.text or "", fallback.OF_AWS))
        if not draft.changed or not rules.only_fallback_differs(draft, fallback.OF_AWS):
            raise HelperError(
                f'cannot take the fallback helper "{fallback.OF_AWS}" out of "{one_line(path)}"',
                "remove it there: it answers for ECR alone",
            )
        self.drafts.append((draft, {FALLBACK: None}))
        self.said.append(
            f'"{fallback.OF_AWS}" is no longer the fallback, in "{one_line(path)}": it answers for '
            "ECR alone"
        )

    def _move_to_fallback(self, helper: str) -> None:
        """Plan for ``helper`` to be named as the fallback in our configuration file."""
        found = settings.load(self.environ)
        path = registries.rules_path(self.environ)
        shown = one_line(path)
        if found.fallback == helper:
            return
        of_aws = fallback.is_of_aws(found.fallback)
        if found.fallback and not of_aws:
            raise HelperError(
                f'"{shown}" names the fallback helper "{one_line(found.fallback)}", and '
                f'"{one_line(self.config.path)}" the helper "{one_line(helper)}"',
                "there can be only one: remove the other from its file",
            )
        draft = rules.read(path)
        if of_aws:
            draft.edit(rules.drop_fallback(draft.text or "", fallback.OF_AWS))
        draft.edit(rules.name_fallback(draft.text or "", helper))
        named = (helper, fallback.OF_AWS) if of_aws else (helper,)
        if keys.helper_fault(helper) or not rules.only_fallback_differs(draft, *named):
            raise HelperError(
                f'cannot add the fallback helper "{one_line(helper)}" to "{shown}"',
                f'write it there: [fallback], and below it helper = "{one_line(helper)}"',
            )
        self.drafts.append((draft, {FALLBACK: helper}))
        self.said.append(f'"{one_line(helper)}" is the fallback now, in "{shown}"')

    def _back_from_fallback(self, former: str | None) -> tuple[str | None, Draft | None]:
        """Return the helper that Docker is to ask again, and the change of our own file."""
        try:
            helper = settings.load(self.environ).fallback
            path = registries.rules_path(self.environ)
        except HelperError:
            return former, None  # a file that cannot be used is left alone
        if helper is None or self.journal.displaced(path).get(FALLBACK) != helper:
            return former or helper, None
        shown = one_line(path)
        draft = rules.read(path)
        for state in self.journal.states_before(path, draft.was or ""):
            draft.text = state
            if rules.only_fallback_differs(draft, helper):
                self.said.append(f'"{helper}" is no longer the fallback, in "{shown}"')
                return helper, draft
        self._warn(
            f'"{shown}" still names the fallback helper "{helper}"',
            "it was changed since: remove it there if nothing needs it",
        )
        return helper, None

    def _warn_of_aws_helper(self) -> None:
        """Say where AWS's helper is asked for what it cannot answer."""
        store = self.config.store
        if fallback.is_of_aws(store) and not self.config.asks_us(store):
            self._warn(
                f'"{store}" is asked for every other registry {self.where}: it answers for ECR '
                "alone, and once it is uninstalled every pull fails",
                "run: docker-credential-ecr configure --all",
            )
        if fallback.is_of_aws(settings.load(self.environ).fallback):
            path = one_line(registries.rules_path(self.environ))
            self._warn(
                f'"{fallback.OF_AWS}" is the fallback helper in "{path}": it answers for ECR alone',
                "run: docker-credential-ecr configure --all",
            )

    def _warn_of_path(self) -> None:
        if fallback.find(EXECUTABLE, self.environ) is None:
            folder = os.path.dirname(os.path.abspath(sys.argv[0]))
            self._warn(
                f'"{EXECUTABLE}" is not on PATH, so Docker will not find it',
                system.add_to_path(folder),
            )

    def _warn_of_lost_logins(self) -> None:
        helper = settings.load(self.environ).fallback
        others = [h for h in self.config.logins() if registry.parse(h) is None]
        if helper is None and others:
            self._warn(
                f'Docker no longer uses the login of "{server_url.shown(others[0])}" {self.where}',
                f"name a fallback helper, such as {system.store_helper()}, under [fallback] in "
                f'"{one_line(registries.rules_path(self.environ))}", and log in again',
            )


def _content(text: str | None) -> "dict[str, Any]":
    """Return what a configuration says: no file, and no helpers, say nothing."""
    found = docker.parse(text or "")
    return {key: value for key, value in found.items() if value or key not in (HELPERS, STORE)}


def _difference(path: str, old: str | None, new: str | None) -> str:
    import difflib

    lines = [(text or "").replace("\r\n", "\n").splitlines(keepends=True) for text in (old, new)]
    # Git and patch know a file that is not there by this name, on every system.
    names = ["/dev/null" if text is None else one_line(path) for text in (old, new)]
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(lines[0], lines[1], names[0], names[1])
    )
