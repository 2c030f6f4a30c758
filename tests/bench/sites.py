"""Sample sites, the builds of their media, and the trees that these apply to."""

import json
import os
import re
import shutil
from pathlib import Path

import corpus
from measure import run, say


class Prestage:
    """The command under test, free of what the environment says of stores and coordinators."""

    def __init__(self, binary):
        self.binary = str(binary)
        kept = os.environ.items()
        self.env = {key: value for key, value in kept if not key.startswith(("PRESTAGE_", "AWS_"))}

    def run(self, *arguments, **more_env):
        """Any command: its cost and what it printed."""
        command = [self.binary, *map(str, arguments)]
        return run(command, {**self.env, **more_env})

    def build(self, what, data, output, *options, **more_env):
        """`prestage build`, one worker: its cost and its report."""
        arguments = ["build", *what, "--json", "--workers", 1, "--data-dir", data, "--output", output]
        cost, text = self.run(*arguments, *options, **more_env)
        return cost, json.loads(text)["report"]


class Site:
    """A sample site in a folder of its own, with packs of all its content and one medium."""

    def __init__(self, prestage, folder, shape, mib, seed):
        self.prestage, self.folder, self.shape = prestage, folder, shape
        self.path, self.tree = folder / "site", folder / "tree"
        # Built once before anything is measured: the packs that merges take from.
        self.warm, self.medium = folder / "warm", folder / "medium.wim"
        self.scratch = folder / "scratch.wim"
        folder.mkdir()
        say(f"{shape} sample of {mib} MiB, seed {seed}")
        prestage.run("sample", self.path, "--mib", mib, "--shape", shape, "--seed", seed)
        _, self.made = self.build(self.warm, self.medium)
        self.sizes = {"mib": mib, "medium": self.medium.stat().st_size,
                      "padding": self.made["medium"]["padding_bytes"]}

    @property
    def spec(self):
        return self.path / "spec.toml"

    def build(self, data, output, codec="balanced", spec=None):
        """A medium of this site: the cost, and what was done."""
        return self.prestage.build([spec or self.spec], data, output, "--codec", codec)

    def packs_size(self, data, output):
        """Bytes of the packs of `output` that were compressed: all but the two images'."""
        manifest = json.loads(Path(f"{output}.manifest.json").read_text())
        return corpus.encoded_pack_bytes(data, manifest)

    def apply(self):
        """The tree of the medium, less the names that Windows can hold and this file system can't."""
        if self.tree.exists():
            return
        self.prestage.run("verify", self.medium)
        shutil.copy(self.medium, self.scratch)
        _, names = run(["wimlib-imagex", "dir", str(self.scratch), "1"])
        for path in names.splitlines():
            if len(path.rsplit("/", 1)[-1].encode()) > os.pathconf(self.folder, "PC_NAME_MAX"):
                say(f"left out of the tree, its name is too long here: {path[:40]}…")
                command = f'delete --recursive "{path}"'
                run(["wimlib-imagex", "update", str(self.scratch), "1", "--command", command])
        self.tree.mkdir()
        run(["wimlib-imagex", "apply", str(self.scratch), "1", str(self.tree)])
        self.scratch.unlink()
        tree, carried, files = corpus.tree_bytes(self.tree)
        self.sizes |= {"tree": tree, "tree, SMS/PKG": carried, "files": files}

    def spec_without(self, name, left_out):
        """A spec beside the sample's that is called `name` and leaves out some of its packages."""
        text = self.spec.read_text()
        line = re.search(r"^packages +=.*$", text, re.MULTILINE).group()
        kept = line
        for package in left_out:
            kept = re.sub(rf'"{package}",? ?', "", kept).replace(", ]", "]")
        text = text.replace(line, kept).replace('name = "w11-sample"', f'name = "{name}"')
        path = self.path / f"{name}.toml"
        path.write_text(text)
        return path


def software_packages(site):
    """The packages that only large samples have."""
    return sorted(set(re.findall(r'"(PS1002\d\d)"', site.spec.read_text())))
