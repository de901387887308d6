// The private network of a gang: with real namespaces as hosts, real WireGuard between them, and guests
// that connect to each other.
#include <filesystem>
#include <fstream>

#include "agent/container_runtime.hpp"
#include "gang_fixture.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

/// A gang's guest in a container, made as an agent makes it.
class GangGuest {
  public:
    GangGuest(std::shared_ptr<NetworkGate> gate, const std::string& script, const Gang& gang)
        : lease_(a_lease(script)),
          storage_(PodmanService::instance().folder() / "leases" / lease_.lease_id),
          runtime_(PodmanService::instance().socket(), EngineFlavour::podman, host_facts(),
                   std::move(gate)) {
        lease_.spec->has_gang_network = true;
        lease_.gang = gang;
        for (const auto& [name, value] : gang_environment(gang))
            lease_.environment[name] = value;
        storage_.make(storage_kind_here(), lease_.spec->disk_bytes);
        const auto hosts = storage_.notices() / "hosts";
        std::ofstream(hosts) << gang_hosts_file(gang);
        std::filesystem::permissions(hosts, std::filesystem::perms(0644));
        const GuestFolders folders{storage_.inputs().string(), storage_.outputs().string(),
                                   storage_.notices().string(), "", hosts.string()};
        id_ = runtime_.create(lease_, runtime_.obtain_image(test_image, {}), folders, {});
        runtime_.connect(id_, {lease_.lease_id});
    }
    ~GangGuest() {
        try {
            runtime_.remove(id_);
            storage_.wipe();
        } catch (const std::exception& error) {
            WARN("a guest was not removed: " << error.what());
        }
    }
    GangGuest(const GangGuest&) = delete;
    GangGuest& operator=(const GangGuest&) = delete;

    [[nodiscard]] std::int64_t pid() { return runtime_.inspect(id_)->pid; }
    void start() {
        static_cast<void>(runtime_.start(id_, {lease_.lease_id}, [] {}));
    }
    [[nodiscard]] std::string output_at_end() {
        wait_for_end(id_);
        std::string seen;
        runtime_.logs(id_, false,
                      [&](LogStream stream, std::string_view data) {
                          if (stream == LogStream::standard_output) seen += data;
                          return true;
                      },
                      {});
        return seen;
    }

  private:
    DesiredLease lease_;
    WorkingStorage storage_;
    ContainerRuntime runtime_;
    std::string id_;
};

}  // namespace

TEST_CASE("guests of a gang reach each other from host to host, and no host by it") {
    const EgressWorld world;
    const Gate gate;
    const Member first(world.host, gang_tunnels("5.5.5.2:51820"));
    const Member second(world.internet, gang_tunnels("5.5.5.1:51830"));
    gate.connect(first.guest);
    form({&first, &second});
    const Network one = first.network();
    const Network other = second.network();
    const Server at_one(one);
    const Server at_other(other);
    CHECK(reaches_soon(one, gang_address(1)));
    CHECK(reaches_soon(other, gang_address(0)));
    CHECK(one.reaches("8.8.4.4"));  // its other line is as it was
    CHECK_FALSE(one.reaches("5.5.5.2"));
    CHECK_FALSE(one.reaches(gang_address(2)));
    // The second one has no line but the gang's.
    for (const char* address : {"5.5.5.1", "5.5.5.2", "8.8.4.4", "192.168.7.1"}) {
        INFO(address);
        CHECK_FALSE(other.reaches(address));
    }
    CHECK_FALSE(other.reaches(guest_addresses(0).far_ipv4));
    for (const std::string& address : {gang_address(0), gang_address(1)}) {
        INFO(address);
        CHECK_FALSE(world.host.reaches(address));
        CHECK_FALSE(world.lan.reaches(address));
    }
}

TEST_CASE("guests of another gang are not there, on whatever host") {
    const EgressWorld world;
    const auto here = gang_tunnels("5.5.5.2:51820-51822");
    const auto there = gang_tunnels("5.5.5.1:51830-51832");
    const Member a0(world.host, here);
    const Member a1(world.internet, there);
    const Member b0(world.host, here);
    const Member b1(world.internet, there);
    const Member b2(world.host, here);
    form({&a0, &a1});
    form({&b0, &b1, &b2});
    const Server of_a1(a1.network());
    const Server of_b1(b1.network());
    const Server of_b2(b2.network());
    CHECK(reaches_soon(b0.network(), gang_address(1)));
    CHECK(reaches_soon(b0.network(), gang_address(2)));
    CHECK(reaches_soon(a0.network(), gang_address(1)));
    CHECK_FALSE(a0.network().reaches(gang_address(2)));
    CHECK_FALSE(a1.network().reaches(gang_address(2)));
}

