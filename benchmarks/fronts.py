"""The native front against AWS's programs: a hit by identity, and 200 at once. Paired, in turns.

With ``--native`` a miss, too, against pip's. Everything runs in the namespaces of run.py, where AWS
is on loopback. Without ``--native`` the front is built here, static, in front of the installed Python
program, and a miss is that program's. Ratios are medians of the ratios
turn by turn, of the time on the wall and of that of processors, which a busy machine changes less;
the limits are those that were set for the native executable on a quiet one.

    python benchmarks/fronts.py [--native EXECUTABLE] [--turns N] [--rivals FOLDER]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import botocore
from run import HOST, METADATA, OURS, Lab, arguments, enter_namespace  # and with it the tests' kit

import rivals  # isort: skip
from front import compile_front, kubelets  # isort: skip
from kit import EXECUTABLE  # isort: skip

HERD = 200  # processes at once
IDENTITIES = ("static keys", "assumed role", "web identity", "instance metadata")
HIT, WARM, COLD = 0.12, 0.2, 0.4  # of AWS's time, at most
FAILING = 1.5  # of the time of one, at most
MISS = 0.5  # of pip's time, at most

Program = Path
Cost = tuple[float, float]  # seconds on the wall, and of processors
Figures = list[tuple[Cost, Cost]]


class Runs:
    """What starts programs: their stdin is a file, their answers go to another."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.asked = {"get": lab.folder / "host", "kubelet": lab.folder / "request"}
        self.asked["get"].write_text(HOST)
        self.asked["kubelet"].write_text(kubelets())

    def at_once(
        self, program: Program, env: dict[str, str], count: int = 1, word: str = "get"
    ) -> tuple[Cost, int]:
        """Return what it takes until ``count`` have ended, and how many have answered."""
        out = self.lab.folder / "answers"
        out.unlink(missing_ok=True)
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, str(self.asked[word]), os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ]
        begun = time.perf_counter()
        for _ in range(count):
            os.posix_spawn(program, [str(program), word], env, file_actions=streams)
        processors = 0.0
        for _ in range(count):
            usage = os.wait4(-1, 0)[2]
            processors += usage.ru_utime + usage.ru_stime
        return (time.perf_counter() - begun, processors), out.read_text().count('"AWS"')


def in_turns(turns: int, one: Callable[[], Cost], other: Callable[[], Cost]) -> Figures:
    """Return the costs of both; the first turn is to warm the page cache."""
    return [(one(), other()) for _ in range(turns + 1)][1:]


def row(what: str, figures: Figures, limit: float, note: str = "") -> None:
    cells = []
    for kind in (0, 1):
        pairs = [(ours[kind], theirs[kind]) for ours, theirs in figures]
        ratio = statistics.median(ours / theirs for ours, theirs in pairs)
        cells += [f"{1000 * statistics.median(side):.2f}" for side in zip(*pairs, strict=True)]
        cells.append(f"{ratio:.3f}")
    print(f"| {what} | {' | '.join(cells)} | {limit:g} | {note} |", flush=True)


def hits(runs: Runs, ours: Program, theirs: Program, plugin: Program, turns: int) -> None:
    """Time one hit: of each identity, and of the kubelet's request.

    The kubelet's is compared with a hit of AWS's helper, and with AWS's plugin, which asks AWS.
    """
    lab = runs.lab
    for identity in IDENTITIES:
        env = lab.environment(identity)
        for program in (ours, theirs):
            if runs.at_once(program, env)[1] != 1:
                raise SystemExit(f"fronts: error: {program.name} does not answer: {identity}")
        asked = lab.requests()
        runs.at_once(ours, env)
        note = f"{lab.requests() - asked} requests"
        words = ("get", "kubelet") if identity == IDENTITIES[0] else ("get",)
        for word in words:
            figures = in_turns(
                turns,
                lambda word=word, env=env: runs.at_once(ours, env, word=word)[0],  # type: ignore[misc]
                lambda env=env: runs.at_once(theirs, env)[0],  # type: ignore[misc]
            )
            row(f"hit, {word}, {identity}", figures, HIT, note)
            if word == "kubelet":
                figures = in_turns(
                    turns,
                    lambda env=env: runs.at_once(ours, env, word="kubelet")[0],  # type: ignore[misc]
                    lambda env=env: runs.at_once(plugin, env, word="kubelet")[0],  # type: ignore[misc]
                )
                row(f"hit, {word}, against {plugin.name}", figures, HIT, note)


