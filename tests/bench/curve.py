#!/usr/bin/env python3
"""The codec curve: what each level of LZX and XPRESS costs and saves, as JSON, a table and a plot.

Chunks are taken from what a sample's medium applies to: the OS image, the drivers, the software.
`--corpus DIR` adds real content, which is named with its size in the results. `just curve`.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

# Only this file is run as a script: the others would leave their byte code in the sources.
sys.dont_write_bytecode = True

import curve_plot  # noqa: E402
import machine  # noqa: E402
from measure import run, say  # noqa: E402
from sites import Prestage, Site  # noqa: E402


def options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--mib", type=int, default=600, help="size of the sample (600)")
    parser.add_argument("--seed", type=int, default=1, help="what it is made from (1)")
    parser.add_argument("--chunks", type=int, default=256, help="chunks of 32 KiB from each folder (256)")
    parser.add_argument("--runs", type=int, default=5, help="runs over all levels (5)")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="a folder of real content")
    parser.add_argument("--prestage", type=Path, help="the release binary [default: cargo's target folder]")
    parser.add_argument("--json", type=Path, help="results, into this file")
    parser.add_argument("--plots", type=Path, help="SVG plot, into this folder")
    parser.add_argument("--print", type=Path, metavar="JSON", help="only print the table of an earlier run")
    return parser.parse_args()


def measure(chosen):
    """Chunks of every folder through every level."""
    prestage = Prestage(chosen.prestage or machine.release_binary())
    program = Path(prestage.binary).parent / "examples/codec_curve"
    with tempfile.TemporaryDirectory(prefix="prestage-curve-") as at:
        site = Site(prestage, Path(at, "whole"), "whole", chosen.mib, chosen.seed)
        site.apply()
        folders = [*split(site.tree, Path(at)), *chosen.corpus]
        say(f"{chosen.runs} runs over all levels")
        _, text = run([str(program), str(chosen.chunks), str(chosen.runs), *map(str, folders)])
    about = machine.describe(prestage.binary, chosen.mib, chosen.seed)
    return {"machine": about, **json.loads(text)}


def split(tree, at):
    """The tree's three kinds of content, each in a folder of its own."""
    [drivers] = (tree / "SMS/PKG").glob("PS100077*")
    parts = [(drivers, at / "drivers"), (tree / "SMS/PKG", at / "software"), (tree / "Windows", at / "OS image")]
    for source, target in parts:
        source.rename(target)
    return parts[2][1], parts[0][1], parts[1][1]


def markdown(measured):
    """What was measured, and a line for each level."""
    about = measured["machine"]
    lines = [
        f"- Machine: {about['cores']} cores of {about['cpu']}, Linux {about['kernel']}; one thread; load average {about['load_before']:.1f}",
        f"- {about['prestage']}; sample of {about['mib']} MiB, seed {about['seed']}; {measured['runs']} runs, {about['date']}",
    ]
    for sample in measured["samples"]:
        shrinkable, packed = sample["shrinkable_bytes"], sample["packed_bytes"]
        speed = (shrinkable + packed) / sample["detection_cpu_seconds"]["median"] / 1e6
        lines.append(
            f"- {sample['name']} ({sample['files']} files): {shrinkable >> 10} KiB that are compressed, {packed >> 10} KiB told as"
            f" packed at {speed:.0f} MB/s, on which LZX 50 would have saved {sample['packed_bytes_lzx_50_would_save']} bytes"
        )
    lines += ["", table(measured)]
    return "\n".join(lines)


def table(measured):
    names = [sample["name"] for sample in measured["samples"]]
    lines = [
        "| codec | MB/s of CPU, all | CPU against LZX 50 (least–greatest) | size | against LZX 50 | " + " | ".join(names) + " |",
        "|---" * (5 + len(names)) + "|",
    ]
    for point in curve_plot.points(measured):
        each = " | ".join(f"{ratio:.1%}" for ratio in point.ratios)
        lines.append(
            f"| {point.name} | {point.speed / 1e6:.1f} | {point.faster:.2f}× ({point.slowest:.2f}–{point.fastest:.2f}) | {point.ratio:.2%} |"
            f" {point.larger:+.2%} | {each} |"
        )
    return "\n".join(lines)


def main():
    chosen = options()
    measured = json.loads(chosen.print.read_text()) if chosen.print else measure(chosen)
    if chosen.json:
        chosen.json.write_text(json.dumps(measured, indent=1) + "\n")
    if chosen.plots:
        curve_plot.write(measured, chosen.plots)
    print(markdown(measured))


if __name__ == "__main__":
    main()
