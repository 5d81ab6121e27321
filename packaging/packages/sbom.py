"""The bill of materials of the executable: CycloneDX 1.6, JSON.

Source of the format: https://cyclonedx.org/docs/1.6/json/; packages.py holds it to its schema.
"""

import json
import re
import uuid
from typing import Any

from embedded import Component

NAMESPACE = uuid.UUID("7d444840-9dc0-11d1-b245-5ffdce74fad2")  # of names made here
CVE = re.compile(r"CVE-\d{4}-\d+")


def bill(program: str, sha256: str, dated: str, components: list[Component]) -> str:
    """Return the bill of ``program`` (``name@version?arch=…``), whose executable has ``sha256``."""
    whole = f"pkg:generic/{program}"
    name, _, version = program.partition("?")[0].partition("@")
    found: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(NAMESPACE, sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": dated,
            "component": {
                "type": "application",
                "bom-ref": whole,
                "name": name,
                "version": version,
                "purl": whole,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "hashes": [{"alg": "SHA-256", "content": sha256}],
            },
        },
        "components": [_component(component) for component in components],
        "dependencies": [
            {"ref": whole, "dependsOn": [component.url for component in components]},
            *({"ref": component.url} for component in components),
        ],
    }
    return json.dumps(found, indent=2) + "\n"


def _component(component: Component) -> dict[str, Any]:
    expression = " " in component.licence
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": component.url,
        "name": component.name,
        "version": component.version,
        "description": component.about,
        "scope": "required",
        "licenses": [
            {"expression": component.licence}
            if expression
            else {"license": {"id": component.licence}}
        ],
        "purl": component.url,
    }
    if component.sha256:
        made["externalReferences"] = [
            {
                "type": "source-distribution",
                "url": component.url,
                "hashes": [{"alg": "SHA-256", "content": component.sha256}],
            }
        ]
    if component.patches:
        made["pedigree"] = {"patches": [_patch(patch) for patch in component.patches]}
    return made


def _patch(name: str) -> dict[str, Any]:
    """Return a patch: ours, or Debian's; most of these are named after what they mend."""
    kind = "backport" if name.startswith("debian/") else "unofficial"
    made: dict[str, Any] = {"type": kind, "diff": {"url": name}}
    if found := CVE.search(name):
        made["resolves"] = [{"type": "security", "id": found[0]}]
    return made
