"""Say how many tests ran and how many were skipped, of pytest's reports; under CI=true none may be."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET


def main(reports: list[str]) -> int:
    tests = skipped = 0
    for report in reports:
        for case in ET.parse(report).getroot().iter("testcase"):
            tests += 1
            # A test that is known to fail is reported as skipped, too, and did run.
            skipped += any(why.get("type") == "pytest.skip" for why in case.iter("skipped"))
    sys.stdout.write(f"{tests - skipped} tests ran, {skipped} skipped\n")
    return int(skipped > 0 and os.environ.get("CI") == "true")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
