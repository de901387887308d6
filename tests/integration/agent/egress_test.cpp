// What a guest's packets reach, with real namespaces, real rules and real connections in both families.
#include <fstream>

#include "agent/container_runtime.hpp"
#include "agent/link_socket.hpp"
#include "agent/network_space.hpp"
#include "egress_fixture.hpp"
#include "guest_fixture.hpp"
#include "support/until.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

const std::vector<std::string> public_addresses = {"8.8.4.4", "2a00:1450::99"};
const std::vector<std::string> host_addresses = {"5.5.5.2", "192.168.7.1", "2a01:db0::2",
                                                 "fd12::1", "198.18.0.1",  "fd66:6c77:0:0::1"};
const std::vector<std::string> lan_addresses = {"192.168.7.2", "10.1.2.3", "172.16.5.5", "100.64.0.9",
                                                "fd12::2"};
const char* const metadata = "169.254.169.254";

EgressPolicy policy_of(const std::vector<std::string>& allow, const std::vector<std::string>& deny) {
    EgressPolicy policy;
    for (const std::string& text : allow)
        policy.allow.push_back(*parse_destination(text));
    for (const std::string& text : deny)
        policy.deny.push_back(*parse_destination(text));
    return policy;
}

}  // namespace

TEST_CASE("a guest reaches the public internet, and neither host nor private network nor metadata") {
    const EgressWorld world;
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    const Network network = guest.network();
    for (const std::string& address : public_addresses) {
        INFO(address);
        CHECK(network.reaches(address));
    }
    for (const auto* const closed : {&host_addresses, &lan_addresses})
        for (const std::string& address : *closed) {
            INFO(address);
            CHECK(world.host.reaches(address));  // it is there
            CHECK_FALSE(network.reaches(address));
        }
    CHECK(world.host.reaches(metadata));
    CHECK_FALSE(network.reaches(metadata));
    // IPv4 in IPv6's clothes.
    CHECK_FALSE(network.reaches("::ffff:192.168.7.2"));
    CHECK_FALSE(network.reaches("64:ff9b::c0a8:702"));
}

TEST_CASE("it is the rules that keep a guest from all that") {
    const EgressWorld world;
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    const Network network = guest.network();
    gate.network().nft("flush chain inet gate leaving\nadd rule inet gate leaving accept\n");
    for (const std::string& address : lan_addresses) {
        INFO(address);
        CHECK(network.reaches(address));
    }
    CHECK(network.reaches(metadata));
    // The host keeps its own door by its own rules.
    CHECK_FALSE(network.reaches("5.5.5.2"));
    CHECK_FALSE(network.reaches("2a01:db0::2"));
    world.host.nft("flush ruleset\n");
    CHECK(network.reaches("198.18.0.1"));
}

TEST_CASE("who flushes the host's rules opens nothing, and the next guest puts them back") {
    const EgressWorld world;
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    const Network network = guest.network();
    world.host.nft("flush ruleset\n");
    for (const auto* const closed : {&host_addresses, &lan_addresses})
        for (const std::string& address : *closed) {
            INFO(address);
            CHECK_FALSE(network.reaches(address));
        }
    CHECK_FALSE(network.reaches(metadata));
    const Nobody next;
    gate.connect(next);
    CHECK(network.reaches("8.8.4.4"));
    CHECK(next.network().reaches("2a00:1450::99"));
}

TEST_CASE("guests reach each other neither by name nor by number, and nobody reaches them") {
    const EgressWorld world;
    const Gate gate;
    const Nobody one;
    const Nobody other;
    gate.connect(one);
    gate.connect(other);
    const Network network = one.network();
    const Network beside = other.network();
    const Server server(beside);
    for (const std::string& address : {guest_addresses(1).far_ipv4, guest_addresses(1).far_ipv6}) {
        INFO(address);
        CHECK(beside.reaches(address));
        CHECK_FALSE(network.reaches(address));
        CHECK_FALSE(world.host.reaches(address));
        CHECK_FALSE(world.lan.reaches(address));
    }
    CHECK_FALSE(network.reaches(guest_addresses(0).near_ipv4));
    CHECK_FALSE(world.host.reaches(uplink_addresses(0).far_ipv4));
}

TEST_CASE("a host that was no router is none for others when it has guests") {
    const EgressWorld world;
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    CHECK(guest.network().reaches("8.8.4.4"));
    CHECK_FALSE(world.lan.reaches("8.8.4.4"));
    CHECK_FALSE(world.lan.reaches("2a00:1450::99"));
}

TEST_CASE("the owner's policy opens and closes addresses and ports") {
    const EgressWorld world;
    const Gate gate(policy_of({"10.1.2.3:7000", "[fd12::2]:7000"}, {"8.8.4.4:7001", "2a00:1450::/32"}));
    const Nobody guest;
    gate.connect(guest);
    const Network network = guest.network();
    CHECK(network.reaches("10.1.2.3", 7000));
    CHECK_FALSE(network.reaches("10.1.2.3", 7001));
    CHECK(network.reaches("fd12::2", 7000));
    CHECK_FALSE(network.reaches("fd12::2", 7001));
    CHECK(network.reaches("8.8.4.4", 7000));
    CHECK_FALSE(network.reaches("8.8.4.4", 7001));
    CHECK_FALSE(network.reaches("2a00:1450::99", 7000));
    CHECK_FALSE(network.reaches("192.168.7.2"));
}

