#!/usr/bin/env python3
"""Writes the seeds of the corpus: small real files, made by wimlib-imagex, and messages by hand.

What is there already stays; inputs that fuzzing found have other names (their SHA-1).
"""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import tempfile

CORPUS = pathlib.Path(__file__).parent / "corpus"
HASH = hashlib.sha256(b"").hexdigest().upper()


def keep(target, name, data):
    folder = CORPUS / target
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{name}"
    if not path.exists():
        path.write_bytes(data.encode() if isinstance(data, str) else data)


def wimlib(*arguments):
    subprocess.run(["wimlib-imagex", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def tree(folder):
    """A small tree with what entries can carry on this file system: links, empty files, depth."""
    for path in ("Windows/System32/config", "Users/Ä Ö", "empty"):
        (folder / path).mkdir(parents=True)
    (folder / "Windows/notepad.exe").write_bytes(b"MZ" + bytes(300) + b"text " * 2000)
    (folder / "Windows/System32/big.dll").write_bytes(bytes(40000) + bytes(range(256)) * 160)
    (folder / "Windows/System32/noise.bin").write_bytes(b"".join(
        hashlib.sha1(b"%d" % n).digest() for n in range(120)))
    (folder / "Users/Ä Ö/none.txt").write_bytes(b"")
    os.link(folder / "Windows/notepad.exe", folder / "Windows/System32/notepad.exe")
    os.symlink("notepad.exe", folder / "Windows/link.exe")


def wims(work):
    source = work / "tree"
    tree(source)
    kinds = {
        "none": ["--compress=none"], "xpress": ["--compress=XPRESS"],
        "xpress-4k": ["--compress=XPRESS", "--chunk-size=4096"],
        "lzx": ["--compress=LZX", "--check"], "lzx-64k": ["--compress=LZX", "--chunk-size=64K"],
        "lzms": ["--compress=LZMS"], "solid": ["--solid"], "pipable": ["--pipable"],
    }
    for name, options in kinds.items():
        wim = work / f"{name}.wim"
        wimlib("capture", source, wim, f"{name} image", "a <description>", *options)
        yield name, wim
    wimlib("export", work / "lzx.wim", "1", work / "boot.wim", "--boot", "--check")
    wimlib("append", source, work / "boot.wim", "second")
    yield "two-images", work / "boot.wim"
    wimlib("split", work / "none.wim", work / "part.swm", "0.03")
    for part in sorted(work.glob("part*.swm")):
        yield part.stem, part


def resource_header(data, at):
    size, offset, original = struct.unpack_from("<QQQ", data, at)
    return size & (1 << 56) - 1, offset, original, size >> 56


def parts_of_wim(name, data):
    keep("wim_file", name, data)
    keep("wim_header", name, data[:208])
    for target, at in (("wim_blob_table", 0x30), ("wim_xml", 0x48), ("wim_integrity", 0x7C)):
        size, offset, original, _ = resource_header(data, at)
        if size and size == original and not data.startswith(b"WLP"):
            keep(target, name, data[offset:offset + size])
    if any(kind in name for kind in ("xpress", "lzx", "lzms", "none")):
        resources(name, data)


def resources(name, data):
    kind = 0 if "lzx" in name else 2 if "lzms" in name else 1
    exponent = struct.unpack_from("<I", data, 0x14)[0].bit_length() - 13
    size, offset, _, _ = resource_header(data, 0x30)
    for number, at in enumerate(range(offset, offset + size, 50)):
        stored, start, original, flags = resource_header(data, at)
        content = data[start:start + stored]
        plain = 0 if flags & 4 else 0x80
        choices = struct.pack("<BBIH", kind | plain, max(exponent, 0), original, 0)
        keep("wim_resource", f"{name}-{number}", choices + content)
        if flags & 2 and plain:
            keep("wim_metadata", name, content)
            # The first entry of the root claims all of the address space.
            root = (struct.unpack_from("<I", content)[0] or 8) + 7 & ~7
            first = struct.unpack_from("<Q", content, root + 16)[0]
            keep("wim_metadata", f"{name}-endless", content[:first] + b"\xff" * 8 + content[first + 8:])


def varint(number):
    out = b""
    while number > 0x7F:
        out, number = out + bytes([number & 0x7F | 0x80]), number >> 7
    return out + bytes([number])


def field(tag, value):
    if isinstance(value, int):
        return varint(tag << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(tag << 3 | 2) + varint(len(value)) + value


def messages():
    packed = lambda *numbers: b"".join(map(varint, numbers))
    index = b"".join([
        field(1, 90), field(2, bytes(20)), field(3, bytes(range(60))), field(4, bytes(range(64))),
        field(5, packed(0, 0, 10)), field(6, packed(20, 30, 30)), field(7, packed(40, 30, 99)),
        field(8, packed(3, 2, 1)), field(9, b"tree"), field(10, b"<WIM/>"),
        field(11, "PS100012.3"), field(12, "lzx 32768 20"),
        field(13, field(1, "wimlib") + field(2, "1.14.4")),
        field(14, bytes(range(32))),
    ])
    keep("pack_index", "message", index)
    keep("pack_index", "empty-message", b"")
    segment = lambda *fields: field(3, b"".join(field(n + 1, f) for n, f in enumerate(fields) if f != 0))
    chunk = 10 << 20
    recipe = field(1, 1) + field(2, 208 + 2 * chunk + 7) + segment(0, 208) \
        + segment(208, 2 * chunk, bytes(range(32)), chunk) + segment(208 + 2 * chunk, 7, b"", 208)
    keep("recipe", "three-segments", recipe)
    keep("recipe", "huge", field(1, 1) + field(2, 1 << 60) + segment(0, 1 << 60))


def texts():
    keep("wim_xml", "cut-off", '<WIM><IMAGE INDEX="1"><FLAGS>Enter'.encode("utf-16-le"))
    keep("upload_token", "local", json.dumps({
        "kind": "local", "partial": "/out/.w.wim.Xy3.partial", "target": "/out/w.wim",
        "total": 7, "device": 1, "inode": 2}))
    keep("upload_token", "s3", json.dumps({
        "kind": "s3", "bucket": "media", "key": "a b/w.wim", "upload": "id", "total": 7,
        "before": None}))
    listed = lambda name: f"#{name}\n[File]\nHash={HASH}\nSize=0\nAttributes=0x20\n" \
        "TimeModified=133000000000000000\n"
    keep("content_library", "single",
         "[Info]\r\nVersion=3\r\n#[Info]\nHash=ABCD\n" + listed("setup.exe") + listed("x64/a.dll"))
    keep("content_library", "packages", "[Packages]\nPS100012.3=\nPS100012.4=\n#")
    keep("site_file", "site", '[site]\ncode = "PS1"\nadmin_service = "adminservice"\n'
         '[[distribution_point]]\nname = "dp1"\ncontent_library = "lib\\\\dp1"\n'
         '[[management_point]]\nurl = "http://mp1.corp.example"\n')
    sequence = '<sequence version="3.10"><group name="g"><step type="SMS_TaskSequence_' \
        'ApplyOperatingSystemAction" name="a &amp; b" disable="true"><action>OSDApplyOS.exe ' \
        '/image:PS100010,%I% "/config:PS100011,my file.xml"</action><defaultVarList><variable ' \
        'name="P" property="PackageID"><![CDATA[PS100010]]></variable></defaultVarList></step>' \
        '</group><step type="SMS_TaskSequence_InstallApplicationAction" name="i"><action>' \
        'smsappinstall.exe /app:ScopeId_A/Application_B /basevar:XA</action></step>' \
        '<referenceList><reference package="PS100010"/></referenceList></sequence>'
    keep("task_sequence", "steps", sequence)
    keep("task_sequence", "utf-16", "\ufeff".encode("utf-16-le") + sequence[:400].encode("utf-16-le"))
    keep("task_sequence", "escaped", sequence[:300].replace("&", "&amp;").replace("<", "&lt;"))
    row = {"PackageID": "PS100012", "Name": "n", "PackageType": 257, "SourceVersion": "3",
           "ImageProperty": '<WIM><IMAGE INDEX="1"><NAME>Pro</NAME></IMAGE></WIM>',
           "CI_ID": 16777219.0, "ModelName": "ScopeId_A/Application_B", "HasContent": "True",
           "References": [{"Package": "PS100010", "Program": None}], "Sequence": sequence[:200],
           "RelationType": 5, "SMSUniqueIdentifier": "g", "SiteCode": "PS1", "Decommissioned": 0,
           "NALPath": '["Display=\\\\DP1\\"]MSWNET:["SMS_SITE=PS1"]\\\\DP1\\'}
    keep("admin_service", "rows", json.dumps({"@odata.context": "c", "value": [row, {}]}))
    keep("admin_service", "one", json.dumps(row))
    keep("admin_service", "list", "[{}, null]")
    spec = {"name": "w11", "task_sequence": "PS100020", "boot_image": "PS100005",
            "os_image": {"package": "PS100010", "index": 2}, "packages": ["PS100012"],
            "applications": ["ScopeId_A/Application_B"], "distribution_points": ["dp1"],
            "media": {"mode": "site-based", "management_points": ["http://mp1.corp.example"]},
            "security": {"password": {"env": "PW"}},
            "customization": {"variables": {"A": "b", "S": {"file": "s.txt"}},
                              "prestart": {"command": "cmd /c x", "package": "PS100013"}},
            "output": {"file": "w11.wim", "codec": "fast", "integrity_table": True}}
    keep("spec_json", "whole", json.dumps(spec))
    variables = '<?xml version="1.0" ?><MediaVarList Version="4.00.5345.0000"><var name="A">' \
        '<![CDATA[a & b]]></var><var name=\'B\'>x &amp; &#x21;</var><var name="C"/></MediaVarList>'
    keep("variables_text", "list", variables)
    inf = '; net\r\n[Version]\r\nClass=Net\r\nClassGuid={4d36e972-e325-11ce-bfc1-08002be10318}\r\n' \
        'Provider=%V%\r\nDriverVer=01/15/2025,1.0.0.1 ; x\r\n[Strings]\r\nV="A; B"\r\n'
    keep("driver_inf", "ansi", inf)
    keep("driver_inf", "utf16", b"\xff\xfe" + inf.encode("utf-16-le"))
    folder = "/SMS_DP_SMSPKG$/PS100012.3/"
    response = '<D:response><D:href>%s</D:href><D:propstat><D:prop><D:resourcetype>%s</D:resourcetype>' \
        '<D:getcontentlength>7</D:getcontentlength><D:getlastmodified>Mon, 15 Jan 2024 13:04:05 GMT' \
        '</D:getlastmodified></D:prop></D:propstat></D:response>'
    keep("folder_listing", "multistatus", '<D:multistatus xmlns:D="DAV:">'
         + response % (folder + "sub/", "<D:collection/>") + response % (folder + "a%20b.txt", "")
         + "</D:multistatus>")
    keep("folder_listing", "page", '<html><A HREF="/x/">[To Parent Directory]</A><a href=\'a%2fb\'>'
         f'<A HREF="{folder}a%20&amp;b.INI">a</A><a href=sub/>sub</a><a href="%2e%2e/">x</a></html>')
    keep("wizard_lines", "cmdlet", "$b = Get-CMBootImage -Id PS100005\nNew-CMPrestageMedia -MediaMode Dynamic `\n"
         " -BootImage $b -Path 'C:\\x.wim' -Variable @{ 'A' = \"b $c\" } -AllowUnattended:$true # note\n")
    keep("wizard_lines", "program", 'CreateMedia.exe /K:boot /T:HD /P:"PS1" /S:"PS1" /X:"A=b" /F:"C:\\x y.wim"\n')
    for name in ("sealed", "cut"):
        data = bytes.fromhex("0000edec14000000200000003000000010660000") + bytes(4 + 48)
        keep("variables_file", name, data[:60] if name == "cut" else data)
    keep("bcd_hive", "noise", b"".join(hashlib.sha1(b"%d" % n).digest() for n in range(30)))


def certificates(folder):
    """Exports of a certificate that is valid for a hundred years, as openssl makes them now and made them once."""
    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
    key, certificate, export = folder / "key.pem", folder / "certificate.pem", folder / "export.pfx"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", 36500,
            "-subj", "/CN=PC1", "-addext", "extendedKeyUsage=clientAuth")
    for name, more in ("openssl", ["-iter", 2]), ("legacy", ["-legacy", "-iter", 1]):
        openssl("pkcs12", "-export", "-inkey", key, "-in", certificate, "-out", export, "-passout", "pass:right", *more)
        keep("pkcs12", name, export.read_bytes())


def sample_files():
    """The specs of the sample site, as text."""
    keep("spec_toml", "whole", """name = "w11"
task_sequence = "PS100020"
boot_image = "PS100005"
os_image = { package = "PS100010", index = 2 }
applications = ["ScopeId_A/Application_B"]
packages = ["PS100012"]
distribution_points = ["dp1.corp.example"]

[media]
mode = "dynamic"
management_points = ["http://mp1.corp.example"]
created_by = "me"

[security]
password = { env = "PW" }

[customization.variables]
OSDTimeZone = "W. Europe Standard Time"
Join = { file = "join.txt" }

[output]
file = "w11.wim"
codec = "thorough"
""")
    keep("spec_toml", "broken", 'name = \nos_image = { a.b = [1, 2.5, 2026-11-22T00:00:00Z] }\n"\\u00e4" = """x"""\n')


with tempfile.TemporaryDirectory() as folder:
    for wim_name, path in wims(pathlib.Path(folder)):
        parts_of_wim(wim_name, path.read_bytes())
    certificates(pathlib.Path(folder))
messages()
texts()
sample_files()
