#!/usr/bin/env python3
"""A fleet under load: many builds at once that share most of their content.

Starts a coordinator and workers, submits all builds at once, and prints what came of it as a Markdown table:
`just fleet`. Needs a release build.
"""

import argparse
import datetime
import hashlib
import json
import os
import random
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True

import machine  # noqa: E402
from measure import say  # noqa: E402
from sites import Prestage  # noqa: E402

READY_SECONDS = 30


def options():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--builds", type=int, default=100, help="media, submitted at once (100)")
    parser.add_argument("--contents", type=int, default=50, help="packages of each (50)")
    parser.add_argument("--pool", type=int, default=60, help="packages that they are drawn from (60)")
    parser.add_argument("--kib", type=int, default=512, help="size of a package (512)")
    parser.add_argument("--workers", type=int, default=2, help="workers of two slots each (2)")
    parser.add_argument("--prestage", type=Path, help="the release binary [default: cargo's target folder]")
    return parser.parse_args()


def add_packages(site, count, kib):
    """Packages beside the sample's, on both distribution points: half of the bytes shrink."""
    path = site / "adminservice/wmi/SMS_Package.json"
    document = json.loads(path.read_text(encoding="utf-8-sig"))
    rows = document["value"] if isinstance(document, dict) else document
    draw = random.Random(7)
    names = [f"PS1003{number:02X}" for number in range(count)]
    for name in names:
        rows.append({**rows[0], "Name": f"Package {name}", "PackageID": name, "SourceVersion": 1,
                     "StoredPkgVersion": 1, "PackageSize": kib})
        files = [draw.randbytes(kib << 8), b"".join(b"%08x setting = %d\r\n" % (draw.getrandbits(32), n)
                                                    for n in range(kib * 9)),
                 draw.randbytes(kib << 8)]
        for point in ("dp1", "dp2"):
            add_package(site / point / "SCCMContentLib", name, files)
    path.write_text(json.dumps(document))
    return names


def add_package(library, name, files):
    """One package in a content library."""
    (library / "PkgLib" / f"{name}.INI").write_text(f"[Packages]\r\n{name}.1=\r\n[Info]\r\nVersion=1\r\n")
    listing = library / "DataLib" / f"{name}.1"
    listing.mkdir()
    for number, body in enumerate(files):
        digest = hashlib.sha256(body).hexdigest().upper()
        stored = library / "FileLib" / digest[:4] / digest
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_bytes(body)
        (listing / f"file{number}.bin.INI").write_text(
            f"[File]\r\nSize={len(body)}\r\nAttributes=00000020\r\n"
            f"TimeModified=133854732590000000\r\nHash={digest}\r\n")


def add_specs(site, names, builds, contents):
    """A spec for each build, each with other packages of the pool."""
    text = (site / "spec.toml").read_text()
    draw = random.Random(8)
    specs = []
    for number in range(builds):
        chosen = json.dumps(sorted(draw.sample(names, min(contents, len(names)))))
        spec = re.sub(r"^packages +=.*$", f"packages = {chosen}", text, flags=re.MULTILINE)
        path = site / f"medium-{number:03}.toml"
        path.write_text(spec.replace("w11-sample", f"medium-{number:03}"))
        specs.append(path)
    return specs


def free_port():
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def scrape(port):
    """The metrics of a service, by name with labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    samples = (line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
    return {name: float(value) for name, value in samples}


def memory_mib(process):
    """The most memory that a process has had."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


class Fleet:
    """A coordinator and workers, ended with this."""

    def __init__(self, prestage, folder, workers):
        self.port, self.metrics = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = (folder / "services.log").open("w")
        self.prestage, self.processes = prestage, []
        data = folder / "data"
        self.coordinator = self.start("coordinator", "--listen", f"127.0.0.1:{self.port}",
                                      "--data-dir", data, "--metrics", f"127.0.0.1:{self.metrics}")
        deadline = time.monotonic() + READY_SECONDS
        while socket.socket().connect_ex(("127.0.0.1", self.port)) != 0:
            assert time.monotonic() < deadline, "the coordinator does not answer"
            time.sleep(0.05)
        for number in range(workers):
            self.start("worker", "--coordinator", self.url, "--name", f"w{number}", "--threads", "1")

    def start(self, *arguments):
        """A service."""
        command = [self.prestage.binary, *map(str, arguments)]
        process = subprocess.Popen(command, env=self.prestage.env, stderr=self.log, stdout=self.log)
        self.processes.append(process)
        return process

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            process.wait(timeout=60)


