"""Where the instructions of a native miss go: HTTP, and TLS with as many authorities as a machine has.

Linked once more with its symbols from what ``make native`` has left in FOLDER, and counted by
valgrind's callgrind, so that a busy machine changes nothing.

    python benchmarks/native_miss.py FOLDER     # NATIVE_FOLDER; needs valgrind
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "kit"))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "packaging" / "native"))

import botocore
import build
import build_compile
import build_link
from fake_aws import FakeAWS
from kit import HOST, SYSTEM_PATH, self_signed

# Functions that do not call one another, and what they do.
PARTS = {
    "Py_InitializeFromConfig": "the interpreter starts",
    "PyMarshal_ReadObjectFromString": "the code of modules is read",
    "builtin___build_class__": "classes are made",
    "SSL_CTX_load_verify_locations": "authorities are read from a file",
    "SSL_do_handshake": "a TLS connection is made",
}
LINE = re.compile(r"^\s*([0-9,]+) \([^)]*\)\s+\S*?:(\w+)(?:'\d+)? \[")
TOTAL = re.compile(r"^\s*([0-9,]+) \([^)]*\)\s+PROGRAM TOTALS")


def number(text: str) -> int:
    return int(text.replace(",", ""))


def linked(folder: Path) -> Path:
    """Return the executable of ``folder``, with its symbols."""
    environ = build_compile.environment(folder, build.EPOCH)
    machine = build_compile.Machine(folder, build_compile.HOST, environ, 1)
    code, headers = build.sources_of_ours()
    return build_link.link(
        machine, code, headers, folder / "frozen", name="link-named", stripped=False
    )


def counted(executable: Path, env: dict[str, str], folder: Path) -> dict[str, int]:
    """Return how many instructions a miss runs, below each function, and in all under ``""``."""
    out = folder / "counts"
    argv = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}", str(executable)]
    subprocess.run([*argv, "get"], input=HOST.encode(), env=env, check=True, capture_output=True)
    said = subprocess.run(
        ["callgrind_annotate", "--inclusive=yes", "--threshold=100", out],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found: dict[str, int] = {}
    for line in said.splitlines():
        if total := TOTAL.match(line):
            found[""] = number(total[1])
        elif (row := LINE.match(line)) and row[2] in PARTS:
            found[row[2]] = max(number(row[1]), found.get(row[2], 0))
    return found


def main() -> int:
    """Print a table: a row for each part."""
    executable = linked(Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        tls = self_signed(folder, "DNS:localhost")
        bundle = folder / "authorities.pem"
        theirs = Path(botocore.__file__).parent / "cacert.pem"
        bundle.write_text(Path(tls[0]).read_text() + theirs.read_text())
        columns = {}
        for way, keys in {"HTTP": None, "TLS": tls}.items():
            with FakeAWS(tls=keys) as aws:
                env = {
                    "PATH": SYSTEM_PATH,
                    "HOME": str(folder / way),
                    "AWS_CA_BUNDLE": str(bundle),
                    "AWS_EC2_METADATA_DISABLED": "true",
                    "AWS_ENDPOINT_URL": aws.url.replace("127.0.0.1", "localhost"),
                    "AWS_ACCESS_KEY_ID": "AKIATEST",
                    "AWS_SECRET_ACCESS_KEY": "secret",
                }
                os.mkdir(env["HOME"])
                columns[way] = counted(executable, env, folder)
    print(f"| millions of instructions | {' | '.join(columns)} |\n| --- | --- | --- |")
    for name, what in PARTS.items():
        cells = (f"{column.get(name, 0) / 1e6:.1f}" for column in columns.values())
        print(f"| {what} (`{name}`) | {' | '.join(cells)} |")
    all_ = [column[""] for column in columns.values()]
    known = [sum(column.get(name, 0) for name in PARTS) for column in columns.values()]
    rest = [f"{(one - other) / 1e6:.1f}" for one, other in zip(all_, known, strict=True)]
    print(f"| the rest: modules run, a client, the call | {' | '.join(rest)} |")
    print(f"| all | {' | '.join(f'{one / 1e6:.1f}' for one in all_)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