TEST_CASE("a host that cheats gets through a guest to nothing behind it") {
    const EgressWorld world;
    const Member honest(world.host, gang_tunnels("5.5.5.2:51820"));
    const Member cheat(world.internet, gang_tunnels("5.5.5.1:51830"));
    form({&honest, &cheat});
    const Network guest = honest.network();
    const Network behind = Network::fresh();
    guest.ip("link add l0 type veth peer name l0 netns " + behind.path() +
             "\naddr add 7.7.7.1/24 dev l0\nlink set l0 up\n");
    guest.within([] { std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1"; });
    behind.ip(
        "link set lo up\naddr add 7.7.7.2/24 dev l0\nlink set l0 up\nroute add 198.19.255.0/27 via "
        "7.7.7.1\n");
    const Server at_behind(behind);
    // Its own end sends whatever it likes to the other one, and takes what comes back.
    cheat.network().nft("flush ruleset\n");
    world.internet.within([&] {
        run_program({"/usr/bin/wg", "set", "fwg" + std::to_string(cheat.port()), "peer",
                     honest.public_key(), "allowed-ips", "0.0.0.0/0"});
    });
    cheat.network().ip("route add 7.7.7.0/24 dev gang0\n");
    const Server at_guest(guest);
    CHECK(reaches_soon(cheat.network(), gang_address(0)));
    CHECK_FALSE(cheat.network().reaches("7.7.7.1"));
    CHECK_FALSE(cheat.network().reaches("7.7.7.2"));
    // It is the rules that see to it.
    guest.nft("flush ruleset\n");
    CHECK(cheat.network().reaches("7.7.7.1"));
    CHECK(cheat.network().reaches("7.7.7.2"));
}

TEST_CASE("what was begun is finished, and what was given up is there again") {
    const EgressWorld world;
    const auto here = gang_tunnels("5.5.5.2:51820");
    const auto there = gang_tunnels("5.5.5.1:51830");
    for (int round = 0; round < 2; ++round) {
        INFO("round " << round);
        const Member first(world.host, here);
        const Member second(world.internet, there);
        CHECK(first.port() == 51'820);
        form({&first, &second});
        first.join(gang_of({&first, &second}, 0));
        const Server at_second(second.network());
        CHECK(reaches_soon(first.network(), gang_address(1)));
        CHECK_THROWS_WITH(static_cast<void>(here->take_port("lease_of_another")),
                          Catch::Contains("--gang-endpoint"));
    }
}

TEST_CASE("a port that another program has, and an address that nobody opened, are told of") {
    const EgressWorld world;
    const auto here = gang_tunnels("5.5.5.2:51820-51821");
    const Member first(world.host, here);
    const Member second(world.host, here);
    Gang gang = gang_of({&first, &second}, 0);
    gang.members[1].endpoint = "192.168.7.2:51840";
    CHECK_THROWS_WITH(first.join(gang), Catch::Contains("--gang-peers") && Catch::Contains("rank-1"));
    const auto opened = gang_tunnels("5.5.5.2:51822", {*parse_destination("192.168.0.0/16")});
    const Member third(world.host, opened);
    CHECK_NOTHROW(third.join(gang));
    gang.members[1].public_key = "key\n[Peer]";
    CHECK_THROWS_WITH(third.join(gang), Catch::Contains("no key of rank-1"));

    const int taken = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_port = htons(second.port());
    must(::bind(taken, reinterpret_cast<const sockaddr*>(&any), sizeof any) == 0, "a port");
    CHECK_THROWS_WITH(second.join(gang_of({&first, &second}, 1)), Catch::Contains("is taken"));
    ::close(taken);
}

TEST_CASE("a host that cannot make such a network says what it lacks") {
    const EgressWorld world;
    const auto which = GENERATE(0, 1);
    GangOptions options;
    options.endpoint = *parse_gang_endpoint("5.5.5.2:51820");
    options.may_be_of_kernel = false;
    (which == 0 ? options.wireguard_go_program : options.wg_program) = "/bin/false";
    GangTunnels tunnels(options);
    CHECK_THROWS_WITH(tunnels.check(),
                      Catch::Contains("wireguard-tools") && Catch::Contains("/dev/net/tun"));
    const auto whole = gang_tunnels("5.5.5.2:51820");
    CHECK_NOTHROW(whole->check());
    CHECK_FALSE(whole->is_of_kernel());
}

TEST_CASE("containers of a gang find each other by rank") {
    const EgressWorld world;
    const Gate gate;
    const auto tunnels = gang_tunnels("5.5.5.2:51820-51821");
    std::vector<TunnelKeys> keys;
    std::vector<std::uint16_t> ports;
    Gang gang{0, 2, {}};
    for (std::int64_t rank = 0; rank < 2; ++rank) {
        keys.push_back(generate_tunnel_keys());
        ports.push_back(tunnels->take_port("rank " + std::to_string(rank)));
        gang.members.push_back({rank, keys.back().public_key, tunnels->endpoint_at(ports.back())});
    }
    GangGuest asks(gate.gate,
                   "echo $FALLOW_PEERS $MASTER_ADDR; for n in 1 2 3 4 5 6 7 8 9; do nc -w 5 rank-1 7000 "
                   "</dev/null && break; sleep 1; done; echo x >>/etc/hosts || true; ls /sys/class/net",
                   gang);
    gang.rank = 1;
    GangGuest answers(gate.gate, "hostname -i | tr -d ' '; echo the other | nc -l -p 7000", gang);
    for (std::size_t rank = 0; rank < 2; ++rank) {
        gang.rank = static_cast<std::int64_t>(rank);
        tunnels->join(rank == 0 ? asks.pid() : answers.pid(), gang, keys[rank].private_key, ports[rank]);
    }
    answers.start();
    asks.start();
    CHECK(asks.output_at_end() == "rank-0,rank-1 rank-0\nthe other\neth0\ngang0\nlo\n");
    CHECK(answers.output_at_end() == "198.19.255.2\n");
    for (std::int64_t rank = 0; rank < 2; ++rank)
        tunnels->leave("rank " + std::to_string(rank));
}
