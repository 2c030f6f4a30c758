"""The sample site's applications and new versions of them, and sizes of what was made."""

import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

class UnexpectedSample(Exception):
    """The sample is not laid out as this file thinks: it must be brought in step."""


@dataclass(frozen=True)
class Application:
    """What an application is called, and where its content is."""

    guid: str
    package: str
    name: str

    @property
    def stem(self):
        return f"Content_{self.guid}"

    @property
    def installer(self):
        return f"{self.name}.msi"


# The sample's applications: each an installer, half of it a cabinet, and each a twentieth of what
# is not the OS image. The first is named by the spec alone.
APPLICATIONS = [
    Application("9e8d7c6b-5a4f-4e3d-a2c1-b0a9f8e7d6c5", "PS100052", "Contoso Viewer"),
    Application("5b7c7d0e-3f3b-4c58-9d0a-6f1f3c0a7b11", "PS100050", "Contoso Agent 2"),
    Application("0c1d2e3f-7a8b-4c9d-8e0f-1a2b3c4d5e6f", "PS100051", "Contoso Runtime"),
]


def revise(site, application, version):
    """Publishes a version of the application, one file changed, as a site does: a new content
    version beside the old one in each library, and the answers of AdminService that name it.

    `version` must grow from call to call."""
    answer = site / "adminservice/wmi/SMS_CIToContent.json"
    rows = json.loads(answer.read_text())
    row = next(row for row in rows if row["ContentUniqueID"].startswith(application.stem))
    old, new = row["ContentUniqueID"], f"{application.stem}.{100 + version}"
    for point in ("dp1", "dp2"):
        digest = revise_library(site / point / "SCCMContentLib", application, old, new)
    row.update(ContentUniqueID=new, ContentVersion=100 + version, ContentHash=digest)
    answer.write_text(json.dumps(rows, indent=2))


def revise_library(library, application, old_id, new_id):
    """Adds the content version to one library; returns its package hash."""
    old, new = (library / "DataLib" / content for content in (old_id, new_id))
    # The walk below must give what the sample itself wrote, or the new hash would be wrong too.
    if package_hash(old) != ini(old.parent / f"{old.name}.INI")["Hash"]:
        raise UnexpectedSample(f"{old.name}: the package hash is made in another way now")
    shutil.copytree(old, new)
    listed = new / f"{application.installer}.INI"
    fields = ini(listed)
    fields["Hash"] = store_changed(library, fields["Hash"], new_id)
    write_ini(listed, "File", fields)
    for file in new.rglob("*.INI"):
        users = body(library, ini(file)["Hash"]).with_suffix(".INI")
        write_ini(users, "Users", {**(ini(users) if users.exists() else {}), new.name: ""})
    digest = package_hash(new)
    write_ini(new.parent / f"{new.name}.INI", "Info", {"Hash": digest})
    write_ini(library / "PkgLib" / f"{application.package}.INI", "Packages", {new.name: ""})
    return digest


def change(path, revision):
    """Writes another 64 bytes into the middle of the installer. Nothing here is ever held whole: the
    peak memory that the system tells of a command is at least that of who started it."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(hashlib.sha512(f"revision {revision}".encode()).digest())


def store_changed(library, digest, revision):
    """A changed copy of a file in the library's single-instance store; returns its hash."""
    copy = library / "FileLib" / "being written"
    shutil.copyfile(body(library, digest), copy)
    change(copy, revision)
    with copy.open("rb") as file:
        new = hashlib.file_digest(file, "sha256").hexdigest().upper()
    path = body(library, new)
    path.parent.mkdir(parents=True, exist_ok=True)
    copy.rename(path)
    return new


def body(library, digest):
    """Where a file's bytes are."""
    return library / "FileLib" / digest[:4] / digest


def package_hash(folder):
    """SHA-256 over the walk of the content: names of folders, names of files, hashes of files."""
    digest = hashlib.sha256()

    def walk(at):
        inside = sorted(at.iterdir(), key=lambda path: path.name.upper())
        folders = [path for path in inside if path.is_dir()]
        files = [path for path in inside if path.is_file()]
        names = [path.relative_to(folder) for path in folders]
        names += [path.relative_to(folder).with_suffix("") for path in files]
        texts = [str(name).replace("/", "\\").lower() for name in names]
        for text in texts + [ini(path)["Hash"] for path in files]:
            digest.update(text.encode("utf-16-le"))
        for path in folders:
            walk(path)

    walk(folder)
    return digest.hexdigest().upper()


def ini(path):
    """The keys of an INI file of one section."""
    lines = path.read_text("utf-8-sig").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_ini(path, section, fields):
    """An INI file of one section, with the line ends of the original."""
    lines = [f"[{section}]"] + [f"{key}={value}" for key, value in fields.items()]
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode())


def tree_bytes(folder):
    """Bytes of a folder's files, hard links counted once; the same in SMS/PKG; files."""
    seen, total, encoded = set(), 0, 0
    carried = Path(folder) / "SMS" / "PKG"
    for at, _, names in os.walk(folder):
        for name in names:
            stat = os.lstat(os.path.join(at, name))
            if stat.st_ino in seen:
                continue
            seen.add(stat.st_ino)
            total += stat.st_size
            encoded += stat.st_size if Path(at).is_relative_to(carried) else 0
    return total, encoded, len(seen)


def encoded_pack_bytes(data_dir, manifest):
    """Bytes of the packs that were compressed here: all but the OS and boot images'."""
    images = {manifest[image]["pack"] for image in ("os_image", "boot_image")}
    packs = Path(data_dir).glob("objects/packs/*/*.pack")
    return sum(pack.stat().st_size for pack in packs if pack.stem not in images)
