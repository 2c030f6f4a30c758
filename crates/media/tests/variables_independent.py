#!/usr/bin/env python3
"""Opens Variables.dat without any code of Prestage.

Written only from the public description of the format (reference: media variables file), with the
standard library and the openssl command. Usage: variables_independent.py FILE, the password on
standard input (empty: the default). Prints the variables as one JSON object.
"""
import hashlib
import json
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

DEFAULT_PASSWORD = "{BAC6E688-DE21-4ABE-B7FB-C9F54E6DB664}"
CIPHERS = {0x6603: ("des-ede3-cbc", 24, 8), 0x660E: ("aes-128-cbc", 16, 16),
           0x660F: ("aes-192-cbc", 24, 16), 0x6610: ("aes-256-cbc", 32, 16)}


def derived_key(password, length):
    digest = hashlib.sha1(password.encode("utf-16-le")).digest()
    inner = bytes(b ^ 0x36 for b in digest) + b"\x36" * 44
    outer = bytes(b ^ 0x5C for b in digest) + b"\x5c" * 44
    return (hashlib.sha1(inner).digest() + hashlib.sha1(outer).digest())[:length]


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    password = sys.stdin.read() or DEFAULT_PASSWORD
    magic, size, plain_length, cipher_length, algorithm, flags = struct.unpack_from("<6I", data)
    assert (magic, size, flags) == (0xECED0000, 0x14, 0), (hex(magic), size, flags)
    name, key_length, block = CIPHERS[algorithm]
    assert cipher_length % block == 0 and plain_length < cipher_length <= plain_length + block
    ciphertext = data[24:24 + cipher_length]
    assert len(ciphertext) == cipher_length, "the file is cut"
    key = derived_key(password, key_length)
    done = subprocess.run(
        ["openssl", "enc", "-d", "-" + name, "-K", key.hex(), "-iv", "00" * block],
        input=ciphertext, stdout=subprocess.PIPE, check=True)
    assert len(done.stdout) == plain_length, (len(done.stdout), plain_length)
    text = done.stdout.decode("utf-16-le")
    assert text.startswith('<?xml version="1.0" ?>'), text[:30]
    root = ElementTree.fromstring(text)
    assert root.tag == "MediaVarList", root.tag
    print(json.dumps({var.get("name"): var.text or "" for var in root.findall(".//var[@name]")}))


main()
