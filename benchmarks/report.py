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
            f" AWS's Go helper: {machine['go helper']};"
            f" medians of {machine['turns']} turns (fewer where a turn is long).\n"
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
        parts += ["## By identity\n", identities(results["identities"])]
    if "herds" in results:
        head = ["tool", "at once", "cold, s", "requests", "answered", "warm, s", "requests",
                "answered", "warm / (n/cores x one hit)"]  # fmt: skip
        body = [
            [NAMES[r["tool"]], r["size"], r["cold s"], r["cold requests"], r["cold answered"],
             r["warm s"], r["warm requests"], r["warm answered"],
             r["warm / (size/cores x one hit)"]]
            for r in results["herds"]
        ]  # fmt: skip
        parts += ["## Herds (2 ms at the endpoint)\n", rows(head, body)]
    if "peak memory, MiB" in results:
        memory = results["peak memory, MiB"]
        parts += ["## Peak memory of one process\n", rows(["", "MiB"], list(memory.items()))]
    return "\n".join(parts)


NAMES = {"ours": "docker-credential-ecr", "go": "Go helper"}


def identities(measured: list[Results]) -> str:
    tools = [name for name in NAMES if f"{name} hit ms" in measured[0]]
    head = ["identity", "endpoint, ms"]
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


WIDTH, LEFT, BAR, GAP = 760, 230, 14, 10  # pixels
COLOURS = {"ours": "#2a7f62", "go": "#8a8f98"}


def plot(results: Results) -> str:
    """Return a bar chart of a hit by identity and delay, as SVG."""
    measured = results["identities"]
    tools = [name for name in NAMES if f"{name} hit ms" in measured[0]]
    most = max(row[f"{tool} hit ms"] for row in measured for tool in tools)
    scale = (WIDTH - LEFT - 70) / most
    marks = []
    y = 56
    for row in measured:
        middle = y + BAR * len(tools) / 2 + 4
        label = f"{row['identity']}, {row['delay ms']} ms"
        marks.append(f'<text x="{LEFT - 8}" y="{middle:.0f}" text-anchor="end">{label}</text>')
        for tool in tools:
            value = row[f"{tool} hit ms"]
            width = max(1, value * scale)
            marks.append(
                f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR - 2}"'
                f' fill="{COLOURS[tool]}"/>'
                f'<text x="{LEFT + width + 5:.1f}" y="{y + BAR - 4}">{value:g}</text>'
            )
            y += BAR
        y += GAP
    legend = []
    x = LEFT
    for tool in tools:
        legend.append(
            f'<rect x="{x}" y="32" width="12" height="12" fill="{COLOURS[tool]}"/>'
            f'<text x="{x + 18}" y="42">{NAMES[tool]}</text>'
        )
        x += 190
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 10}"'
        ' font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{y + 10}" fill="#fff"/>'
        f'<text x="{LEFT}" y="20" font-size="14">a hit, ms, by identity and delay at the'
        " endpoint (less is better)</text>" + "".join([*legend, *marks]) + "</svg>\n"
    )
