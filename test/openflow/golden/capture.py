#!/usr/bin/python3
"""Records OpenFlow 1.3 messages of Open vSwitch and os-ken into openvswitch.jsonl and os-ken.jsonl.

    /usr/bin/python3 test/openflow/golden/capture.py    needs the Debian packages openvswitch-switch and python3-os-ken

Open vSwitch runs in a folder of its own with a dummy datapath; a proxy on its management socket records both directions. Each
line: where the message comes from, its bytes in hexadecimal, and what the peer itself makes of them. Transaction ids become 1.
"""
import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def is_table_features(message: bytes) -> bool:
    return message[1] == 19 and message[8:10] == b"\0\x0c"


def normalized(message: bytes) -> bytes:
    """With transaction id 1; of a table features reply only the first table, of the 254 that are alike."""
    if is_table_features(message):
        end = 16 + int.from_bytes(message[16:18], "big")
        message = message[:2] + end.to_bytes(2, "big") + message[4:10] + b"\0\0" + message[12:end]
    if message[1] in (2, 3):
        message = message[:2] + b"\0\x08" + message[4:8]
    return message[:4] + b"\0\0\0\1" + message[8:]


class Proxy:
    """Between ovs-ofctl and the switch; records whole messages of both directions."""

    def __init__(self, path: str, upstream: str):
        self.upstream = upstream
        self.seen: list[tuple[str, bytes]] = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(self.upstream)
            threading.Thread(target=self.relay, args=(client, server), daemon=True).start()

    def relay(self, client, server):
        buffers = {client: b"", server: b""}
        while True:
            for source in select.select([client, server], [], [])[0]:
                data = source.recv(65536)
                if not data:
                    client.close()
                    server.close()
                    return
                (server if source is client else client).sendall(data)
                buffers[source] += data
                while len(buffers[source]) >= 4:
                    length = int.from_bytes(buffers[source][2:4], "big")
                    if length < 8 or len(buffers[source]) < length:
                        break
                    message, buffers[source] = buffers[source][:length], buffers[source][length:]
                    self.seen.append(("request" if source is client else "reply", message))


class Recorder:
    def __init__(self):
        self.lines: list[dict] = []
        self.known: set[bytes] = set()

    def add(self, source: str, message: bytes, text: str):
        message = normalized(message)
        if message in self.known:
            return
        self.known.add(message)
        self.lines.append({"source": source, "hex": message.hex(), "text": text})

    def write(self, name: str):
        with open(os.path.join(HERE, name), "w") as file:
            for line in self.lines:
                file.write(json.dumps(line, sort_keys=True) + "\n")


