"""A Docker credential helper for Amazon ECR."""

__version__ = "1.0.0"

# The executable's name, and the folder of its cache, its state and its configuration.
PROGRAM = "docker-credential-ecr"
# What Docker says to a credential helper (docker/docker-credential-helpers, credentials.go).
ACTIONS = ("get", "store", "erase", "list", "version")
USER = "AWS"  # the only user that ECR knows
# The executable's own action, for the process that renews a token behind an answer.
RENEWAL = "renew"
