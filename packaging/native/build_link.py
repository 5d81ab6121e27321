"""The last step for one architecture: our own C is compiled, and everything linked into one file."""

import shutil
from pathlib import Path

import build_compile

OURS = ("-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror")
# Nothing protects the part that relocation would have written where nothing is relocated, as here;
# a segment for it costs a hit two page faults.
WHOLE = (
    *("-static", "-no-pie", "-s"),
    *("-Wl,--gc-sections", "-Wl,--build-id=none", "-Wl,-z,norelro"),
)
PARTS = (
    "Modules/_decimal/libmpdec/libmpdec.a",
    "Modules/expat/libexpat.a",
    "Modules/_hacl/libHacl_Hash_SHA2.a",
)


def _keep_together(assembly: Path) -> None:
    """Let the linker leave our texts beside one another.

    It looks for equal ones, and strews all over the ten megabytes of data on the way: to a hit, a
    page fault for nearly each text.
    """
    text = assembly.read_text(encoding="utf-8")
    merged = '.rodata.str1.1,"aMS",@progbits,1'
    assembly.write_text(text.replace(merged, '.rodata.texts,"a",@progbits'), encoding="utf-8")


def link(
    machine: build_compile.Machine,
    sources: list[Path],
    headers: list[Path],
    frozen: Path,
    *,
    name: str = "link",
    wrapped: tuple[str, ...] = (),
    stripped: bool = True,
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
    names = [*(source.name for source in sources), "frozen.c"]
    for c in names:
        machine.run(
            place,
            compiler,
            *(*OURS, *build_compile.FLAGS, *includes),
            # zig says -c, too, which clang does not use then.
            *("-Wno-unused-command-line-argument", "-S", c, "-o", f"{c}.S"),
            log=f"{c}.log",
        )
        _keep_together(place / f"{c}.S")
    assemblies = [*(f"{c}.S" for c in names), "data.S"]
    for assembly in assemblies:
        machine.run(place, compiler, "-c", assembly, "-o", f"{assembly}.o", log=f"{assembly}.log")
    libraries = [f"{python}/{part}" for part in (build_compile.LIBRARY, *PARTS)]
    libraries += [
        f"../{machine.libraries.name}/lib/{file}" for file in ("libssl.a", "libcrypto.a", "libz.a")
    ]
    executable = place / "docker-credential-ecr"
    objects = [f"{assembly}.o" for assembly in assemblies]
    whole = [flag for flag in WHOLE if stripped or flag != "-s"]
    wraps = [f"-Wl,--wrap={function}" for function in wrapped]
    machine.run(
        place, compiler, *whole, *wraps, *objects, *libraries, "-o", executable.name, log="link.log"
    )
    return executable