TEST_CASE("another process of the agent's goes on with the gate that is there") {
    const EgressWorld world;
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    NetworkGate next(gate.options({}));
    next.open();
    CHECK(guest.network().reaches("8.8.4.4"));
    const Nobody later;
    next.connect(later.pid(), {"lease_2"});
    CHECK(later.network().reaches("2a00:1450::99"));
    CHECK_FALSE(later.network().reaches(guest_addresses(0).far_ipv4));
}

TEST_CASE("the probe image finds nothing open from within, and nothing that it could change") {
    const EgressWorld world;
    const Gate gate;
    std::string script;
    std::string expected;
    const auto ask = [&](const std::string& address, bool is_open) {
        script += "echo " + address + " $(nc -w 2 " + address + " 7000 </dev/null 2>/dev/null);";
        expected += address + (is_open ? " !\n" : "\n");
    };
    for (const std::string& address : public_addresses)
        ask(address, true);
    for (const auto* const closed : {&host_addresses, &lan_addresses})
        for (const std::string& address : *closed)
            ask(address, false);
    ask(metadata, false);
    script +=
        "for c in 'link set eth0 down' 'addr add 10.1.2.9/24 dev eth0' 'route add 10.1.2.3 dev eth0' "
        "'link add d type dummy'; do ip $c 2>/dev/null && echo changed $c; done;";
    ask(public_addresses.front(), true);
    script +=
        "ls /sys/class/net; head -n 1 /etc/resolv.conf | cut -c 1-11; echo x >/etc/resolv.conf || true";
    expected += "eth0\nlo\nnameserver \n";

    DesiredLease lease = a_lease(script);
    const PodmanService& podman = PodmanService::instance();
    WorkingStorage storage(podman.folder() / "leases" / lease.lease_id);
    storage.make(storage_kind_here(), lease.spec->disk_bytes);
    const GuestFolders folders{storage.inputs().string(), storage.outputs().string(),
                               storage.notices().string()};
    ContainerRuntime runtime(podman.socket(), EngineFlavour::podman, host_facts(), gate.gate);
    const std::string id = runtime.create(lease, runtime.obtain_image(test_image, {}), folders, {});
    runtime.connect(id, {lease.lease_id});
    const auto before = runtime.inspect(id);
    REQUIRE(before);
    CHECK_FALSE(before->ever_started);
    const auto started = runtime.start(id, {lease.lease_id}, [] {});
    REQUIRE(started);
    CHECK(started->pid == before->pid);
    wait_for_end(id);
    std::string seen;
    runtime.logs(id, false,
                 [&](LogStream stream, std::string_view data) {
                     if (stream == LogStream::standard_output) seen += data;
                     return true;
                 },
                 {});
    CHECK(seen == expected);
    runtime.remove(id);
    storage.wipe();
}

TEST_CASE("without its rules in force no guest is left to be started") {
    const EgressWorld world;
    Gate gate;
    GateOptions options = gate.options({});
    const auto what = GENERATE("nft", "ip");
    if (std::string(what) == "nft")
        options.nft_program = "/bin/false";
    else
        options.ip_program = "/bin/false";
    gate.gate = std::make_shared<NetworkGate>(options);
    const DesiredLease lease = a_lease("true");
    const PodmanService& podman = PodmanService::instance();
    WorkingStorage storage(podman.folder() / "leases" / lease.lease_id);
    storage.make(StorageKind::tmpfs, lease.spec->disk_bytes);
    const GuestFolders folders{storage.inputs().string(), storage.outputs().string(),
                               storage.notices().string()};
    ContainerRuntime runtime(podman.socket(), EngineFlavour::podman, host_facts(), gate.gate);
    const ImageFacts image = runtime.obtain_image(test_image, {});
    const std::string id = runtime.create(lease, image, folders, {});
    CHECK_THROWS_WITH(runtime.connect(id, {lease.lease_id}), Catch::Contains("/bin/false"));
    for (const ContainerSeen& container : runtime.list())
        CHECK(container.lease_id != lease.lease_id);
    storage.wipe();
}

TEST_CASE("what the kernel refuses of a guest's line is said, and what was refused") {
    const Network network = Network::fresh();
    network.within([] {
        LinkSocket kernel;
        CHECK_THROWS_WITH(kernel.set_up("eth0"), Catch::Contains("no interface eth0"));
        CHECK_THROWS_WITH(kernel.add_address("lo", "1.2.3", 30), Catch::Contains("not an address: 1.2.3"));
        // Nothing leads to the gateway.
        CHECK_THROWS_WITH(kernel.add_default_route("5.5.5.1"), Catch::Contains("no route by 5.5.5.1"));
        CHECK_THROWS_WITH(kernel.add_default_route("2a01:db0::1"),
                          Catch::Contains("no route by 2a01:db0::1"));
        const NetworkSpace here("/proc/thread-self/ns/net");
        kernel.add_line("g5", here.number(), "p5");
        for (const auto& [near, far] : {std::pair("g5", "p6"), std::pair("g6", "p5")})
            CHECK_THROWS_WITH(kernel.add_line(near, here.number(), far),
                              Catch::Contains(std::string("no line between interfaces ") + near));
        kernel.set_up("lo");  // and after a refusal it is heard as before
        kernel.add_address("lo", "198.19.0.2", 30);
        kernel.add_address("lo", "fd66:6c77:1::2", 64);
    });
    const Server server(network);
    CHECK(network.reaches("198.19.0.2"));
    fallow::testing::until("the new IPv6 address is in force",
                           [&] { return network.reaches("fd66:6c77:1::2"); });
}