def build_all(fleet, site, specs, outputs):
    """Submits all at once; when each began and ended, and what failed."""
    times, failures = [], []

    def one(spec):
        begun = time.monotonic()
        command = [fleet.prestage.binary, "build", "--json", str(spec), "--site", str(site), "--no-register",
                   "--coordinator", fleet.url, "--output", str(outputs / f"{spec.stem}.wim")]
        done = subprocess.run(command, env=fleet.prestage.env, capture_output=True, text=True, check=False)
        times.append((begun, time.monotonic()))
        if done.returncode:
            failures.append(done.stderr[-2000:])

    threads = [threading.Thread(target=one, args=(spec,)) for spec in specs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, failures


def waits_for_first_task(fleet):
    """Seconds from the record of each build to its first task on a worker, sorted."""
    def ask(*arguments):
        command = [fleet.prestage.binary, *arguments, "--json", "--coordinator", fleet.url]
        done = subprocess.run(command, env=fleet.prestage.env, capture_output=True, text=True, check=True)
        return json.loads(done.stdout)

    waits = []
    for build in ask("list")["builds"]:
        entries = ask("log", build["build_id"])["entries"]
        times = [datetime.datetime.fromisoformat(entry["at"]) for entry in entries]
        begun = [at for at, entry in zip(times, entries) if entry["text"].startswith("Began ")]
        waits.append((min(begun) - times[0]).total_seconds())
    return sorted(waits)


def main():
    """Measures once and prints."""
    chosen = options()
    prestage = Prestage(chosen.prestage or machine.release_binary())
    with tempfile.TemporaryDirectory(prefix="prestage-fleet-") as folder:
        folder = Path(folder)
        site, outputs = folder / "site", folder / "out"
        outputs.mkdir()
        prestage.run("sample", site)
        names = add_packages(site, chosen.pool, chosen.kib)
        specs = add_specs(site, names, chosen.builds, chosen.contents)
        say("one build alone, cold")
        (folder / "one").mkdir()
        (folder / "all").mkdir()
        with Fleet(prestage, folder / "one", chosen.workers) as fleet:
            times, failures = build_all(fleet, site, specs[:1], outputs)
            assert not failures, failures[0]
            alone = times[0][1] - times[0][0]
            first = waits_for_first_task(fleet)
        say(f"{chosen.builds} builds at once")
        with Fleet(prestage, folder / "all", chosen.workers) as fleet:
            times, failures = build_all(fleet, site, specs, outputs)
            numbers, memory = scrape(fleet.metrics), memory_mib(fleet.coordinator)
            waits = waits_for_first_task(fleet)
        assert not failures, f"{len(failures)} failed: {failures[0]}"
        report(chosen, alone, times, numbers, memory, outputs)
        print(f"| from submission to the first task: alone | {first[0]:.2f} s |")
        print(f"| the same of {len(waits)} at once: median, greatest | {waits[len(waits) // 2]:.1f} s, {waits[-1]:.1f} s |")


def report(chosen, alone, times, numbers, memory, outputs):
    """The table."""
    begun, ended = min(t[0] for t in times), max(t[1] for t in times)
    took, cores = ended - begun, len(os.sched_getaffinity(0))

    def tasks(kind, outcome):
        return int(numbers.get(f'prestage_tasks_total{{kind="{kind}",outcome="{outcome}"}}', 0))

    bytes_made = sum(path.stat().st_size for path in outputs.glob("*.wim"))
    print(f"{machine.processor()}, {cores} cores; {chosen.workers} workers of two slots, one thread each\n")
    print("| what | figure |\n|---|---|")
    print(f"| one build alone, cold | {alone:.1f} s |")
    print(f"| {chosen.builds} builds of {chosen.contents} contents, at once | {took:.1f} s, "
          f"{took / alone:.1f} × one |")
    print(f"| encode tasks done / shared | {tasks('encode', 'done')} / {tasks('encode', 'reused')} |")
    print(f"| tasks done in all | {sum(int(v) for k, v in numbers.items() if k.startswith('prestage_tasks_total') and 'done' in k)} |")
    print(f"| lost or failed leases | {sum(int(v) for k, v in numbers.items() if 'lost' in k or 'failed' in k)} |")
    print(f"| media written | {bytes_made / 2**30:.1f} GiB |")
    print(f"| the coordinator's memory, at most | {memory:.0f} MiB |")
    for kind in ("encode", "splice", "boot", "assemble", "merge", "publish"):
        count = numbers.get(f'prestage_task_seconds_count{{kind="{kind}"}}', 0)
        if count:
            total = numbers[f'prestage_task_seconds_sum{{kind="{kind}"}}']
            print(f"| a task '{kind}', mean of {int(count)} | {total / count:.3f} s |")


if __name__ == "__main__":
    main()
