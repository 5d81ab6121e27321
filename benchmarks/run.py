"""Paired timings of the installed executable, of Python itself, and of AWS's helper.

Everything runs in a network, mount and process namespace of its own, where AWS's hostnames are on
loopback with a certificate authority that only the namespace trusts, and 169.254.169.254 is an
instance metadata service. So that all are asked in the same way, no tool is given an endpoint.
Commands take turns (A B A B ...); ratios are medians of the ratios turn by turn.

    make bench            # or: python benchmarks/run.py --quick

Needs root, util-linux and iproute2 for the namespace, openssl, Go, and the project installed beside
the Python that runs this. AWS's helper is built from its Go module (tests/kit/rivals.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "kit"))

import rivals  # noqa: E402 - of the tests' kit
from fake_aws import FakeAWS  # noqa: E402

HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
SCRIPTS = Path(sysconfig.get_path("scripts"))
OURS = str(SCRIPTS / "docker-credential-ecr")
PYTHON = str(SCRIPTS / "python")
NAMES = (
    "api.ecr.us-east-1.amazonaws.com",
    "sts.us-east-1.amazonaws.com",
    "sts.amazonaws.com",
)
METADATA = "169.254.169.254"
PLAIN = """\
import boto3
client = boto3.client("ecr", region_name="us-east-1")
print(client.get_authorization_token()["authorizationData"][0]["authorizationToken"])
"""
DELAYS = (0, 20)  # ms before each answer of ECR and STS: none, and a network and a service
NEARBY = 1  # ms, at most, before each answer of the metadata service, which is on the machine
HERDS = (50, 200)  # processes at once


Tools = dict[str, list[str]]  # the commands that answer a get, by their names in the results


@dataclasses.dataclass
class Sample:
    """One process: seconds on the wall, seconds of processor time, KiB at its largest."""

    wall: float
    cpu: float
    peak: int


class Lab:
    """The endpoints, a home for each identity, and the clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.turns = 30
        self.results: dict[str, object] = {}
        certificates(folder)
        tls = (str(folder / "server.crt"), str(folder / "server.key"))
        self.aws = FakeAWS(host="127.0.0.1", port=443, tls=tls)
        self.metadata = FakeAWS(host=METADATA, port=80)
        for server in (self.aws, self.metadata):
            server.__enter__()
            server.credential_life = 6 * 3600
        (folder / "plain.py").write_text(PLAIN)
        (folder / "token").write_text("a.b.c")

    def delay(self, milliseconds: float) -> None:
        self.aws.delay = milliseconds / 1000
        self.metadata.delay = min(milliseconds, NEARBY) / 1000

    def requests(self) -> int:
        return self.aws.requests + self.metadata.requests

    def environment(self, identity: str) -> dict[str, str]:
        """Return what a process gets, from scratch: one home for each kind of identity."""
        home = self.folder / identity.replace(" ", "-")
        home.mkdir(exist_ok=True)
        env = {
            "PATH": f"{SCRIPTS}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "AWS_CA_BUNDLE": str(self.folder / "ca.crt"),
            "SSL_CERT_FILE": str(self.folder / "ca.crt"),
            "AWS_REGION": "us-east-1",
        }
        if identity == "static keys":
            env |= {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}
        elif identity == "assumed role":
            (home / ".aws").mkdir(exist_ok=True)
            (home / ".aws" / "config").write_text(
                "[default]\nrole_arn = arn:aws:iam::123456789012:role/puller\n"
                "source_profile = source\nregion = us-east-1\n"
                "[profile source]\naws_access_key_id = AKIASOURCE\naws_secret_access_key = s\n"
            )
            env["AWS_SDK_LOAD_CONFIG"] = "1"
        elif identity == "web identity":
            env |= {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/puller",
                "AWS_WEB_IDENTITY_TOKEN_FILE": str(self.folder / "token"),
            }
        return env

    def forget(self, identity: str) -> None:
        """Empty the caches of all tools for an identity."""
        home = Path(self.environment(identity)["HOME"])
        shutil.rmtree(home / ".cache", ignore_errors=True)
        shutil.rmtree(home / ".ecr", ignore_errors=True)

    def once(self, argv: list[str], env: dict[str, str]) -> Sample:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env
        )
        if process.stdin is None or process.stdout is None:
            raise TypeError("no pipes")
        process.stdin.write(HOST.encode())
        process.stdin.close()
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stdout.close()
        if process.returncode != 0:
            raise SystemExit(f"bench: error: {argv} failed with {said.decode()[:300]!r}")
        return Sample(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)

    def turn_about(
        self,
        commands: dict[str, list[str]],
        env: dict[str, str],
        before: Callable[[str], None] = lambda _: None,
        turns: int | None = None,
    ) -> dict[str, list[Sample]]:
        """Run the commands in turn, so that a drift of the machine meets them all."""
        samples: dict[str, list[Sample]] = {name: [] for name in commands}
        for turn in range((turns or self.turns) + 1):
            for name, argv in commands.items():
                before(name)
                sample = self.once(argv, env)
                if turn:  # the first is to warm the page cache
                    samples[name].append(sample)
        return samples


