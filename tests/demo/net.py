"""
Hosts of the demo: network namespaces on one bridge, each with an address of its own. Everything is made here and
removed here, by names that no other network of the machine has.
"""

import os
import subprocess

BRIDGE = "ferry-br"
NETWORK = "10.213.77"
OUTSIDE = NETWORK + ".1"    # clients and mail servers
STORE = NETWORK + ".2"      # PostgreSQL has an address of its own, so that a host can be cut off from it alone
SUBNET = NETWORK + ".0/24"


def ip(*args, check=True):
    done = subprocess.run(["ip", *args], capture_output=True, text=True)
    if check and done.returncode:
        raise RuntimeError("ip %s: %s" % (" ".join(args), done.stderr.strip()))
    return done


class Net:
    """hosts: names; each gets NETWORK.11, .12, …"""

    def __init__(self, hosts):
        self.addresses = {host: "%s.%d" % (NETWORK, 11 + i) for i, host in enumerate(hosts)}

    @staticmethod
    def space(host):
        return "ferry-" + host

    def prefix(self, host):
        """argv in front of what shall run there."""
        return ["ip", "netns", "exec", self.space(host)]

    def up(self):
        if os.geteuid() != 0:
            raise RuntimeError("network namespaces are root's: run this as root or with sudo")
        self.down()
        ip("link", "add", BRIDGE, "type", "bridge")
        for address in (OUTSIDE, STORE):
            ip("addr", "add", address + "/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for host, address in self.addresses.items():
            space, here, there = self.space(host), "ferry-" + host, "ferry0"
            ip("netns", "add", space)
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", space)
            ip("link", "set", here, "master", BRIDGE, "up")
            ip("-n", space, "addr", "add", address + "/24", "dev", there)
            ip("-n", space, "link", "set", there, "up")
            ip("-n", space, "link", "set", "lo", "up")

    def down(self):
        """Also what a demo that was killed has left. A device goes with its namespace."""
        for host in self.addresses:
            ip("netns", "del", self.space(host), check=False)
            ip("link", "del", "ferry-" + host, check=False)
        ip("link", "del", BRIDGE, check=False)

    def cut_store(self, host):
        ip("-n", self.space(host), "route", "add", "blackhole", STORE + "/32")

    def join_store(self, host):
        ip("-n", self.space(host), "route", "del", "blackhole", STORE + "/32")
