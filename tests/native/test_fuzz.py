"""Fuzzing of the native front by libFuzzer, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
import vectors
from front import SANITIZERS, compile_front, kubelets

SECONDS, IN_CI, LONG = 5, 60, 30 * 60  # of fuzzing: by hand, in CI, as a proof
WORDS = (
    *(
        "docker-credential-ecr 2",
        "host ",
        "issued ",
        "refresh ",
        "renew ",
        "expires ",
        "\\x0a\\x0a",
    ),
    *("env ", "unset ", "residue ", "file ", "absent ", "boot ", "booted ", "1795000000"),
    *('\\"kind\\"', '\\"apiVersion\\"', '\\"image\\"', '\\"CredentialProviderRequest\\"'),
    *("https://", "AWS_ECR_CACHE_DIR=~", "XDG_CACHE_HOME=/", "HOME=/", "AWS_ECR_DISABLE_CACHE="),
)


@pytest.mark.alone
@pytest.mark.proof
def test_fuzzing_finds_nothing(tmp_path: Path, proof: bool) -> None:
    """Hosts, entries, environments and directories that nobody has thought of."""
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    for case in vectors.all_of("entries", "environments", "logins"):
        name = case.name.replace("/", "-")
        (seeds / f"entry-{name}").write_bytes(b"\1" + case.payload)
        (seeds / f"tree-{name}").write_bytes(b"\3\0\0" + case.payload)
        settings = "\n".join(case.all("env"))
        (seeds / f"environment-{name}").write_bytes(b"\2" + os.fsencode(settings))
    for case in vectors.all_of("hosts"):
        (seeds / case.name.replace("/", "-")).write_bytes(b"\0" + case.payload)
    for version in ("v1", "v1beta1", "v1alpha1"):
        (seeds / f"kubelet-{version}").write_bytes(b"\4" + kubelets(version=version).encode())
    # What looks like a key, and is none.
    named = "123456789012.dkr.ecr.us-east-1.amazonaws.com/app:1serviceAccountToken"
    (seeds / "kubelet-named").write_bytes(b"\4" + kubelets(named).encode())
    words = tmp_path / "words"
    words.write_text("".join(f'"{word}"\n' for word in WORDS))
    found = tmp_path / "found"
    found.mkdir()
    fuzzer = compile_front(
        tmp_path / "fuzzer",
        *SANITIZERS,
        "-fsanitize=fuzzer",
        driver="fuzz.c",
        whole=False,
        compiler="clang",
    )
    seconds = LONG if proof else IN_CI if os.environ.get("CI") == "true" else SECONDS

    ran = subprocess.run(
        [
            fuzzer,
            *(f"-max_total_time={seconds}", f"-dict={words}", f"-artifact_prefix={found}/"),
            *("-print_final_stats=1", "-timeout=10", "-max_len=8192", str(seeds)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr[-4000:]
    executed = re.search(r"number_of_executed_units: (\d+)", ran.stderr)
    assert executed is not None
    assert int(executed[1]) > len(os.listdir(seeds)), "it came no further than its seeds"
