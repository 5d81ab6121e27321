"""What ``run.py`` measured, as Markdown tables and as a plot."""

from __future__ import annotations

from typing import Any

Results = dict[str, Any]


def table(results: Results) -> str:
    """Return the results as Markdown."""
    machine = results["machine"]
    parts = [
        "# Figures\n",
        (
            f"From `make bench`: {machine['ours']}; Python {machine['python']},"
            f" {machine['system']}, {machine['processors']} processors;"
            f" AWS's helper {machine['aws']}, built from its Go module;"
            f" medians of {machine['turns']} turns (fewer where a turn is long);"
            f" load average before it: {machine['load']} (a quiet machine has 0).\n"
        ),
    ]
    if "start-up" in results:
        start = results["start-up"]
        times = start["ms"]
        parts += [
            "## A hit and the interpreter\n",
            rows(
                ["", "ms"],
                [
                    ["`python -I -S -c pass`: the floor", times["-I -S -c pass"]],
                    ["`python -c pass`, the same environment", times["-c pass"]],
                    ["a hit", times["hit"]],
                    ["a `get` in the refresh window, with its renewal started", times["window"]],
                ],
            ),
            rows(
                ["ratio", ""],
                [[name, value] for name, value in start.items() if name != "ms"],
            ),
        ]
    if "miss" in results:
        times = results["miss"]["ms"]
        parts += [
            "## A miss and the script that people write\n",
            rows(
                ["", "ms"],
                [
                    ["plain boto3 script", times["plain"]],
                    ["a miss, lock and cache write included", times["miss"]],
                    ["ratio", results["miss"]["miss / plain"]],
                ],
            ),
        ]
    if "identities" in results:
        parts += [
            "## By identity\n",
            (
                "*Delay* is before each answer of ECR and STS, in ms; the instance metadata"
                " service, which is on the machine, answers after 1 ms at most.\n"
            ),
            identities(results["identities"]),
        ]
    if "herds" in results:
        head = ["tool", "at once", "cold, s", "requests", "answered", "warm, s", "requests",
                "answered", "warm / (n/cores x one hit)"]  # fmt: skip
        body = [
            [NAMES[r["tool"]], r["size"], r["cold s"], r["cold requests"], r["cold answered"],
             r["warm s"], r["warm requests"], r["warm answered"],
             r["warm / (size/cores x one hit)"]]
            for r in results["herds"]
        ]  # fmt: skip
        parts += ["## Herds, with 2 ms before each answer\n", rows(head, body)]
    if "peak memory, MiB" in results:
        memory = results["peak memory, MiB"]
        parts += [
            "## Peak memory of one process\n",
            rows(["", "MiB"], [[named(name), most] for name, most in memory.items()]),
        ]
    return "\n".join(parts)


NAMES = {
    "native": "docker-credential-ecr, native",
    "ours": "docker-credential-ecr, Python",
    "aws": "AWS's helper",
}


def named(row: str) -> str:
    """Return a row's name with the tool's own in it: ``ours, hit``."""
    tool, comma, state = row.partition(", ")
    return f"{NAMES.get(tool, tool)}{comma}{state}"


def identities(measured: list[Results]) -> str:
    tools = [name for name in NAMES if f"{name} hit ms" in measured[0]]
    head = ["identity", "delay"]
    for what in ("hit ms", "requests, hit", "miss ms", "requests, miss"):
        head += [f"{what.replace(' ms', ', ms')}: {NAMES[tool]}" for tool in tools]
    body = []
    for row in measured:
        line = [row["identity"], row["delay ms"]]
        for what in ("hit ms", "requests, hit", "miss ms", "requests, miss"):
            line += [row[f"{tool} {what}"] for tool in tools]
        body.append(line)
    return rows(head, body)


