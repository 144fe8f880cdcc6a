#!/usr/bin/python3
"""Compiles os-ken's switch test patterns to bytes: patterns.json.gz, for test/switch/patterns.test.ts.

    /usr/bin/python3 test/switch/patterns/build.py FOLDER [OUTPUT]     needs the Debian package python3-os-ken

A pattern is a list of OpenFlow messages for the switch and of packets, each with what must become of it. The packets of the
patterns are written as calls of os-ken's packet classes, which its own tester evaluates, too.
"""
import gzip
import importlib
import inspect
import json
import os
import pkgutil
import random
import sys
from random import randint

import netaddr
from os_ken.lib import packet as packets
from os_ken.lib.packet import sctp
from os_ken.ofproto import ofproto_parser, ofproto_protocol, ofproto_v1_3

HERE = os.path.dirname(os.path.abspath(__file__))
PORTS = {
    "target_recv_port": 1,
    "target_send_port_1": 2,
    "target_send_port_2": 3,
    "tester_send_port": 1,
    "tester_recv_port_1": 2,
    "tester_recv_port_2": 3,
}


ALIASES = {
    ("ipv6", "option"): "ipv6option",
    ("icmpv6", "echo"): "icmpv6echo",
    ("dhcp", "option"): "dhcpoption",
    ("dhcp", "options"): "dhcpoptions",
}


class Datapath(ofproto_protocol.ProtocolDesc):
    def set_xid(self, _):
        pass


def sctp_checksum(_, data):
    """RFC 9260, 6.8. That of os-ken is over the text of the bytes under Python 3, so its tester expects a wrong one."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _bit in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return int.from_bytes((crc ^ 0xFFFFFFFF).to_bytes(4, "little"), "big")


sctp.sctp._checksum = sctp_checksum


def names():
    """The packet classes by their names in the patterns, as in os_ken.tests.switch.tester."""
    known = {"randint": randint, "netaddr": netaddr}
    for info in pkgutil.iter_modules(packets.__path__):
        module = importlib.import_module(f"{packets.__name__}.{info.name}")
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__:
                known[ALIASES.get((info.name, name), name)] = value
    return known


NAMES = names()


def packet_bytes(lines):
    built = eval("/".join(lines), {}, NAMES)  # pylint: disable=eval-used
    built.serialize()
    return bytes(built.data)


def with_ports(value):
    if isinstance(value, dict):
        return {key: with_ports(item) for key, item in value.items()}
    if isinstance(value, list):
        return [with_ports(item) for item in value]
    return PORTS.get(value, value) if isinstance(value, str) else value


def message_bytes(described):
    message = ofproto_parser.ofp_msg_from_jsondict(Datapath(ofproto_v1_3.OFP_VERSION), with_ports(described))
    message.serialize()
    return bytes(message.buf).hex()


def compile_test(test):
    result = {}
    ingress = test["ingress"]
    if isinstance(ingress, list):
        result["in"] = packet_bytes(ingress).hex()
    else:
        stream = ingress["packets"]
        result["in"] = packet_bytes(stream["data"]).hex()
        result["randomAddresses"] = any("randint" in line for line in stream["data"])
        result["packetsPerSecond"] = stream.get("pktps", 1000)
        result["seconds"] = stream.get("duration_time", 30)
    if "PACKET_IN" in test:
        result["packetIn"] = packet_bytes(test["PACKET_IN"]).hex()
    elif "table-miss" in test:
        result["miss"] = test["table-miss"]
    elif isinstance(test["egress"], list):
        result["out"] = packet_bytes(test["egress"]).hex()
    else:
        result["rates"] = [
            {
                "fields": {
                    tlv["OXMTlv"]["field"]: with_ports(tlv["OXMTlv"]["value"])
                    for tlv in rate["OFPMatch"]["oxm_fields"]
                },
                **{key: rate[key] for key in ("kbps", "pktps") if key in rate},
            }
            for rate in test["egress"]["throughput"]
        ]
    return result


def compile_folder(folder):
    patterns = []
    for directory, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if not name.endswith(".json"):
                continue
            with open(os.path.join(directory, name), encoding="utf-8") as file:
                entries = json.load(file)
            path = os.path.relpath(os.path.join(directory, name), folder)
            for entry in entries:
                if isinstance(entry, str):
                    continue
                patterns.append({
                    "file": path,
                    "name": entry["description"],
                    "messages": [message_bytes(one) for one in entry["prerequisite"]],
                    "tests": [compile_test(one) for one in entry["tests"]],
                })
    return patterns


def main():
    random.seed(1)
    patterns = compile_folder(sys.argv[1])
    output = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "patterns.json.gz")
    text = json.dumps(patterns, separators=(",", ":"))
    with open(output, "wb") as file:
        file.write(gzip.compress(text.encode(), mtime=0))
    print(f"{len(patterns)} patterns, {os.path.getsize(output)} bytes")


main()
