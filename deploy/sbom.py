#!/usr/bin/env python3
"""The bill of materials of the prestage binary, as CycloneDX 1.6 JSON on standard output.

It names every crate whose code is in the binary, with the checksum that the lock file holds it to (what only builds
or tests is not in it), and the C libraries that crates bring along and no Rust tool knows of. `--check` validates it
with the format's own schema instead of printing it, holds it against the lock file, and fails for a crate that may
bring C along and is not known here.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"

# What is compiled in from C or assembler: by the crate that brings it, its version there, licence and origin.
BUNDLED = {
    "wimlib-sys": ("wimlib", lambda crate: wimlib_version(crate), "LGPL-3.0-or-later", "https://wimlib.net"),
    "zstd-sys": ("zstd", lambda crate: crate["version"].split("+zstd.")[-1], "BSD-3-Clause", "https://facebook.github.io/zstd"),
    "libsqlite3-sys": ("sqlite", lambda crate: sqlite_version(crate), "blessing", "https://sqlite.org"),
    "aws-lc-sys": ("aws-lc", lambda crate: aws_lc_version(crate), "ISC AND (Apache-2.0 OR ISC)", "https://github.com/aws/aws-lc"),
}


def cargo(*args):
    """What cargo says."""
    return subprocess.run(["cargo", *args], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def source(crate, pattern, *globs):
    """What a header of a crate's bundled source says of its version."""
    folder = Path(crate["manifest_path"]).parent
    for glob in globs:
        for path in sorted(folder.glob(glob)):
            found = re.search(pattern, path.read_text(errors="replace"))
            if found:
                return found.group(1)
    sys.exit(f"sbom: {crate['name']} does not say which version it brings")


def wimlib_version(crate):
    """The binding has wimlib's sources as they were released, in one archive."""
    folder = Path(crate["manifest_path"]).parent
    archives = [path.name for path in folder.glob("wimlib-*.tar.gz")]
    if len(archives) != 1:
        sys.exit(f"sbom: {crate['name']} brings {archives}, where one archive of wimlib was expected")
    return archives[0].removeprefix("wimlib-").removesuffix(".tar.gz")


def sqlite_version(crate):
    return source(crate, r'#define SQLITE_VERSION\s+"([0-9.]+)"', "sqlite3/sqlite3.h")


def aws_lc_version(crate):
    return source(crate, r'AWSLC_VERSION_NUMBER_STRING\s+"([0-9.]+)"', "aws-lc/include/openssl/base.h")


def built_in():
    """The packages of the binary: those that cargo tree shows without tests' dependencies."""
    tree = cargo("tree", "--package", "prestage-cli", "--edges", "normal", "--target", TARGET, "--prefix", "none",
                 "--no-dedupe", "--locked", "--format", "{p}")
    names = set()
    for line in tree.splitlines():
        name, version = line.split(" ")[:2]
        names.add((name, version.removeprefix("v")))
    return names


def locked():
    """The checksums of the lock file, by name and version; none for crates of the workspace."""
    packages = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    return {(one["name"], one["version"]): one.get("checksum") for one in packages}


def component(crate, checksums):
    ours = crate["source"] is None
    purl = f"pkg:cargo/{crate['name']}@{crate['version']}"
    made = {"type": "library", "bom-ref": purl, "name": crate["name"], "version": crate["version"]}
    if crate["license"]:
        made["licenses"] = [{"expression": crate["license"].replace("/", " OR ")}]
    if not ours:
        made["purl"] = purl
        made["hashes"] = [{"alg": "SHA-256", "content": checksums[crate["name"], crate["version"]]}]
    return made


def bundled(crate):
    name, version, licence, origin = BUNDLED[crate["name"]]
    version = version(crate)
    return {
        "type": "library", "bom-ref": f"bundled:{name}@{version}", "name": name, "version": version,
        "licenses": [{"expression": licence} if licence != "blessing" else {"license": {"id": "blessing"}}],
        "externalReferences": [{"type": "website", "url": origin}],
        "properties": [{"name": "prestage:bundled-by", "value": crate["name"]}],
    }


def crates_built_in():
    """What cargo knows of each crate of the binary."""
    metadata = json.loads(cargo("metadata", "--format-version", "1", "--locked", "--filter-platform", TARGET))
    names = built_in()
    return [crate for crate in metadata["packages"] if (crate["name"], crate["version"]) in names]


def bom(crates):
    checksums = locked()
    binary = next(crate for crate in crates if crate["name"] == "prestage-cli")
    rest = sorted((crate for crate in crates if crate is not binary), key=lambda c: (c["name"], c["version"]))
    in_c = {}
    for crate in rest:
        if crate["name"] in BUNDLED:
            made = bundled(crate)
            in_c[made["bom-ref"]] = made
    return {
        "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
        "metadata": {"component": {
            "type": "application", "bom-ref": "prestage", "name": "prestage", "version": binary["version"],
            "licenses": [{"expression": binary["license"]}],
        }},
        "components": [component(crate, checksums) for crate in rest] + list(in_c.values()),
    }


def may_bring_c(crate):
    """Whether a crate links to something, or has a C compiler called when it is built."""
    builders = {"autotools", "cc", "cmake"}
    return crate["links"] or any(one["kind"] == "build" and one["name"] in builders for one in crate["dependencies"])


def check(document, crates):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    if problem:
        sys.exit(f"sbom: not CycloneDX 1.6: {problem}")
    listed = {(one["name"], one["version"]) for one in document["components"] if "properties" not in one}
    missing = built_in() - listed - {("prestage-cli", document["metadata"]["component"]["version"])}
    if missing:
        sys.exit(f"sbom: it lacks {sorted(missing)}")
    strange = listed - locked().keys()
    if strange:
        sys.exit(f"sbom: the lock file does not have {sorted(strange)}")
    # A crate that brings C along without being in the table would be missed.
    for crate in crates:
        if may_bring_c(crate) and crate["name"] not in BUNDLED and crate["name"] not in NOTHING_BUNDLED:
            sys.exit(f"sbom: does {crate['name']} bring C code along? name it in deploy/sbom.py")
    for name, *_ in BUNDLED.values():
        if not any(one["name"] == name for one in document["components"]):
            sys.exit(f"sbom: it lacks {name}")
    print(f"sbom: {len(document['components'])} components")


# Crates that look as if they brought a C library along, and why they don't.
NOTHING_BUNDLED = {
    "aws-lc-rs": "what it links to is what aws-lc-sys brings",
    "blake3": "the C and assembler are its own, of its own version",
    "rayon-core": "links to nothing: it says so in order to be there once",
    "signal-hook": "C only with a feature that is not used",
}


def main():
    crates = crates_built_in()
    document = bom(crates)
    if sys.argv[1:] == ["--check"]:
        check(document, crates)
    else:
        json.dump(document, sys.stdout, indent=2)
        print()


if __name__ == "__main__":
    main()
