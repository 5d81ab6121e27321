"""The tables of the build: lines of values between tabs, with comments that start with #."""

from pathlib import Path

HERE = Path(__file__).parent


def rows(name: str) -> list[list[str]]:
    """Return the lines of ``name``.tsv beside this file, in their order."""
    lines = (HERE / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]