def median(samples: list[Sample], what: str = "wall") -> float:
    return statistics.median(float(getattr(sample, what)) for sample in samples)


def ratio(first: list[Sample], second: list[Sample]) -> float:
    """Return the median of first/second, turn by turn."""
    return statistics.median(a.wall / b.wall for a, b in zip(first, second, strict=True))


def milliseconds(samples: list[Sample]) -> float:
    return round(1000 * median(samples), 1)


def start_up(lab: Lab, _: Tools) -> None:
    """A hit against the interpreter that runs it."""
    env = lab.environment("static keys")
    lab.forget("static keys")
    lab.once([OURS, "get"], env)
    (entry,) = (Path(env["HOME"]) / ".cache/docker-credential-ecr" / HOST).glob("[!.]*")

    def into_the_window(name: str) -> None:
        if name != "window":
            return
        settle()
        now = int(time.time())
        text = entry.read_text()
        times = {"issued": -20000, "refresh": -10, "renew": 20000, "expires": 20600}
        for key, value in times.items():
            text = re.sub(rf"^{key} \d+$", f"{key} {now + value}", text, flags=re.MULTILINE)
        entry.write_text(text)
        for claim in entry.parent.glob(".*.renewal"):
            claim.unlink()

    commands = {
        "-I -S -c pass": [PYTHON, "-I", "-S", "-c", "pass"],
        "-c pass": [PYTHON, "-c", "pass"],
        "hit": [OURS, "get"],
        "window": [OURS, "get"],
    }
    samples = lab.turn_about(commands, env, into_the_window)
    settle()
    renewed = lab.aws.count("GetAuthorizationToken") - 1
    hit = samples["hit"]
    lab.results["start-up"] = {
        "ms": {name: milliseconds(taken) for name, taken in samples.items()},
        "hit / python -c pass": round(ratio(hit, samples["-c pass"]), 2),
        "hit / python -I -S -c pass": round(ratio(hit, samples["-I -S -c pass"]), 2),
        "get in the refresh window / hit": round(ratio(samples["window"], hit), 2),
        "renewals behind an answer": f"{renewed} of {lab.turns + 1}",
    }


