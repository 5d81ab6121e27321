"""The last step for one architecture: our own C is compiled, and everything linked into one file."""

import shutil
from pathlib import Path

import build_compile

OURS = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")
WHOLE = ("-static", "-no-pie", "-s", "-Wl,--gc-sections", "-Wl,--build-id=none")
PARTS = (
    "Modules/_decimal/libmpdec/libmpdec.a",
    "Modules/expat/libexpat.a",
    "Modules/_hacl/libHacl_Hash_SHA2.a",
)


def link(
    machine: build_compile.Machine, sources: list[Path], headers: list[Path], frozen: Path
) -> Path:
    """Return the executable of ``sources``, which are C, and of what freeze.py wrote to ``frozen``."""
    place = machine.place("link")
    for file in (*sources, *headers, *frozen.iterdir()):
        shutil.copy(file, place)
    python = f"../cpython-{machine.arch}"
    compiler = f"zcc-{machine.arch}"
    includes = ("-I../sources/cpython/Include", f"-I{python}")
    names = [*(source.name for source in sources), "frozen.c", "data.S"]
    for name in names:
        machine.run(
            place,
            compiler,
            *(OURS if name.endswith(".c") else ()),
            *build_compile.FLAGS,
            *includes,
            *("-c", name, "-o", f"{name}.o"),
            log=f"{name}.log",
        )
    libraries = [f"{python}/{part}" for part in (build_compile.LIBRARY, *PARTS)]
    libraries += [
        f"../{machine.libraries.name}/lib/{name}" for name in ("libssl.a", "libcrypto.a", "libz.a")
    ]
    executable = place / "docker-credential-ecr"
    objects = [f"{name}.o" for name in names]
    machine.run(
        place, compiler, *WHOLE, *objects, *libraries, "-o", executable.name, log="link.log"
    )
    return executable