def peak(lab: Lab, program: Program, env: dict[str, str]) -> float:
    """Return the most memory that a hit has taken when it writes its answer, in MiB.

    The kernel's own count of the process, which waits for room in a pipe meanwhile.
    """
    outlet, inlet = os.pipe()
    os.set_blocking(inlet, False)
    filled = 0
    while True:
        try:
            filled += os.write(inlet, bytes(4096))
        except BlockingIOError:
            break
    os.set_blocking(inlet, True)
    with (lab.folder / "host").open("rb") as asked:
        process = subprocess.Popen([program, "get"], stdin=asked, stdout=inlet, env=env)
    os.close(inlet)
    place = Path("/proc") / str(process.pid)
    while place.joinpath("wchan").read_text().find("pipe_write") < 0:
        time.sleep(0.01)
    found = re.search(r"VmHWM:\s+(\d+) kB", (place / "status").read_text())
    with os.fdopen(outlet, "rb") as answer:
        said = answer.read()[filled:]
    if process.wait() or b'"AWS"' not in said or found is None:
        raise SystemExit(f"fronts: error: {program.name} does not answer")
    return int(found[1]) / 1024


def misses(runs: Runs, ours: Program, turns: int) -> None:
    """Time a miss against pip's: over HTTP, and over TLS with the authorities that a machine has."""
    lab, identity = runs.lab, IDENTITIES[0]
    env = lab.environment(identity)
    botocores = Path(botocore.__file__).parent / "cacert.pem"
    bundle = lab.folder / "authorities.pem"
    bundle.write_text((lab.folder / "ca.crt").read_text() + botocores.read_text())
    ways = {
        "HTTP": {"AWS_ENDPOINT_URL": f"http://{METADATA}"},
        "TLS, one authority": {},
        f"TLS, {bundle.read_text().count('BEGIN')} authorities": {"AWS_CA_BUNDLE": str(bundle)},
    }
    for way, how in ways.items():

        def cold(program: Program, env: dict[str, str]) -> Cost:
            lab.forget(identity)
            took, count = runs.at_once(program, env)
            if count != 1:
                raise SystemExit(f"fronts: error: {program.name} does not answer")
            return took

        figures = in_turns(
            turns,
            lambda env=env | how: cold(ours, env),  # type: ignore[misc]
            lambda env=env | how: cold(Path(OURS), env),  # type: ignore[misc]
        )
        row(f"miss over {way}, against pip's", figures, MISS)


def herds(runs: Runs, ours: Program, theirs: Program, turns: int) -> None:
    """Time 200 at once: with a token on the disk, with none, and with no credentials."""
    lab, identity = runs.lab, IDENTITIES[0]
    env = lab.environment(identity)
    figures = in_turns(
        turns, lambda: runs.at_once(ours, env, HERD)[0], lambda: runs.at_once(theirs, env, HERD)[0]
    )
    row(f"{HERD} at once, warm", figures, WARM)
    calls: dict[Program, list[int]] = {ours: [], theirs: []}
    answered: dict[Program, list[int]] = {ours: [], theirs: []}

    def cold(program: Program) -> Cost:
        lab.forget(identity)
        asked = lab.requests()
        took, count = runs.at_once(program, env, HERD)
        calls[program].append(lab.requests() - asked)
        answered[program].append(count)
        return took

    figures = in_turns(turns, lambda: cold(ours), lambda: cold(theirs))
    note = ", ".join(
        f"{min(calls[p])} to {max(calls[p])} requests, {min(answered[p])} answered"
        for p in (ours, theirs)
    )
    row(f"{HERD} at once, cold", figures, COLD, note)
    lab.forget(identity)
    nobody = {
        name: value
        for name, value in (env | {"AWS_EC2_METADATA_DISABLED": "true"}).items()
        if not name.endswith("_KEY") and name != "AWS_ACCESS_KEY_ID"
    }

    def failing(count: int) -> Cost:
        lab.forget(identity)  # and with the cache what was said a moment ago
        return runs.at_once(ours, nobody, count)[0]

    figures = in_turns(turns, lambda: failing(HERD), lambda: failing(1))
    row(f"{HERD} at once that fail, against one", figures, FAILING)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--native", type=Path, help="a native executable (make native)")
    parser.add_argument("--turns", type=int, default=30, help="of a hit; of a herd a third of it")
    arguments(parser)
    options = parser.parse_args()
    if options.inside is None:
        return enter_namespace(options, "fronts.py", *rivals.PACKAGES)
    lab = Lab(Path(options.inside))
    ours = options.native
    if ours is None:
        ours = compile_front(lab.folder / "docker-credential-ecr", "-O2", "-static")
        (lab.folder / "docker-credential-ecr.py").symlink_to(EXECUTABLE)
    theirs, plugin = (rivals.build(name, options.rivals) for name in rivals.PACKAGES)
    print(f"| ms | ours | {theirs.name} | ratio | processors: ours | theirs | ratio | limit | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    hits(Runs(lab), ours.absolute(), theirs, plugin, options.turns)
    env = lab.environment(IDENTITIES[0])
    ours_peak, their_peak = (peak(lab, program.absolute(), env) for program in (ours, theirs))
    if options.native is not None:
        misses(Runs(lab), ours.absolute(), max(1, options.turns // 2))
    herds(Runs(lab), ours.absolute(), theirs, max(1, options.turns // 3))
    print(
        f"\nMemory of a hit at its largest: {ours_peak:.1f} MiB, of {theirs.name} {their_peak:.1f}."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