def settle() -> None:
    """Wait until no renewal is under way any more: it would share the processors."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        running = subprocess.run(
            ["pgrep", "-f", "docker-credential-ecr renew"], capture_output=True, check=False
        )
        if running.returncode != 0:
            return
        time.sleep(0.02)


def identities(lab: Lab, tools: Tools) -> None:
    """A hit and a miss for each kind of identity, with each of DELAYS at ECR and STS."""
    rows = []
    for identity in ("static keys", "assumed role", "web identity", "instance metadata"):
        env = lab.environment(identity)
        for delay in DELAYS:
            lab.delay(delay)
            lab.forget(identity)
            commands = tools
            row: dict[str, object] = {"identity": identity, "delay ms": delay}
            for name, argv in commands.items():
                lab.forget(identity)
                seen = lab.requests()
                lab.once(argv, env)
                row[f"{name} requests, miss"] = lab.requests() - seen
                seen = lab.requests()
                lab.once(argv, env)
                row[f"{name} requests, hit"] = lab.requests() - seen
            for argv in commands.values():
                lab.once(argv, env)
            samples = lab.turn_about(commands, env, turns=max(5, lab.turns * 2 // 3))
            for name, taken in samples.items():
                row[f"{name} hit ms"] = milliseconds(taken)

            def empty(_: str, identity: str = identity) -> None:
                lab.forget(identity)

            misses = lab.turn_about(commands, env, empty, turns=max(3, lab.turns // 3))
            for name, taken in misses.items():
                row[f"{name} miss ms"] = milliseconds(taken)
            row["hit ours/aws"] = round(ratio(samples["ours"], samples["aws"]), 2)
            rows.append(row)
    lab.delay(0)
    lab.results["identities"] = rows


def miss(lab: Lab, _: Tools) -> None:
    """A miss, lock and cache write included, against the script that people write."""
    env = lab.environment("static keys")
    commands = {"plain": [PYTHON, str(lab.folder / "plain.py")], "miss": [OURS, "get"]}
    samples = lab.turn_about(
        commands, env, lambda _: lab.forget("static keys"), turns=max(5, lab.turns // 2)
    )
    lab.results["miss"] = {
        "ms": {name: milliseconds(taken) for name, taken in samples.items()},
        "miss / plain": round(ratio(samples["miss"], samples["plain"]), 2),
    }


def memory(lab: Lab, tools: Tools) -> None:
    """The most that one process takes, in MiB."""
    env = lab.environment("static keys")
    rows = {}
    for name, argv in tools.items():
        lab.forget("static keys")
        rows[f"{name}, miss"] = peak(lab, argv, env)
        rows[f"{name}, hit"] = peak(lab, argv, env)
    rows["python -c pass"] = peak(lab, [PYTHON, "-c", "pass"], env)
    rows["plain script"] = peak(lab, [PYTHON, str(lab.folder / "plain.py")], env)
    lab.results["peak memory, MiB"] = rows


# A new process counts what its parent took: so a small one starts it (9 MiB is the least it shows).
LAUNCHER = """\
import os, sys
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, _, usage = os.wait4(child, 0)
with open(sys.argv[1], "w") as out: out.write(str(usage.ru_maxrss))
"""


def peak(lab: Lab, argv: list[str], env: dict[str, str]) -> float:
    out = lab.folder / "peak"
    lab.once([PYTHON, "-I", "-S", "-c", LAUNCHER, str(out), *argv], env)
    return round(int(out.read_text()) / 1024, 1)


def herds(lab: Lab, tools: Tools) -> None:
    """Many at once, with nothing on disk and with a token on disk."""
    env = lab.environment("static keys")
    lab.delay(2)
    cores = len(os.sched_getaffinity(0))
    rows = []
    for size in HERDS:
        for name, argv in tools.items():
            lab.forget("static keys")
            row: dict[str, object] = {"tool": name, "size": size}
            seconds = 0.0
            for state, turns in (("cold", 1), ("warm", 5)):
                seen = lab.requests()
                runs = [herd(argv, env, size) for _ in range(turns)]
                seconds = round(statistics.median(taken for taken, _ in runs), 2)
                row[f"{state} s"] = seconds
                row[f"{state} requests"] = lab.requests() - seen
                row[f"{state} answered"] = min(answered for _, answered in runs)
            one = median(lab.turn_about({"one": argv}, env, turns=10)["one"])
            row["warm / (size/cores x one hit)"] = round(seconds / (size / cores * one), 2)
            rows.append(row)
    lab.delay(0)
    lab.results["herds"] = rows


def herd(argv: list[str], env: dict[str, str], size: int) -> tuple[float, int]:
    """Start ``size`` processes at once; return the seconds until all have answered, and how many.

    A small shell starts them: starting them from here would take longer than a hit.
    """
    folder = Path(env["HOME"]) / "herd"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "in").write_text(HOST)
    script = (
        f'i=0; while [ $i -lt {size} ]; do "$@" <{folder}/in >{folder}/out.$i 2>/dev/null &'
        " i=$((i+1)); done; wait"
    )
    start = time.perf_counter()
    subprocess.run(["sh", "-c", script, "sh", *argv], env=env, check=True)
    took = time.perf_counter() - start
    return took, sum(b'"AWS"' in out.read_bytes() for out in folder.glob("out.*"))


def certificates(folder: Path) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    (folder / "ext").write_text("subjectAltName=" + ",".join(f"DNS:{n}" for n in NAMES))
    sign = "x509 -req -days 2 -in s.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile ext"
    for argv in (
        [*"req -x509 -days 2 -subj /CN=bench -keyout ca.key -out ca.crt".split(), *key],
        ["req", "-subj", "/CN=aws", *key, "-keyout", "server.key", "-out", "s.csr"],
        [*sign.split(), "-out", "server.crt"],
    ):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every program in the namespaces takes."""
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="FOLDER",
        help="where AWS's programs are built and stay: what lies there is not built again",
    )
    parser.add_argument("--inside", help=argparse.SUPPRESS)


