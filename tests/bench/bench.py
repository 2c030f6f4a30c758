#!/usr/bin/env python3
"""Paired ratios of Prestage against wimlib-imagex and cp, as a Markdown table.

Every round runs each command once, ours and theirs in turn; a ratio pairs two runs of one round.
Needs wimlib-imagex and a release build of prestage: `just bench`.
"""

import argparse
import json
import os
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
from measure import CommandFailed, run, say  # noqa: E402


class WrongResult(Exception):
    """A command ended well but did not do what its row says."""


class Bench:
    """The folder of one benchmark, and the commands measured in it."""

    def __init__(self, prestage, folder, captures):
        self.prestage, self.folder, self.captures = str(prestage), folder, captures
        self.site, self.tree = folder / "site", folder / "tree"
        self.medium, self.scratch = folder / "medium.wim", folder / "scratch.wim"
        # What the environment says of stores and coordinators is not to be measured.
        kept = os.environ.items()
        self.env = {key: value for key, value in kept if not key.startswith("PRESTAGE_")}
        self.version = corpus.FIRST_VERSION
        self.sizes = {}

    def build(self, data, output, codec="balanced"):
        """`prestage build`, one worker: its cost and its report."""
        command = [self.prestage, "build", self.site / "spec.toml", "--json", "--workers", "1"]
        command += ["--data-dir", data, "--output", output, "--codec", codec]
        cost, text = run(list(map(str, command)), self.env)
        return cost, json.loads(text)["report"]

    def prepare(self, mib):
        """The site, a first medium (not measured) and the tree it applies to."""
        say(f"sample of {mib} MiB")
        run([self.prestage, "sample", str(self.site), "--mib", str(mib)], self.env)
        _, made = self.build(self.folder / "first", self.medium)
        run([self.prestage, "verify", str(self.medium)], self.env)
        self.apply()
        manifest = json.loads(Path(f"{self.medium}.manifest.json").read_text())
        packs = corpus.encoded_pack_bytes(self.folder / "first", manifest)
        self.sizes["balanced, encoded"] = packs
        tree, carried, files = corpus.tree_bytes(self.tree)
        self.sizes |= {"tree": tree, "tree, encoded": carried, "files": files}
        self.sizes["content"] = made["content_bytes"]["made"]
        self.sizes["padding"] = made["medium"]["padding_bytes"]
        self.sizes["medium"] = self.medium.stat().st_size
        shutil.rmtree(self.folder / "first")

    def apply(self):
        """Applies the medium, less the names that Windows can hold and this file system can't."""
        shutil.copy(self.medium, self.scratch)
        _, names = run(["wimlib-imagex", "dir", str(self.scratch), "1"])
        for path in names.splitlines():
            if len(path.rsplit("/", 1)[-1].encode()) > os.pathconf(self.folder, "PC_NAME_MAX"):
                say(f"left out of the tree, its name is too long here: {path[:40]}…")
                command = f'delete --recursive "{path}"'
                run(["wimlib-imagex", "update", str(self.scratch), "1", "--command", command])
        self.tree.mkdir()
        run(["wimlib-imagex", "apply", str(self.scratch), "1", str(self.tree)])

    def round(self, number):
        """Every command once, the two of a ratio near each other."""
        data = self.folder / f"data{number}"
        costs = {}
        costs["cold"], made = self.build(data, self.medium_of("cold"))
        self.expect("cold", made, made["content_bytes"]["reused"] == 0)
        self.sizes["cold"] = self.medium_of("cold").stat().st_size
        if self.captures:
            costs["capture"] = self.wimlib("capture", self.tree)
            costs["capture LZX:20"] = self.wimlib("capture LZX:20", self.tree, "--compress=LZX:20")
        costs |= self.merges(data)
        costs |= self.revised(data)
        if self.captures:
            costs |= self.encoded(number)
        shutil.rmtree(data)
        return costs

    def merges(self, data):
        """With all packs present: ours, cp, cp to the disk, export; then with the medium there."""
        costs, output = {}, self.medium_of("merge")
        output.unlink(missing_ok=True)
        costs["merge"], made = self.build(data, output)
        self.expect("merge", made, made["content_bytes"]["made"] == 0)
        copy = ["cp", str(self.medium), str(self.scratch)]
        costs["cp"] = self.fresh(copy)
        costs["cp+sync"] = self.fresh(["sh", "-c", '"$@" && sync "$3"', "sh", *copy])
        export = ["wimlib-imagex", "export", str(self.medium), "1", str(self.scratch)]
        costs["export"] = self.fresh(export)
        self.sizes["export"] = self.scratch.stat().st_size
        costs["unchanged"], made = self.build(data, output)
        self.expect("unchanged", made, made["content_bytes"]["made"] == 0)
        return costs

    def revised(self, data):
        """One application has a new version; everything else is packed."""
        self.version += 1
        corpus.revise(self.site, self.version)
        cost, made = self.build(data, self.medium_of("revised"))
        new, old = (made["content_bytes"][key] for key in ("made", "reused"))
        self.expect("revised", made, 0 < new < old / 5)
        self.sizes["revised"] = new
        return {"revised": cost}

    def encoded(self, number):
        """The packages alone against capture, and our slow profile for equal size."""
        costs = {"capture SMS/PKG": self.wimlib("capture SMS/PKG", self.tree / "SMS/PKG")}
        for codec in ("thorough", "fast"):
            data, output = self.folder / f"{codec}{number}", self.medium_of(codec)
            costs[codec], _ = self.build(data, output, codec)
            manifest = json.loads(Path(f"{output}.manifest.json").read_text())
            self.sizes[codec] = output.stat().st_size
            self.sizes[f"{codec}, encoded"] = corpus.encoded_pack_bytes(data, manifest)
            shutil.rmtree(data)
        return costs

    def wimlib(self, name, tree, *options):
        """`wimlib-imagex capture`, its defaults but for `options`."""
        command = ["wimlib-imagex", "capture", str(tree), str(self.scratch), "tree", *options]
        cost = self.fresh(command)
        self.sizes[name] = self.scratch.stat().st_size
        return cost

    def fresh(self, command):
        """A command that writes the scratch file anew."""
        self.scratch.unlink(missing_ok=True)
        return run(command)[0]

    def medium_of(self, name):
        return self.folder / f"{name}.wim"

    @staticmethod
    def expect(row, made, held):
        if not held:
            raise WrongResult(f"'{row}' did other work than it should: {made['content_bytes']}")


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mib", type=int, default=400, help="size of the sample (400)")
    parser.add_argument("--runs", type=int, default=5, help="rounds (5)")
    parser.add_argument("--no-captures", action="store_true", help="without the slow rows: merge only")
    parser.add_argument("--keep", action="store_true", help="keep the temporary folder")
    parser.add_argument("--json", type=Path, help="every single run, into this file")
    parser.add_argument("--plots", type=Path, help="SVG plots, into this folder")
    chosen = parser.parse_args()
    if chosen.mib < 60 or chosen.runs < 1:
        parser.error("--mib must be 60 or more, --runs 1 or more")
    return chosen