def run(*command, check=True, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return done


ICMP = (
    "in_port(1),eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
    "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)"
)

FLOWS = """
add-flow table=0,priority=1,actions=drop
add-flow in_port=1,actions=output:2
add-flow in_port=LOCAL,metadata=0x1200000000000034/0xff000000000000ff,actions=CONTROLLER:128
add-flow dl_src=02:00:00:00:00:01,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=FLOOD
add-flow dl_vlan=10,dl_vlan_pcp=3,actions=strip_vlan,ALL
add-flow vlan_tci=0x0000/0x1fff,actions=push_vlan:0x8100,set_field:4106->vlan_vid,set_field:5->vlan_pcp,output:2
add-flow vlan_tci=0x1000/0x1000,actions=push_vlan:0x88a8,set_field:4097->vlan_vid,IN_PORT
add-flow ip,nw_src=10.0.0.0/8,nw_dst=192.0.2.1,nw_tos=0x28,nw_ecn=1,actions=dec_ttl,output:2
add-flow icmp,icmp_type=8,icmp_code=0,actions=mod_nw_ttl:64,NORMAL
add-flow tcp,tp_src=1234,tp_dst=80,actions=set_field:8080->tcp_dst,output:2
add-flow udp,tp_src=53,actions=set_field:5353->udp_src,set_field:192.0.2.7->ip_dst,output:2
add-flow sctp,tp_dst=9,actions=set_field:10->sctp_src,output:2
add-flow arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24,arp_sha=02:00:00:00:00:01,arp_tha=00:00:00:00:00:00/ff:ff:00:00:00:00,actions=set_field:2->arp_op,output:1
add-flow ipv6,ipv6_src=2001:db8::/32,ipv6_dst=2001:db8::1,ipv6_label=0x12345/0xfffff,actions=set_field:2001:db8::99->ipv6_src,output:1
add-flow tcp6,tp_dst=443,actions=set_field:0x54321->ipv6_label,output:1
add-flow icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=02:00:00:00:00:01,actions=output:1
add-flow icmp6,icmp_type=136,icmp_code=0,nd_target=fe80::1,nd_tll=02:00:00:00:00:02,actions=output:1
add-flow mpls,mpls_label=100,mpls_tc=3,mpls_bos=1,actions=pop_mpls:0x0800,output:1
add-flow ip,actions=push_mpls:0x8847,set_field:77->mpls_label,set_field:2->mpls_tc,output:2
add-flow mpls,actions=dec_mpls_ttl,set_mpls_ttl(5),output:2
add-flow tun_id=0x5/0xff,actions=set_field:0x77->tun_id,output:1
add-flow tun_id=0x5,actions=write_actions(output:1,set_field:02:00:00:00:00:09->eth_dst)
add-flow priority=5,actions=clear_actions,write_metadata:0x1/0xff,goto_table:2
add-flow table=2,priority=5,actions=meter:1,apply_actions(set_queue:3,output:1),write_actions(group:1),goto_table:3
add-flow cookie=0x1234,idle_timeout=60,hard_timeout=3600,send_flow_rem,check_overlap,priority=7,table=3,actions=output:1
add-flow table=4,reset_counts,no_packet_counts,no_byte_counts,actions=output:1
add-flow reg0=5,actions=load:0x7->NXM_NX_REG1[],resubmit(,1)
add-flow tcp,tcp_flags=+syn-ack,actions=output:1
add-flow ip,ip_frag=yes,actions=output:1
mod-flows table=3,actions=output:2
--strict mod-flows table=3,priority=7,actions=output:1
del-flows cookie=0x1234/0xffff,table=3
--strict del-flows table=2,priority=5
del-flows out_port=2,out_group=1
"""

COMMANDS = """
show br0
dump-desc br0
dump-tables br0
dump-table-features br0
dump-ports br0
dump-ports br0 1
dump-ports-desc br0
dump-flows br0
dump-flows br0 ip,nw_dst=10.0.0.0/8,out_port=2
dump-aggregate br0
queue-stats br0
queue-get-config br0 any
dump-groups br0
dump-group-stats br0
dump-group-features br0
meter-features br0
meter-stats br0
dump-meters br0
mod-port br0 1 no-flood
mod-port br0 1 down
mod-port br0 1 up
get-frags br0
set-frags br0 drop
set-frags br0 normal
packet-out br0 in_port=CONTROLLER,packet=0200000000020200000000010800450000140000000040010000c0000201c0000202,actions=output:1
probe br0
del-groups br0 group_id=2
del-meter br0 meter=1
add-flow br0 actions=group:99
add-flow br0 actions=goto_table:254
"""

GROUPS = """
group_id=1,type=all,bucket=output:1,bucket=output:2
group_id=2,type=select,bucket=weight:10,output:1,bucket=weight:20,set_field:192.0.2.9->ip_dst,output:2
group_id=3,type=indirect,bucket=group:1
group_id=4,type=ff,bucket=watch_port:1,output:1,bucket=watch_group:1,output:2
"""

METERS = """
meter=1,kbps,burst,stats,bands=type=drop,rate=1000,burst_size=200
meter=2,pktps,bands=type=drop,rate=10
"""


def open_vswitch() -> Recorder:
    recorder = Recorder()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        environment = {
            **os.environ,
            "OVS_RUNDIR": folder,
            "OVS_LOGDIR": folder,
            "OVS_DBDIR": folder,
            "OVS_SYSCONFDIR": folder,
        }

        def tool(*command, check=True):
            return run(*command, check=check, env=environment)

        database = f"{folder}/conf.db"
        tool("ovsdb-tool", "create", database, "/usr/share/openvswitch/vswitch.ovsschema")
        server = f"unix:{folder}/db.sock"
        for command in (
            ["ovsdb-server", database, f"--remote=p{server}", "--unixctl", f"{folder}/db.ctl"],
            ["ovs-vswitchd", server, "--enable-dummy", "--unixctl", f"{folder}/vswitchd.ctl"],
        ):
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)
        while not os.path.exists(f"{folder}/db.sock"):
            time.sleep(0.05)
        vsctl = ["ovs-vsctl", f"--db={server}"]
        tool(*vsctl, "--no-wait", "init")
        tool(*vsctl, "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=dummy",
             "protocols=OpenFlow13", "other-config:datapath-id=0000000000000abc",
             "other-config:hwaddr=02:00:00:00:00:aa",
             *(part for n in (1, 2) for part in (
                 "--", "add-port", "br0", f"p{n}", "--", "set", "interface", f"p{n}", "type=dummy",
                 f"ofport_request={n}", f"mac=\"02:00:00:00:00:0{n}\""))) # fmt: skip
        proxy = Proxy(f"{folder}/proxy.mgmt", f"{folder}/br0.mgmt")
        target = f"unix:{folder}/proxy.mgmt"

        def record(source: str):
            for direction, message in proxy.seen:
                if is_table_features(message) and message[18] != 0:
                    continue
                text = tool("ovs-ofctl", "ofp-print", normalized(message).hex()).stdout.strip()
                recorder.add(f"{source} ({direction})", message, text)
            proxy.seen.clear()

        def ofctl(line: str, check=True):
            words = [target if word == "br0" else word for word in line.split()]
            tool("ovs-ofctl", "-O", "OpenFlow13", *words, check=check)
            record(f"ovs-ofctl {line}")

        for meter in METERS.split():
            ofctl(f"add-meter br0 {meter}")
        for group in GROUPS.split():
            ofctl(f"add-group br0 {group}")
        ofctl("mod-group br0 group_id=1,type=all,bucket=output:1")
        monitor = subprocess.Popen(
            ["ovs-ofctl", "-O", "OpenFlow13", "monitor", "-P", "standard", target, "65534"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) # fmt: skip
        time.sleep(1)
        record("ovs-ofctl monitor")
        appctl = ["ovs-appctl", "-t", f"{folder}/vswitchd.ctl"]
        tool("ovs-ofctl", "-O", "OpenFlow13", "add-flow", f"unix:{folder}/br0.mgmt",
             "table=0,priority=9,cookie=0x77,send_flow_rem,in_port=1,actions=CONTROLLER:65535")
        tool(*appctl, "netdev-dummy/receive", "p1", ICMP)
        tool("ovs-ofctl", "-O", "OpenFlow13", "del-flows", f"unix:{folder}/br0.mgmt")
        tool(*appctl, "netdev-dummy/set-admin-state", "p2", "down")
        tool(*vsctl, "del-port", "br0", "p2")
        tool(*vsctl, "add-port", "br0", "p2", "--", "set", "interface", "p2", "type=dummy",
             "ofport_request=2", "mac=\"02:00:00:00:00:02\"")
        time.sleep(1)
        record("asynchronous")
        monitor.terminate()
        monitor.wait()
        for line in FLOWS.strip().splitlines():
            words = line.split(maxsplit=1 if not line.startswith("--") else 2)
            ofctl(" ".join([*words[:-1], "br0", words[-1]]), check=False)
            if line.endswith("goto_table:3"):
                ofctl("dump-flows br0")
        for line in COMMANDS.strip().splitlines():
            ofctl(line, check=False)
    return recorder


def os_ken() -> Recorder:
    from os_ken.ofproto import ofproto_v1_3 as ofp, ofproto_v1_3_parser as parser
    from os_ken.ofproto.ofproto_protocol import ProtocolDesc

    recorder = Recorder()
    datapath = ProtocolDesc(version=ofp.OFP_VERSION)

    def add(message):
        message.set_xid(1)
        message.serialize()
        recorder.add(type(message).__name__, bytes(message.buf), json.dumps(message.to_jsondict(), sort_keys=True))

    fields = dict(
        in_port=1, in_phy_port=2, metadata=(0x1200, 0xFF00), eth_dst="02:00:00:00:00:01",
        eth_src=("02:00:00:00:00:00", "ff:00:00:00:00:00"),
    ) # fmt: skip
    ip = dict(ip_dscp=10, ip_ecn=1)
    matches = [
        dict(fields),
        dict(eth_type=0x8100, vlan_vid=0x1005, vlan_pcp=3),
        dict(vlan_vid=(0x1000, 0x1000)),
        dict(eth_type=0x800, ip_proto=6, ipv4_src="10.0.0.1", ipv4_dst=("10.0.0.0", "255.0.0.0"), tcp_src=1, tcp_dst=2, **ip),
        dict(eth_type=0x800, ip_proto=17, udp_src=1, udp_dst=2),
        dict(eth_type=0x800, ip_proto=132, sctp_src=1, sctp_dst=2),
        dict(eth_type=0x800, ip_proto=1, icmpv4_type=8, icmpv4_code=0),
        dict(eth_type=0x806, arp_op=1, arp_spa=("10.0.0.0", "255.0.0.0"), arp_tpa="10.0.0.2",
             arp_sha="02:00:00:00:00:01", arp_tha=("02:00:00:00:00:00", "ff:00:00:00:00:00")),
        dict(eth_type=0x86DD, ip_proto=58, ipv6_src="2001:db8::1", ipv6_dst=("2001:db8::", "ffff:ffff::"),
             ipv6_flabel=(0x12300, 0xFFF00), icmpv6_type=135, icmpv6_code=0, ipv6_nd_target="fe80::1",
             ipv6_nd_sll="02:00:00:00:00:01"),
        dict(eth_type=0x86DD, ip_proto=58, icmpv6_type=136, ipv6_nd_target="fe80::1", ipv6_nd_tll="02:00:00:00:00:01"),
        dict(eth_type=0x8847, mpls_label=1000, mpls_tc=2, mpls_bos=1),
        dict(eth_type=0x88E7, pbb_isid=(0x120000, 0xFF0000)),
        dict(tunnel_id=(0x1200000000, 0xFF00000000)),
        dict(eth_type=0x86DD, ipv6_exthdr=(0x01, 0x0F)),
    ] # fmt: skip
    actions = [
        parser.OFPActionOutput(ofp.OFPP_CONTROLLER, 128), parser.OFPActionCopyTtlOut(), parser.OFPActionCopyTtlIn(),
        parser.OFPActionSetMplsTtl(9), parser.OFPActionDecMplsTtl(), parser.OFPActionPushVlan(0x88A8), parser.OFPActionPopVlan(),
        parser.OFPActionPushMpls(0x8848), parser.OFPActionPopMpls(0x800), parser.OFPActionSetQueue(3), parser.OFPActionGroup(4),
        parser.OFPActionSetNwTtl(5), parser.OFPActionDecNwTtl(), parser.OFPActionPushPbb(0x88E7), parser.OFPActionPopPbb(),
        parser.OFPActionSetField(eth_dst="02:00:00:00:00:09"), parser.OFPActionSetField(ipv6_src="2001:db8::5"),
        parser.OFPActionSetField(pbb_isid=7), parser.OFPActionSetField(vlan_vid=0x1007), parser.OFPActionSetField(tunnel_id=1),
        parser.OFPActionExperimenterUnknown(0x12345678, b"12345678"),
    ] # fmt: skip
    instructions = [
        parser.OFPInstructionMeter(1), parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions),
        parser.OFPInstructionActions(ofp.OFPIT_CLEAR_ACTIONS, []),
        parser.OFPInstructionActions(ofp.OFPIT_WRITE_ACTIONS, actions[:2]),
        parser.OFPInstructionWriteMetadata(0x1234, 0xFFFF), parser.OFPInstructionGotoTable(2),
    ] # fmt: skip
    match = parser.OFPMatch(**matches[3])

    add(parser.OFPHello(datapath, elements=[parser.OFPHelloElemVersionBitmap(versions=[1, 4])]))
    add(parser.OFPErrorMsg(datapath, type_=ofp.OFPET_BAD_ACTION, code=ofp.OFPBAC_BAD_LEN, data=b"refused"))
    add(parser.OFPErrorExperimenterMsg(datapath, exp_type=2600, experimenter=0x4F4E4600, data=b"refused"))
    add(parser.OFPEchoRequest(datapath, b"ping"))
    add(parser.OFPEchoReply(datapath, b"pong"))
    add(parser.OFPExperimenter(datapath, 0x2320, 12, b"data"))
    add(parser.OFPFeaturesRequest(datapath))
    add(parser.OFPGetConfigRequest(datapath))
    add(parser.OFPSetConfig(datapath, ofp.OFPC_FRAG_DROP, 128))
    for fields in matches:
        add(parser.OFPFlowMod(datapath, match=parser.OFPMatch(**fields), instructions=[]))
    add(parser.OFPFlowMod(datapath, 1, 2, 3, ofp.OFPFC_MODIFY_STRICT, 4, 5, 6, 7, 8, 9, 0x1F, match, instructions))
    add(parser.OFPPacketOut(datapath, ofp.OFP_NO_BUFFER, ofp.OFPP_CONTROLLER, actions, b"packet"))
    buckets = [parser.OFPBucket(10, 1, ofp.OFPG_ANY, actions[:1]), parser.OFPBucket(20, 2, 3, actions[3:7])]
    for kind in range(4):
        add(parser.OFPGroupMod(datapath, kind % 3, kind, 9, buckets))
    bands = [parser.OFPMeterBandDrop(100, 10), parser.OFPMeterBandDscpRemark(50, 5, 1),
             parser.OFPMeterBandExperimenter(1, 2, 0x2320)] # fmt: skip
    for command in range(3):
        add(parser.OFPMeterMod(datapath, command, ofp.OFPMF_PKTPS | ofp.OFPMF_BURST, 5, bands))
    add(parser.OFPPortMod(datapath, 3, "02:00:00:00:00:03", 1, 0x65, 0x820))
    add(parser.OFPTableMod(datapath, 255, 3))
    add(parser.OFPBarrierRequest(datapath))
    add(parser.OFPQueueGetConfigRequest(datapath, ofp.OFPP_ANY))
    add(parser.OFPRoleRequest(datapath, ofp.OFPCR_ROLE_SLAVE, 2**64 - 2))
    add(parser.OFPGetAsyncRequest(datapath))
    add(parser.OFPSetAsync(datapath, [1, 2], [4, 3], [5, 6]))
    for request in (
        parser.OFPDescStatsRequest(datapath, 0), parser.OFPFlowStatsRequest(datapath, 0, 255, 1, 2, 3, 4, match),
        parser.OFPAggregateStatsRequest(datapath, 0, 3, 1, 2, 3, 4, match), parser.OFPTableStatsRequest(datapath, 0),
        parser.OFPPortStatsRequest(datapath, 0, 7), parser.OFPQueueStatsRequest(datapath, 0, 7, 8),
        parser.OFPGroupStatsRequest(datapath, 0, 9), parser.OFPGroupDescStatsRequest(datapath, 0),
        parser.OFPGroupFeaturesStatsRequest(datapath, 0), parser.OFPMeterStatsRequest(datapath, 0, 4),
        parser.OFPMeterConfigStatsRequest(datapath, 0, 4), parser.OFPMeterFeaturesStatsRequest(datapath, 0),
        parser.OFPPortDescStatsRequest(datapath, 0), parser.OFPExperimenterStatsRequest(datapath, 0, 0x2320, 5, b"abcd"),
        parser.OFPTableFeaturesStatsRequest(datapath, 1, []),
    ): # fmt: skip
        add(request)
    features = parser.OFPTableFeaturesStats(
        table_id=1, name=b"routes", metadata_match=15, metadata_write=7, config=0, max_entries=1000,
        properties=[
            parser.OFPTableFeaturePropInstructions(ofp.OFPTFPT_INSTRUCTIONS, instruction_ids=[parser.OFPInstructionId(n) for n in (1, 2, 3, 4, 5, 6)]),
            parser.OFPTableFeaturePropNextTables(ofp.OFPTFPT_NEXT_TABLES_MISS, table_ids=[2, 3, 4]),
            parser.OFPTableFeaturePropActions(ofp.OFPTFPT_APPLY_ACTIONS, action_ids=[parser.OFPActionId(n) for n in (0, 11, 25)]),
            parser.OFPTableFeaturePropOxm(ofp.OFPTFPT_MATCH, oxm_ids=[parser.OFPOxmId("eth_dst", True), parser.OFPOxmId("eth_type", False)]),
            parser.OFPTableFeaturePropOxm(ofp.OFPTFPT_WRITE_SETFIELD_MISS, oxm_ids=[parser.OFPOxmId("ipv6_src", False)]),
        ],
    ) # fmt: skip
    add(parser.OFPTableFeaturesStatsRequest(datapath, 0, [features]))
    return recorder


if __name__ == "__main__":
    os_ken().write("os-ken.jsonl")
    open_vswitch().write("openvswitch.jsonl")
