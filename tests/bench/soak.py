#!/usr/bin/env python3
"""Builds media on a fleet whose processes are killed all the while, and checks that nothing of it stays.

`./soak.sh --minutes 60`. The exit code says whether all media were right, all came back to zero, and memory and disk
stayed flat; the summary is JSON. What is drawn comes from the seed that is printed; when it happens does not.
"""

import argparse
import collections
import contextlib
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True

import machine  # noqa: E402
from measure import say  # noqa: E402
from sites import Prestage  # noqa: E402
from soak_builds import Builder, Media  # noqa: E402
from soak_faults import Faults  # noqa: E402
from soak_servers import Fleet, wait_for  # noqa: E402

LOOK_SECONDS = 5
# Before it, processes and their pools grow.
WARM_UP = 0.2
GROWTH_MAX = 1.2
# What is smaller than this may vary.
NOISE_MIB = {"rss coordinator": 16, "rss worker": 32, "disk": 64}
# Whoever dies may leave an upload that nobody knows of, for a day; so may each worker whose answer the store takes
# with it.
UPLOADS_OF = {"kill worker": 1, "kill seaweed": 3}
# A coordinator that dies, or loses its database, between a build's pin and the build itself leaves the pin, of each
# builder's build at most; it goes with the garbage after a month.
PINS_OF = ("kill active", "stop active", "kill postgres")


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=60, help="how long builds are submitted (60)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what is drawn [default: the time]")
    parser.add_argument("--builders", type=int, default=3, help="builds at once (3)")
    parser.add_argument("--json", type=Path, default=Path("soak.json"), help="the summary (soak.json)")
    parser.add_argument("--prestage", type=Path, help="the binary [default: the release one, else the debug one]")
    return parser.parse_args()


def binary():
    """The release binary if there is one, else the debug one."""
    release = machine.release_binary()
    debug = release.parent.parent / "debug" / "prestage"
    for path in (release, debug):
        if path.is_file():
            return path
    raise SystemExit("no binary: run 'cargo build --release -p prestage-cli' first")


def look(fleet):
    """One sample, in MiB; a server that is away at the moment has none of its own."""
    sample = {f"rss {service.name}": service.rss_mib() for service in fleet.services()}
    staged = [path.stat().st_size for path in fleet.staging.rglob("*") if path.is_file()]
    sample["disk staging"] = sum(staged) / 2**20
    with contextlib.suppress(OSError):
        for bucket in ("packs", "media"):
            sample[f"disk {bucket}"] = sum(fleet.store.objects(bucket).values()) / 2**20
        sample["open uploads"] = len(fleet.store.open_uploads())
    return sample