def measure(prestage, chosen, folder):
    """All rounds: what the report is made of."""
    bench = Bench(prestage, folder, not chosen.no_captures)
    bench.prepare(chosen.mib)
    rounds = []
    for number in range(1, chosen.runs + 1):
        say(f"round {number} of {chosen.runs}")
        rounds.append(bench.round(number))
    runs = [{name: cost.as_dict() for name, cost in one.items()} for one in rounds]
    about = machine.describe(prestage, chosen.mib)
    return {"machine": about, "sizes": bench.sizes, "rounds": runs}


def main():
    chosen = options()
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    prestage = Path(target, "release", "prestage").resolve()
    for tool in (str(prestage), "wimlib-imagex"):
        if shutil.which(tool) is None:
            sys.exit(f"bench: {tool} is not there: run ./setup.sh tests, then `just bench`")
    folder = Path(tempfile.mkdtemp(prefix="prestage-bench-"))
    try:
        measured = measure(prestage, chosen, folder)
    except (CommandFailed, WrongResult, corpus.UnexpectedSample) as error:
        sys.exit(f"bench: {error}")
    finally:
        if chosen.keep:
            say(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(measured, indent=1) + "\n")
    if chosen.plots:
        plots.write(measured, chosen.plots)
    print(report.markdown(measured))


if __name__ == "__main__":
    main()
