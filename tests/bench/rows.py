"""What is measured: groups of commands, each run once a round, ours and theirs near each other."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import corpus
from measure import Cost, run, say
from server import measure_server_side_merge
from sites import Site, software_packages

GROUPS = ("cold", "encoded", "merge", "packed", "revised", "unchanged", "append", "twenty", "server", "graft")
# The groups that need the large site with its OS image, and those whose ratio is to a cold build.
WHOLE = {"cold", "merge", "revised", "unchanged", "append", "server"}
TO_COLD = {"cold", "revised", "unchanged"}


class WrongResult(Exception):
    """A command ended well but did not do what its row says."""


class Bench:
    """The sites of one benchmark, and its rounds."""

    def __init__(self, prestage, folder, groups, mib, seed):
        self.prestage, self.folder, self.groups = prestage, folder, groups
        self.version, self.facts = 0, {}
        needs = {"whole": WHOLE, "software": {"encoded"}, "packed": {"packed"}, "family": {"twenty"}}
        # Smaller where the slow capture would take most of the time for one row.
        share = {"whole": 1.0, "software": 0.15, "packed": 0.15, "family": 0.2}
        self.sites = {}
        for name, wanted in needs.items():
            if groups & wanted:
                shape = "whole" if name == "family" else name
                size = max(100, int(mib * share[name]))
                self.sites[name] = Site(prestage, folder / name, shape, size, seed)
        self.prepare()

    def prepare(self):
        for name, site in self.sites.items():
            if name in ("software", "packed") or (name == "whole" and self.groups & {"cold", "append"}):
                site.apply()
        if "append" in self.groups:
            self.prepare_append()
        if "unchanged" in self.groups:
            self.prepare_unchanged()

    def sizes(self):
        return {name: site.sizes for name, site in self.sites.items()} | {"facts": self.facts}

    def round(self, number):
        """Every command of the chosen groups once."""
        costs = {}
        if self.groups & TO_COLD:
            costs |= self.cold()
        for group in GROUPS:
            if group in self.groups and group != "cold":
                say(f"  {group}")
                costs |= getattr(self, group)(number)
        return costs

    def cold(self):
        """A build with nothing there, the same in `fast`, and capture of the tree."""
        site, costs = self.sites["whole"], {}
        say("  cold")
        costs["cold"] = self.cold_build(site, "cold")
        if "cold" in self.groups:
            costs["cold, fast"] = self.cold_build(site, "cold, fast", "fast")
            costs["capture"] = self.wimlib(site, "capture", "capture", site.tree)
            fair = self.wimlib(site, "capture LZX:20", "capture", site.tree, "--compress=LZX:20")
            costs["capture LZX:20"] = fair
        return costs

    def cold_build(self, site, name, codec="balanced"):
        data, output = site.folder / "cold", site.folder / "cold.wim"
        cost, made = site.build(data, output, codec)
        self.expect(name, made, made["content_bytes"]["reused"] == 0)
        site.sizes[name] = output.stat().st_size
        site.sizes[f"{name}, packs"] = site.packs_size(data, output)
        shutil.rmtree(data)
        output.unlink()
        return cost

    def encoded(self, _):
        """Drivers and software with hardly any OS image, in two profiles, and capture of them."""
        site = self.sites["software"]
        packages = site.tree / "SMS/PKG"
        return {
            "software": self.cold_build(site, "software"),
            "software, capture": self.wimlib(site, "software, capture", "capture", packages),
            "software, thorough": self.cold_build(site, "software, thorough", "thorough"),
        }

    def merge(self, number):
        """With all packs present: ours, cp, cp to the disk, export."""
        return self.merges(self.sites["whole"], "", number)

    def packed(self, number):
        """Content that is compressed already: capture of it all, and merge against export."""
        site = self.sites["packed"]
        costs = {
            "packed": self.cold_build(site, "packed"),
            "packed, capture": self.wimlib(site, "packed, capture", "capture", site.tree),
        }
        return costs | self.merges(site, "packed, ", number)

    def merges(self, site, prefix, number):
        """In another order each round: who writes after a file was removed gets its memory."""
        copy = ["cp", str(site.medium), str(site.scratch)]
        export = ["wimlib-imagex", "export", str(site.medium), "1", str(site.scratch)]
        commands = [
            ("merge", lambda: self.warm_build(site)),
            ("cp", lambda: self.fresh(site, copy)),
            ("cp+sync", lambda: self.fresh(site, ["sh", "-c", '"$@" && sync "$3"', "sh", *copy])),
            ("export", lambda: self.fresh(site, export)),
        ]
        costs = {}
        for turn in range(len(commands)):
            name, command = commands[(turn + number) % len(commands)]
            costs[prefix + name] = command()
            if name == "export":
                site.sizes[prefix + name] = site.scratch.stat().st_size
        site.scratch.unlink()
        return costs

    def warm_build(self, site):
        """A build with every pack there: a merge."""
        output = site.folder / "merge.wim"
        cost, made = site.build(site.warm, output)
        self.expect("merge", made, made["content_bytes"]["made"] == 0)
        output.unlink()
        return cost

    def publish(self, applications):
        """New versions of applications at the large site, as an administrator publishes them."""
        self.version += 1
        for application in applications:
            corpus.revise(self.sites["whole"].path, application, self.version)

    def revised(self, _):
        """One application, a twentieth of what is encoded, has a new version."""
        self.publish(corpus.APPLICATIONS[:1])
        return {"revised": self.second(1)}

    def second(self, share):
        """A build that encodes anew `share` twentieths of what is not the OS image."""
        site, output = self.sites["whole"], self.sites["whole"].folder / "second.wim"
        cost, made = site.build(site.warm, output)
        new, all_bytes = made["content_bytes"]["made"], sum(made["content_bytes"].values())
        self.expect("revised", made, 0 < new < share * all_bytes / 15)
        self.facts[f"{share} of 20 revised, bytes"] = new
        output.unlink()
        return cost

    def append(self, number):
        """A second medium that shares most with the first, against a second image in one WIM."""
        site = self.sites["whole"]
        shutil.copy(site.folder / "base.wim", site.scratch)
        command = ["wimlib-imagex", "append", str(self.second_tree), str(site.scratch), f"tree {number}"]
        costs = {"append": run(command)[0]}
        site.scratch.unlink()
        self.publish(corpus.APPLICATIONS)
        costs["second medium"] = self.second(3)
        return costs

    def prepare_append(self):
        """The WIM that is appended to, and a tree with new versions of the three applications."""
        site = self.sites["whole"]
        base = ["wimlib-imagex", "capture", str(site.tree), str(site.folder / "base.wim"), "tree"]
        run([*base, "--compress=LZX:20"])
        self.second_tree = site.folder / "second tree"
        subprocess.run(["cp", "-al", str(site.tree), str(self.second_tree)], check=True)
        for application in corpus.APPLICATIONS:
            [path] = (self.second_tree / "SMS/PKG").rglob(application.installer)
            # The two trees share their files, so this one takes a copy of its own first.
            shutil.copyfile(path, site.scratch)
            path.unlink()
            shutil.move(site.scratch, path)
            corpus.change(path, 0)

    def prepare_unchanged(self):
        """A pinned plan and its medium."""
        site = self.sites["whole"]
        self.plan, self.planned = site.folder / "plan", site.folder / "planned.wim"
        self.prestage.run("plan", site.spec, "--save", self.plan, "--data-dir", site.warm)
        self.prestage.build(["--plan", self.plan], site.warm, self.planned)

    def unchanged(self, _):
        """The same plan again, its medium in place."""
        site, before = self.sites["whole"], self.planned.stat().st_size
        cost, _ = self.prestage.build(["--plan", self.plan], site.warm, self.planned)
        if self.planned.stat().st_size != before:
            raise WrongResult("'unchanged' made another medium of the same plan")
        return {"unchanged": cost}

    def twenty(self, _):
        """Twenty media of one OS image and ten of twelve packages, each another ten."""
        site = self.sites["family"]
        data, output = site.folder / "family", site.folder / "family.wim"
        software, costs, specs = software_packages(site), [], []
        for number in range(20):
            left_out = [software[(number + more) % len(software)] for more in (0, 1)]
            specs.append(site.spec_without(f"model-{number:02}", left_out))
            cost, _ = site.build(data, output, spec=specs[-1])
            costs.append(cost)
            output.unlink()
        again, made = site.build(data, output, spec=specs[-1])
        self.expect("twenty", made, made["content_bytes"]["made"] == 0)
        shutil.rmtree(data)
        output.unlink()
        return {"twenty": Cost.sum(costs), "twenty, one": costs[0], "twenty, merge": again,
                "twenty, budget": Cost.sum([costs[0]] + 19 * [again])}

    def server(self, number):
        """Bytes through our processes when the store copies; the same in every round, so once."""
        if number > 1:
            return {}
        self.facts["server"] = measure_server_side_merge(self.prestage, self.sites["whole"])
        return {}

    def graft(self, _):
        """100 000 files into the tree of an OS image of as many."""
        program = Path(self.prestage.binary).parent / "examples/graft"
        cost, text = run([str(program), "100000"])
        self.facts.setdefault("graft", []).append(json.loads(text))
        return {"graft": cost}

    def wimlib(self, site, name, command, tree, *options):
        """`wimlib-imagex capture`, its defaults but for `options`."""
        cost = self.fresh(site, ["wimlib-imagex", command, str(tree), str(site.scratch), "tree", *options])
        site.sizes[name] = site.scratch.stat().st_size
        site.scratch.unlink()
        return cost

    @staticmethod
    def fresh(site, command):
        """A command that writes the scratch file anew."""
        site.scratch.unlink(missing_ok=True)
        return run(command)[0]

    @staticmethod
    def expect(row, made, held):
        if not held:
            raise WrongResult(f"'{row}' did other work than it should: {made['content_bytes']}")


def threads():
    """Encoding threads of one worker: its default is one a core."""
    return len(os.sched_getaffinity(0))
