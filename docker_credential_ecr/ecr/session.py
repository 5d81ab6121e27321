"""What of AWS's library is loaded: a botocore session for the services that an answer needs.

botocore is boto3's own core; ``import boto3`` itself is left out, as it loads the transfer manager
of another service, which costs more than the rest of a miss (benchmarks/README.md).
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

# The services that an answer may need: for the token, for roles, for SSO and login sessions.
_SERVICES = ("ecr", "ecr-public", "signin", "sso", "sso-oidc", "sts")


def load(profile: str | None) -> "Any":
    """Return a botocore session that reads only the data files of the services that we call.

    Left alone, it lists 440 service folders and parses an endpoints.json of 1.2 MB, a third of the
    time that a client takes. The loader is a component that botocore lets its user register; one
    with data paths of the user's own (AWS_DATA_PATH, ~/.aws/models) is left as it is.
    """
    import botocore.loaders
    import botocore.session

    session = botocore.session.Session(profile=profile)

    class Loader(botocore.loaders.Loader):  # type: ignore[misc]
        """botocore's data loader, for the services that we call."""

        def list_available_services(self, type_name: str) -> list[str]:  # noqa: ARG002 - theirs
            return list(_SERVICES)

        def load_data_with_path(self, name: str) -> "tuple[Any, str]":
            if name != "endpoints":
                return super().load_data_with_path(name)  # type: ignore[no-any-return]
            partitions, path = super().load_data_with_path("partitions")
            return _endpoints(partitions), path

    own = os.path.expanduser(botocore.loaders.Loader.CUSTOMER_DATA_PATH)
    if session.get_config_variable("data_path") or os.path.isdir(own):
        return session
    session.register_component("data_loader", Loader())
    return session


def _endpoints(partitions: "Mapping[str, Any]") -> "dict[str, Any]":
    """Return what botocore's endpoints.json says, without its services.

    The endpoint of a request comes from its service's rule set; this gives the partitions' regions
    and names, which partitions.json (7 KB) has too. A test compares every endpoint with boto3's.
    """
    return {
        "version": 3,
        "partitions": [
            {
                "partition": partition["id"],
                "dnsSuffix": partition["outputs"]["dnsSuffix"],
                "regionRegex": partition["regionRegex"],
                "regions": {region: {} for region in partition["regions"]},
                "defaults": {
                    "hostname": "{service}.{region}.{dnsSuffix}",
                    "protocols": ["https"],
                    "signatureVersions": ["v4"],
                    "variants": [
                        {
                            "tags": tags,
                            "hostname": "{service}" + fips + ".{region}.{dnsSuffix}",
                            "dnsSuffix": partition["outputs"][suffix],
                        }
                        for tags, fips, suffix in (
                            (["fips"], "-fips", "dnsSuffix"),
                            (["dualstack"], "", "dualStackDnsSuffix"),
                            (["dualstack", "fips"], "-fips", "dualStackDnsSuffix"),
                        )
                    ],
                },
                "services": {},
            }
            for partition in partitions["partitions"]
        ],
    }
