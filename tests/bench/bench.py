#!/usr/bin/env python3
"""Paired ratios of Prestage against wimlib-imagex and cp, as a Markdown table with aims.

Every round runs each command once, ours and theirs in turn; a ratio pairs two runs of one round.
Needs wimlib-imagex, weed (for the row 'server') and a release build: `just bench`.
"""

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

# Only this file is run as a script: the others would leave their byte code in the sources.
sys.dont_write_bytecode = True

import corpus  # noqa: E402
import machine  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
import rows  # noqa: E402
from measure import CommandFailed, say  # noqa: E402
from sites import Prestage  # noqa: E402

TOOLS = {"append": ["wimlib-imagex"], "server": ["weed"], "graft": [], "twenty": []}


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mib", type=int, default=3072, help="size of the large sample (3072)")
    parser.add_argument("--seed", type=int, default=1, help="what all content is made from (1)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (5)")
    parser.add_argument("--rows", default=",".join(rows.GROUPS), help="groups of rows, by commas: all unless told")
    parser.add_argument("--prestage", type=Path, help="the release binary [default: cargo's target folder]")
    parser.add_argument("--folder", type=Path, help="where samples and media go [default: a temporary folder]")
    parser.add_argument("--keep", action="store_true", help="keep that folder's content")
    parser.add_argument("--json", type=Path, help="every single run, into this file, after each round")
    parser.add_argument("--plots", type=Path, help="SVG plots, into this folder")
    parser.add_argument("--print", type=Path, metavar="JSON", help="only print the table of an earlier run")
    chosen = parser.parse_args()
    chosen.groups = set(chosen.rows.split(","))
    if unknown := chosen.groups - set(rows.GROUPS):
        parser.error(f"--rows has {', '.join(unknown)}: there are {', '.join(rows.GROUPS)}")
    if chosen.mib < 100 or chosen.runs < 1:
        parser.error("--mib must be 100 or more, --runs 1 or more")
    return chosen


def measure(prestage, chosen, folder):
    """All rounds: what the report is made of. What is there is saved after each round."""
    about = machine.describe(prestage.binary, chosen.mib, chosen.seed) | {"threads": rows.threads()}
    bench = rows.Bench(prestage, folder, chosen.groups, chosen.mib, chosen.seed)
    measured = {"machine": about, "rounds": []}
    for number in range(1, chosen.runs + 1):
        say(f"round {number} of {chosen.runs}")
        costs = bench.round(number)
        measured["rounds"].append({name: cost.as_dict() for name, cost in costs.items()})
        measured["sizes"] = bench.sizes()
        if chosen.json:
            chosen.json.write_text(json.dumps(measured, indent=1) + "\n")
    return measured


def check_tools(prestage, groups):
    """Every tool that the chosen groups run, before anything is made."""
    needed = {tool for group in groups for tool in TOOLS.get(group, ["wimlib-imagex"])}
    for tool in [prestage.binary, *sorted(needed)]:
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is not there: run ./setup.sh tests, then `just bench`")


def in_folder(chosen):
    """Measures in a folder, which is emptied unless it is to be kept."""
    prestage = Prestage(chosen.prestage or machine.release_binary())
    check_tools(prestage, chosen.groups)
    if chosen.folder:
        chosen.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="prestage-bench-", dir=chosen.folder))
    try:
        return measure(prestage, chosen, folder)
    except (CommandFailed, rows.WrongResult, corpus.UnexpectedSample) as error:
        sys.exit(f"bench: {error}")
    finally:
        if chosen.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def main():
    chosen = options()
    measured = json.loads(chosen.print.read_text()) if chosen.print else in_folder(chosen)
    if chosen.plots:
        plots.write(measured, chosen.plots)
    print(report.markdown(measured))


if __name__ == "__main__":
    main()
