"""The builds of the soak: several at once, some cancelled, some to the same output."""

import collections
import hashlib
import http.client
import json
import subprocess
import time

from measure import say
from soak_servers import wait_for

CODECS = ("fast", "balanced")
SHARED_OUTPUTS = 2
CANCELLED, SHARED = 0.15, 0.25


class Media:
    """Saved plans, and what each makes when nothing goes wrong."""

    def __init__(self, prestage, folder):
        self.plans, self.data = {}, folder / "data"
        site = folder / "site"

        def run(*arguments):
            command = [prestage.binary, *map(str, arguments)]
            subprocess.run(command, env=prestage.env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        run("sample", site)
        text = (site / "spec.toml").read_text()
        specs = {"all": text, "no drivers": text.replace('["PS100077"]', "[]", 1),
                 "no tools": text.replace('["PS100032"]', "[]", 1)}
        for name, spec in specs.items():
            (site / f"{name}.toml").write_text(spec)
            for codec in CODECS:
                plan, medium = folder / f"{name} {codec}.plan", folder / "undisturbed.wim"
                run("plan", site / f"{name}.toml", "--codec", codec, "--save", plan, "--data-dir", self.data)
                run("build", "--plan", plan, "--data-dir", self.data, "--output", medium)
                self.plans[plan] = hashlib.sha256(medium.read_bytes()).hexdigest()

    @property
    def seal_key(self):
        """What seals the plans."""
        return self.data / "seal.key"


class Builder:
    """Has one medium after the other built."""

    def __init__(self, number, fleet, media, draw, ending):
        self.number, self.fleet, self.media, self.draw, self.ending = number, fleet, media, draw, ending
        self.ended, self.failures = collections.Counter(), []

    def run(self):
        """Until the end."""
        while not self.ending.is_set():
            try:
                self.one()
            # Whatever it is, it belongs in the summary: this runs in a thread of its own.
            except Exception as error:  # noqa: BLE001
                self.failed(f"{type(error).__name__}: {error}")

    def failed(self, why):
        """Counts it, says why at once (its processes are at hand still), and keeps it."""
        say(f"FAILED: {why[-1500:]}")
        self.ended["failed"] += 1
        self.failures.append(why[-1500:])

    def one(self):
        """One build."""
        plan = self.draw.choice(list(self.media.plans))
        is_cancelled, is_shared = (self.draw.random() < share for share in (CANCELLED, SHARED))
        name = f"own-{self.number}.wim"
        if is_cancelled:
            name = f"cancelled-{self.number}-{sum(self.ended.values())}.wim"
        elif is_shared:
            name = f"shared-{self.draw.randrange(SHARED_OUTPUTS)}.wim"
        output = f"s3://media/{name}"
        client = self.start("build", "--plan", plan, "--output", output)
        if is_cancelled:
            self.cancel(client, output)
        said, errors = client.communicate(timeout=300)
        if is_cancelled and client.returncode == 1 and "cancelled" in errors:
            self.ended["cancelled"] += 1
            if (left := self.medium(name)) is not None:
                # It had its name when the cancellation came: then it is whole.
                self.ended["cancelled too late"] += 1
                if left != self.media.plans[plan]:
                    self.failed(f"{name} was cancelled, and is there, and is another than that of {plan.name}")
                self.fleet.store.remove_medium(name)
            return
        if is_shared and not is_cancelled and client.returncode == 1 and "was cancelled" in errors:
            # By a newer build into the same output, as it should be.
            self.ended["superseded"] += 1
            return
        if client.returncode == 2 and "check that the store is reachable" in errors:
            # The store was killed, and took longer than anybody waits to come back: asked for again.
            self.ended["refused without the store"] += 1
            return
        if client.returncode != 0:
            self.failed(f"exit code {client.returncode} for {name}: {errors}")
            return
        self.ended["done"] += 1
        # Whoever was last has made a shared output: any of them, but whole.
        may_be = self.media.plans.values() if is_shared and not is_cancelled else [self.media.plans[plan]]
        if self.medium(name) not in may_be:
            self.failed(f"{name}: the medium of {plan.name} is another: {said}")
        if is_cancelled:
            # It was done before it could be cancelled; nobody builds into this output again.
            self.fleet.store.remove_medium(name)

    def medium(self, name):
        """The SHA-256 of a medium, once the server answers: it may have been killed."""
        found = []

        def answered():
            try:
                found.append(self.fleet.store.medium(name))
            # It may be killed while it answers.
            except (OSError, http.client.HTTPException):
                return False
            return True

        wait_for(answered, f"the server does not give {name}")
        return found[0]

    def cancel(self, client, output):
        """Cancels the build as soon as it is there, unless it has ended."""
        while client.poll() is None:
            listed = self.start("list")
            said, _ = listed.communicate()
            builds = json.loads(said or "{}").get("builds", []) if listed.returncode == 0 else []
            running = [one["build_id"] for one in builds if one["output"] == output and one["state"] == "running"]
            if running:
                time.sleep(self.draw.uniform(0, 3))
                self.start("cancel", running[0]).communicate()
                return
            time.sleep(0.2)

    def start(self, *arguments):
        """A client."""
        command = [self.fleet.prestage.binary, *map(str, arguments), "--json", "--coordinator", self.fleet.urls]
        return subprocess.Popen(command, env=self.fleet.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