def growth(samples):
    """Greatest value of the first third after the warm-up and of the last third, of each series."""
    kept = samples[int(len(samples) * WARM_UP):]
    third = max(len(kept) // 3, 1)
    found = {}
    for name in sorted({name for sample in kept for name in sample}):
        first, last = ([sample[name] for sample in part if name in sample] for part in (kept[:third], kept[-third:]))
        found[name] = {"first": round(max(first, default=0), 1), "last": round(max(last, default=0), 1)}
    return found


def is_flat(name, series):
    """Whether a series has not grown."""
    # Uploads are bounded by the kills.
    if name == "open uploads":
        return True
    noise = next(mib for kind, mib in NOISE_MIB.items() if name.startswith(kind))
    return series["last"] <= max(series["first"] * GROWTH_MAX, series["first"] + noise)


def left_behind(fleet, uploads_max, pins_max):
    """What has not come back to zero, as texts."""
    left = []
    active = fleet.active()
    if active is None:
        return ["no coordinator leads"]
    for name in ('prestage_worker_slots{state="busy"}', 'prestage_builds{state="running"}', "prestage_queue_tasks"):
        if value := fleet.number(active, name):
            left.append(f"{name} is {value}")
    left += [f"staged: {path.name}" for path in fleet.staging.rglob("*") if path.is_file()]
    builds = [key for key in fleet.store.objects("packs") if "/builds/" in key]
    left += [f"object: {key}" for key in builds if not key.endswith(("/pin", "/placements"))]
    if len(pins := [key for key in builds if key.endswith("/pin")]) > pins_max:
        left.append(f"{len(pins)} builds have pins, which is more than the {pins_max} that kills may have left")
    # They are left to the daily search.
    if len(uploads := fleet.store.open_uploads()) > uploads_max:
        left.append(f"{len(uploads)} uploads are open, which is more than the {uploads_max} that kills may have left")
    return left


def line(started, builders, faults, sample):
    """A minute in a line."""
    ended = sum((builder.ended for builder in builders), collections.Counter())
    parts = [f"{(time.monotonic() - started) / 60:5.1f} min", f"builds {dict(ended)}", f"faults {dict(faults.fired)}"]
    parts += [f"{name} {value:.0f}" for name, value in sample.items()]
    say("; ".join(parts))


def collect(fleet, builder):
    """Removes packs that no build uses now: the next ones make them anew."""
    client = builder.start("gc")
    client.communicate()


def soak(chosen, fleet, media):
    """Everything at once; the samples, builders and faults."""
    ending, calm = threading.Event(), threading.Event()
    faults = Faults(fleet, random.Random(chosen.seed), calm)
    builders = [Builder(number, fleet, media, random.Random(f"{chosen.seed} {number}"), ending)
                for number in range(chosen.builders)]
    threads = [threading.Thread(target=one.run) for one in [*builders, faults]]
    started, samples, minute = time.monotonic(), [], 0
    for thread in threads:
        thread.start()
    while time.monotonic() - started < chosen.minutes * 60:
        time.sleep(LOOK_SECONDS)
        samples.append(look(fleet))
        if time.monotonic() - started >= (minute + 1) * 60:
            minute += 1
            line(started, builders, faults, samples[-1])
            collect(fleet, builders[0])
            fleet.store.vacuum()
    calm.set()
    threads[-1].join()
    ending.set()
    for thread in threads:
        thread.join()
    return samples, builders, faults


def judged(fleet, samples, builders, faults):
    """The summary; what is wrong is in its `problems`."""
    uploads_max = sum(faults.fired[kind] * most for kind, most in UPLOADS_OF.items())
    problems = [f"faults ended: {error}" for error in faults.errors]
    pins_max = sum(faults.fired[kind] for kind in PINS_OF) * len(builders)
    try:
        wait_for(lambda: not left_behind(fleet, uploads_max, pins_max), "it does not come back to zero")
    except TimeoutError as error:
        problems.append(f"{error}: {left_behind(fleet, uploads_max, pins_max)}")
    uploads = fleet.store.open_uploads()
    ended = sum((builder.ended for builder in builders), collections.Counter())
    problems += [f"build: {failure}" for builder in builders for failure in builder.failures]
    if not ended["done"]:
        problems.append("no build was done")
    if not faults.fired:
        problems.append("no fault fired")
    series = growth(samples)
    problems += [f"{name} has grown: {one}" for name, one in series.items() if not is_flat(name, one)]
    for service in [*fleet.workers, *fleet.coordinators]:
        if (code := service.end()) != 0:
            problems.append(f"{service.name} ended with {code} at SIGTERM")
    return {"builds": dict(ended), "faults": dict(faults.fired), "open_uploads": uploads, "series": series,
            "problems": problems}


def main():
    """Runs it and says how it went."""
    chosen = options()
    path = chosen.prestage or binary()
    say(f"soak: seed {chosen.seed}, {chosen.minutes} minutes, {path}")
    # SeaweedFS and PostgreSQL have users and sockets of their own: short, and open to them.
    with tempfile.TemporaryDirectory(prefix="prestage-soak-") as folder:
        folder = Path(folder)
        folder.chmod(0o755)
        prestage = Prestage(path)
        media = Media(prestage, folder)
        fleet = Fleet(prestage, folder, media.seal_key)
        try:
            summary = judged(fleet, *soak(chosen, fleet, media))
        finally:
            fleet.close()
    summary = {"seed": chosen.seed, "minutes": chosen.minutes, "binary": path.parent.name} | summary
    chosen.json.write_text(json.dumps(summary, indent=2) + "\n")
    say(json.dumps(summary, indent=2))
    sys.exit(1 if summary["problems"] else 0)


if __name__ == "__main__":
    main()
