"""The first module that the interpreter is asked for: the program, as packaging/docker-credential-ecr."""

import os

try:
    from docker_credential_ecr.__main__ import main

    main()
except KeyboardInterrupt:
    os._exit(130)
