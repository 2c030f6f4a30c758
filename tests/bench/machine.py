"""What the figures were measured on, and with."""

import datetime
import json
import os
import platform
import subprocess
from pathlib import Path

def describe(prestage, mib, seed):
    """Everything somebody needs to judge the figures or repeat them."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "cpu": processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "prestage": f"{first_line([str(prestage), '--version'])}, commit {commit()}",
        "wimlib": first_line(["wimlib-imagex", "--version"]),
        "cp": first_line(["cp", "--version"]),
        "load_before": os.getloadavg()[0],
        "mib": mib,
        "seed": seed,
    }


def processor():
    """The model's name, where the kernel tells."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def first_line(command):
    """What a tool calls itself."""
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return (said.splitlines() or ["unknown"])[0].strip()


def commit():
    """The commit of these sources; not of the binary, if that was built elsewhere."""
    here = Path(__file__).parent
    return first_line(["git", "-C", str(here), "rev-parse", "--short=10", "HEAD"])


def release_binary():
    """Where `cargo build --release` puts the command."""
    command = ["cargo", "metadata", "--no-deps", "--format-version", "1"]
    here = Path(__file__).parent
    said = subprocess.run(command, capture_output=True, text=True, check=True, cwd=here).stdout
    return Path(json.loads(said)["target_directory"], "release", "prestage")
