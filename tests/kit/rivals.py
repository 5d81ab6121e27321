"""AWS's own two programs, built from their Go modules: what this one is compared with.

Each is built in a module of its own, with the versions that it names itself; Go checks the hashes
against its public database. A Go that is older than a module wants fetches the one that it wants.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

HELPER = "docker-credential-ecr-login"
PLUGIN = "ecr-credential-provider"
VERSIONS = {HELPER: "0.12.0", PLUGIN: "1.37.1"}
PACKAGES = {
    HELPER: f"github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/{HELPER}",
    PLUGIN: f"k8s.io/cloud-provider-aws/cmd/{PLUGIN}",
}


def build(name: str, folder: Path) -> Path:
    """Return the path of HELPER or PLUGIN in ``folder``, where it is built if it is not there.

    Raises ``SystemExit``.
    """
    made = folder.absolute() / f"{name}-{VERSIONS[name]}"
    if made.exists():
        return made
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")
    if go is None:
        raise SystemExit(f"{name} is built from its Go module, and go is not installed")
    package = PACKAGES[name]
    with tempfile.TemporaryDirectory(prefix="rival-") as module:  # in no module of this tree's
        for command in (
            ["mod", "init", "rival"],
            ["get", f"{package}@v{VERSIONS[name]}"],
            ["build", "-trimpath", "-o", str(made), package],
        ):
            env = {**os.environ, "CGO_ENABLED": "0"}  # as AWS's own releases
            done = subprocess.run(
                [go, *command], env=env, cwd=module, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise SystemExit(f"go {command[0]} of {name} failed: {done.stderr.strip()[-500:]}")
    return made
