"""Say how many tests ran and how many were skipped, of pytest's reports; under CI=true none may be."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET


def main(reports: list[str]) -> int:
    tests = skipped = 0
    for report in reports:
        for suite in ET.parse(report).getroot().iter("testsuite"):
            skipped += int(suite.attrib["skipped"])
            tests += int(suite.attrib["tests"])
    sys.stdout.write(f"{tests - skipped} tests ran, {skipped} skipped\n")
    return int(skipped > 0 and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
