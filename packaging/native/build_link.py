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
    machine: build_compile.Machine,
    sources: list[Path],
    headers: list[Path],
    frozen: Path,
    *,
    name: str = "link",
    wrapped: tuple[str, ...] = (),
) -> Path:
    """Return the executable of ``sources``, which are C, and of what freeze.py wrote to ``frozen``.

    It is made in the folder ``name``; ``wrapped`` are the functions that ``sources`` stand before.
    """
    place = machine.place(name)
    for path in (*sources, *headers, *frozen.iterdir()):
        shutil.copy(path, place)
    python = f"../cpython-{machine.arch}"
    compiler = f"zcc-{machine.arch}"
    includes = ("-I../sources/cpython/Include", f"-I{python}")
    files = [*(source.name for source in sources), "frozen.c", "data.S"]
    for file in files:
        machine.run(
            place,
            compiler,
            *(OURS if file.endswith(".c") else ()),
            *build_compile.FLAGS,
            *includes,
            *("-c", file, "-o", f"{file}.o"),
            log=f"{file}.log",
        )
    libraries = [f"{python}/{part}" for part in (build_compile.LIBRARY, *PARTS)]
    libraries += [
        f"../{machine.libraries.name}/lib/{file}" for file in ("libssl.a", "libcrypto.a", "libz.a")
    ]
    executable = place / "docker-credential-ecr"
    objects = [f"{file}.o" for file in files]
    wraps = [f"-Wl,--wrap={function}" for function in wrapped]
    machine.run(
        place, compiler, *WHOLE, *wraps, *objects, *libraries, "-o", executable.name, log="link.log"
    )
    return executable
