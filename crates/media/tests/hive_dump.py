#!/usr/bin/env python3
"""Prints a registry hive as JSON, read by hivex: {"\\path": {"value": [type, "hex"]}}.

Also checks what hivex tells beside the values: the root's name and the keys' time stamps.
"""
import json
import sys

import hivex


def walk(hive, node, path, keys):
    values = {}
    for value in hive.node_values(node):
        kind, data = hive.value_value(value)
        values[hive.value_key(value)] = [kind, data.hex()]
    keys[path or "\\"] = values
    for child in hive.node_children(node):
        name = hive.node_name(child)
        # A lookup by name must find what the listing shows.
        assert hive.node_get_child(node, name) == child, name
        assert hive.node_parent(child) == node, name
        walk(hive, child, path + "\\" + name, keys)


def main():
    hive = hivex.Hivex(sys.argv[1])
    keys = {}
    root = hive.root()
    walk(hive, root, "", keys)
    print(json.dumps({"root": hive.node_name(root), "modified": hive.node_timestamp(root),
                      "last_modified": hive.last_modified(), "keys": keys}))


main()