def enter_namespace(options: argparse.Namespace, program: str, *names: str) -> int:
    """Build AWS's programs, then run this one again inside namespaces of its own."""
    with tempfile.TemporaryDirectory(prefix="ecr-bench-") as folder:
        place = options.rivals or Path(folder) / "rivals"
        for name in names:
            print(f"building {name} {rivals.VERSIONS[name]} ...", file=sys.stderr, flush=True)
            rivals.build(name, place)
        hosts = Path(folder) / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"127.0.0.1 {n}\n" for n in NAMES))
        script = (
            f"mount --make-rprivate / && mount --bind {hosts} /etc/hosts && ip link set lo up"
            f' && ip address add {METADATA}/32 dev lo && exec "$@"'
        )
        inside = ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child"]
        again = [sys.executable, str(HERE / program), *sys.argv[1:]]
        again += ["--inside", folder, "--rivals", str(place)]
        return subprocess.run([*inside, "sh", "-c", script, "sh", *again], check=False).returncode


PARTS: dict[str, Callable[[Lab, Tools], None]] = {
    "start-up": start_up,
    "miss": miss,
    "identities": identities,
    "herds": herds,
    "memory": memory,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few turns: for a look, not for figures"
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    parser.add_argument(
        "--native", type=Path, help="a native executable (make native), to be timed as well"
    )
    arguments(parser)
    options = parser.parse_args()
    if options.inside is None:
        return enter_namespace(options, "run.py", rivals.HELPER)
    tools: Tools = {"ours": [OURS, "get"]}
    if options.native:
        tools["native"] = [str(options.native.absolute()), "get"]
    tools["aws"] = [str(rivals.build(rivals.HELPER, options.rivals)), "get"]
    lab = Lab(Path(options.inside))
    lab.turns = 5 if options.quick else 30
    lab.results["machine"] = {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": len(os.sched_getaffinity(0)),
        "turns": lab.turns,
        "load": round(os.getloadavg()[0]),
        "ours": subprocess.run(
            [OURS, "version"], capture_output=True, text=True, check=True
        ).stdout.strip(),
        "aws": rivals.VERSIONS[rivals.HELPER],
    }
    for name in options.only:
        print(f"{name} ...", file=sys.stderr, flush=True)
        lab.aws.reset()
        lab.metadata.reset()
        PARTS[name](lab, tools)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "results.json").write_text(json.dumps(lab.results, indent=2) + "\n")
    from report import for_readme, plot, table

    text = table(lab.results)
    (options.out / "results.md").write_text(text)
    if "identities" in lab.results:
        (options.out / "second-pull.svg").write_text(plot(lab.results))
    print(text)
    if set(options.only) == set(PARTS):
        print(f"for README:\n{for_readme(lab.results)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
