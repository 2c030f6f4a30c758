#!/usr/bin/env python3
"""Does to a boot store what a factory script's bcdedit lines do, with hivex in bcdedit's place.

Arguments: the store, the script, and for each drive letter "S:=<disk guid>/<partition guid>".
Devices are written as the reference has them (section 6.4: type 6, GPT). A line that names an
object or a setting which the store lacks fails, as it would on the target.
"""
import re
import struct
import sys
import uuid

import hivex

OBJECTS = {"{bootmgr}": "{9dea862c-5cdd-4e70-acc1-f32b344d4795}",
           "{ramdiskoptions}": "{ae5534e0-a924-466c-b836-758539a3ee3a}"}
SETTINGS = {"device": "11000001", "osdevice": "21000001", "ramdisksdidevice": "31000003"}
BINARY = 3


def child(hive, node, *names):
    for name in names:
        node = hive.node_get_child(node, name)
        assert node is not None, f"the store has no {name}"
    return node


def object_node(hive, name):
    objects = child(hive, hive.root(), "Objects")
    if name == "{default}":
        manager = child(hive, objects, OBJECTS["{bootmgr}"], "Elements", "23000003")
        name = hive.value_string(hive.node_get_value(manager, "Element"))
    return child(hive, objects, OBJECTS.get(name, name))


def block(disk, partition):
    head = struct.pack("<IIII", 6, 0, 0x48, 0)
    return head + partition.bytes_le + struct.pack("<II", 0, 0) + disk.bytes_le + bytes(16)


def device(text, drives):
    plain = re.fullmatch(r"partition=(\w:)", text)
    if plain:
        return bytes(16) + block(*drives[plain[1]])
    letter, path, options = re.fullmatch(r"ramdisk=\[(\w:)\](\\[^,]+),(\{\w+\})", text).groups()
    wide = (path + "\0").encode("utf-16-le")
    total = 0x8C + len(wide)
    data = uuid.UUID(OBJECTS[options]).bytes_le
    data += struct.pack("<IIII", 0, 1, total - 0x10, 0) + struct.pack("<6I", 3, 0, 0, 0, 0, 0)
    data += struct.pack("<III", 1, total - 0x38, 5) + block(*drives[letter]) + wide
    assert len(data) == total
    return data


def main():
    store, script, *letters = sys.argv[1:]
    drives = {}
    for one in letters:
        letter, guids = one.split("=")
        drives[letter] = [uuid.UUID(guid) for guid in guids.split("/")]
    hive = hivex.Hivex(store, write=True)
    text = open(script, encoding="ascii").read()
    variables = dict(re.findall(r'(?m)^set "(\w+)=([^"]*)"', text))
    commands = re.findall(r"(?m)^bcdedit /store %STORE% /set (\S+) (\S+) (\S+)", text)
    assert commands, "the script has no bcdedit line"
    for name, setting, value in commands:
        value = re.sub(r"%(\w+)%", lambda found: variables[found[1]], value)
        element = child(hive, object_node(hive, name), "Elements", SETTINGS[setting])
        data = device(value, drives)
        hive.node_set_value(element, {"key": "Element", "t": BINARY, "value": data})
    hive.commit(None)
    print(len(commands))


main()
