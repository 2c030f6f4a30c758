#!/usr/bin/env python3
"""Prints a registry hive as hive_dump.py does, read by python-registry, which is no kin of hivex."""
import json
import sys

from Registry import Registry


def walk(key, path, keys):
    keys[path or "\\"] = {value.name(): [value.value_type(), value.raw_data().hex()]
                          for value in key.values()}
    for child in key.subkeys():
        assert key.subkey(child.name()).name() == child.name()
        walk(child, path + "\\" + child.name(), keys)


def main():
    root = Registry.Registry(sys.argv[1]).root()
    keys = {}
    walk(root, "", keys)
    print(json.dumps({"root": root.name(), "keys": keys}))


main()