def rows(head: list[Any], body: list[Any]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def for_readme(results: Results) -> str:
    """Return what README's sentences say of a run, to be pasted there. It takes all parts of one."""
    measured = results["identities"]
    most_delay = max(row["delay ms"] for row in measured)
    far = [row for row in measured if row["delay ms"] == most_delay]
    tools = [name for name in NAMES if f"{name} hit ms" in measured[0]]
    keys = next(row for row in far if row["identity"] == "static keys")
    lines = [f"static keys, second pull: {tool} {keys[f'{tool} hit ms']:.0f} ms" for tool in tools]
    for tool in tools:
        misses = [row[f"{tool} miss ms"] for row in far]
        lines.append(f"not on disk: {tool} {min(misses):.0f} to {max(misses):.0f} ms")
    most = max(row["size"] for row in results["herds"])
    for row in results["herds"]:
        if row["size"] == most:
            said = f"{row['cold s']} s, {row['cold requests']} calls"
            lines.append(f"{most} at once, nothing on disk: {row['tool']} {said}")
    return "\n".join(lines)


WIDTH, LEFT, RIGHT, BAR, GAP = 760, 130, 150, 18, 14  # pixels
# Each tool's bar, on a light page and on a dark one.
COLOURS = {
    "native": ("#1f7a5c", "#3fb68b"),
    "ours": ("#7fbfa5", "#a8dcc8"),
    "aws": ("#8a8f98", "#8a8f98"),
}
TITLE = "Second pull: milliseconds until Docker has its password"
ASKED = "AWS answers after {delay} ms, the instance metadata service after 1 ms; shorter is better"
WORDS = {"instance metadata": "instance role"}


def plot(results: Results) -> str:
    """Return a bar chart of a hit by identity, with the longest delay, as SVG.

    It brings its own ground, light or dark as the reader's system is: pages of either kind show it.
    """
    measured = results["identities"]
    delay = max(row["delay ms"] for row in measured)
    measured = [row for row in measured if row["delay ms"] == delay]
    tools = [name for name in NAMES if f"{name} hit ms" in measured[0]]
    most = max(row[f"{tool} hit ms"] for row in measured for tool in tools)
    scale = (WIDTH - LEFT - RIGHT) / most
    marks = [
        f'<text x="20" y="32" class="title">{TITLE}</text>',
        f'<text x="20" y="52" class="soft">{ASKED.format(delay=delay)}</text>',
    ]
    x = 20
    for tool in tools:
        marks.append(
            f'<rect x="{x}" y="66" width="12" height="12" class="{tool}"/>'
            f'<text x="{x + 18}" y="76">{NAMES[tool]}</text>'
        )
        x += 40 + 7 * len(NAMES[tool])
    y = 98
    for row in measured:
        middle = y + BAR * len(tools) / 2 + 4
        label = WORDS.get(row["identity"], row["identity"])
        marks.append(f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{label}</text>')
        for tool in tools:
            value, requests = row[f"{tool} hit ms"], row[f"{tool} requests, hit"]
            width = max(1, value * scale)
            asked = f"{requests} requests" if requests else "no request"
            marks.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 3}" class="{tool}"/>'
                f'<text x="{LEFT + width + 6:.1f}" y="{y + BAR - 6}">{value:.0f} ms, {asked}</text>'
            )
            y += BAR
        y += GAP
    light, dark = (
        " ".join(f".{tool}{{fill:{pair[page]}}}" for tool, pair in COLOURS.items())
        for page in (0, 1)
    )
    style = (
        "text{fill:#1f2328;font:13px sans-serif}.title{font-size:16px;font-weight:bold}"
        f".soft{{fill:#59636e}}.ground{{fill:#fff;stroke:#d1d9e0}}{light}"
        "@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.soft{fill:#9198a1}"
        f".ground{{fill:#0d1117;stroke:#3d444d}}{dark}}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 6}" width="{WIDTH}"'
        f' height="{y + 6}" role="img"><title>{TITLE}</title>'
        f"<style>{style}</style>"
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{y + 5}" rx="8" class="ground"/>'
        + "".join(marks)
        + "</svg>\n"
    )
