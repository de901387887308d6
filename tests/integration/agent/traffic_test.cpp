// What guests send to the internet, with real packets through real rules in both families: counted,
// limited, and kept.
#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include "agent/network_space.hpp"
#include "egress_fixture.hpp"
#include "host_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

constexpr std::size_t payload_bytes = 1000;
constexpr std::int64_t ipv4_packet_bytes = payload_bytes + 8 + 20;
constexpr std::int64_t ipv6_packet_bytes = payload_bytes + 8 + 40;
constexpr std::uint16_t sink_port = 9000;
const std::string public_ipv4 = "8.8.4.4";
const std::string public_ipv6 = "2a00:1450::99";

class Socket {
  public:
    explicit Socket(int number) : number_(number) { must(number >= 0, "a socket"); }
    ~Socket() { ::close(number_); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int number() const { return number_; }
    [[nodiscard]] bool has_event() const {
        pollfd waits{number_, POLLIN, 0};
        return ::poll(&waits, 1, static_cast<int>(patience_ms)) == 1;
    }

  private:
    int number_;
};

/// A socket of the network that the thread is in.
int udp_towards(const std::string& address) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(sink_port);
    const bool is_ipv6 = address.find(':') != address.npos;
    const std::string mapped = is_ipv6 ? address : "::ffff:" + address;
    must(::inet_pton(AF_INET6, mapped.c_str(), &to.sin6_addr) == 1, "an address");
    const int line = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(line >= 0, "a socket");
    must(::connect(line, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "an address");
    return line;
}

/// Takes datagrams at every address of its network.
class Sink {
  public:
    explicit Sink(const Network& network) : socket_(bound_in(network, "::")) {}

    /// Waits for one, and says how long it was.
    [[nodiscard]] std::size_t take() {
        must(socket_.has_event(), "a datagram");
        std::array<char, 2048> data{};
        length_ = sizeof peer_;
        const ssize_t size = ::recvfrom(socket_.number(), data.data(), data.size(), 0,
                                        reinterpret_cast<sockaddr*>(&peer_), &length_);
        must(size >= 0, "a datagram");
        return static_cast<std::size_t>(size);
    }
    /// To whom the last one came from, by the IPv4 address that it was sent to.
    void answer(const Network& network, const std::string& address) const {
        const Socket line(bound_in(network, "::ffff:" + address));
        const std::string data(payload_bytes, 'y');
        const ssize_t size = ::sendto(line.number(), data.data(), data.size(), 0,
                                      reinterpret_cast<const sockaddr*>(&peer_), length_);
        must(size == static_cast<ssize_t>(data.size()), "an answer");
    }
    [[nodiscard]] bool is_empty() const {
        pollfd waits{socket_.number(), POLLIN, 0};
        return ::poll(&waits, 1, 0) == 0;
    }

  private:
    static int bound_in(const Network& network, const std::string& address) {
        int made = -1;
        network.within([&] {
            made = ::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            const int yes = 1;
            must(::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0, "a shared port");
            sockaddr_in6 here{};
            here.sin6_family = AF_INET6;
            here.sin6_port = htons(sink_port);
            must(::inet_pton(AF_INET6, address.c_str(), &here.sin6_addr) == 1, "an address");
            must(::bind(made, reinterpret_cast<const sockaddr*>(&here), sizeof here) == 0, "a port");
        });
        return made;
    }
    Socket socket_;
    sockaddr_in6 peer_{};
    socklen_t length_ = 0;
};

/// Each is there before the next is sent.
void send(const Network& guest, Sink& sink, const std::string& address, int count,
          std::size_t bytes = payload_bytes) {
    guest.within([&] {
        const Socket line(udp_towards(address));
        const std::string data(bytes, 'x');
        for (int i = 0; i < count; ++i) {
            REQUIRE(::send(line.number(), data.data(), data.size(), 0) == static_cast<ssize_t>(bytes));
            REQUIRE(sink.take() == bytes);
        }
    });
}

/// Whether the guest is told that a datagram is not let through.
bool is_refused(const Network& guest, const std::string& address, std::size_t bytes = payload_bytes) {
    bool refused = false;
    guest.within([&] {
        const Socket line(udp_towards(address));
        const std::string data(bytes, 'x');
        must(::send(line.number(), data.data(), data.size(), 0) == static_cast<ssize_t>(bytes), "sending");
        char nothing = 0;
        refused = line.has_event() && ::recv(line.number(), &nothing, 1, 0) < 0 &&
                  (errno == EHOSTUNREACH || errno == EACCES);
    });
    return refused;
}

std::int64_t sent_by(const Gate& gate, const std::string& lease_id) {
    const auto traffic = gate.gate->traffic_of(lease_id);
    REQUIRE(traffic);
    return traffic->sent_bytes;
}

}  // namespace

TEST_CASE("what a guest sends out is counted to the octet, and nothing else is") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody guest;
    CHECK_FALSE(gate.gate->traffic_of("lease_1"));
    gate.connect(guest);
    const Network network = guest.network();
    CHECK(gate.gate->traffic_of("lease_1") == GuestTraffic{0, {}, false});
    send(network, sink, public_ipv4, 5);
    CHECK(sent_by(gate, "lease_1") == 5 * ipv4_packet_bytes);
    send(network, sink, public_ipv6, 3);
    const std::int64_t all = 5 * ipv4_packet_bytes + 3 * ipv6_packet_bytes;
    CHECK(sent_by(gate, "lease_1") == all);
    for (const char* closed : {"192.168.7.2", "fd12::2", "169.254.169.254", "5.5.5.2"}) {
        INFO(closed);
        CHECK(is_refused(network, closed));
    }
    CHECK(gate.gate->traffic_of("lease_1") == GuestTraffic{all, {}, false});
}

TEST_CASE("what comes in is not counted") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody guest;
    gate.connect(guest);
    guest.network().within([&] {
        const Socket line(udp_towards(public_ipv4));
        REQUIRE(::send(line.number(), "x", 1, 0) == 1);
        REQUIRE(sink.take() == 1);
        for (int i = 0; i < 3; ++i) {
            sink.answer(world.internet, public_ipv4);
            std::array<char, payload_bytes> data{};
            REQUIRE(line.has_event());
            REQUIRE(::recv(line.number(), data.data(), data.size(), 0) == payload_bytes);
        }
    });
    CHECK(sent_by(gate, "lease_1") == 1 + 8 + 20);
}

TEST_CASE("past its limit a guest sends nothing, whatever becomes of the host's rules and the agent") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody guest;
    const TrafficTerms terms{"lease_1", 0, 10'000};
    gate.connect(guest, terms);
    const Network network = guest.network();
    send(network, sink, public_ipv4, 5);
    send(network, sink, public_ipv6, 4);
    const std::int64_t sent = 5 * ipv4_packet_bytes + 4 * ipv6_packet_bytes;
    CHECK(gate.gate->traffic_of("lease_1") == GuestTraffic{sent, 10'000, false});
    // What does not fit is refused, and so is a smaller one after it.
    CHECK(is_refused(network, public_ipv4));
    CHECK(is_refused(network, public_ipv4, 1));
    CHECK(is_refused(network, public_ipv6, 1));
    CHECK(gate.gate->traffic_of("lease_1") == GuestTraffic{sent, 10'000, true});

    world.host.nft("flush ruleset\n");
    CHECK(is_refused(network, public_ipv6));
    NetworkGate next(gate.options({}));
    next.open();
    next.meter(terms);
    CHECK(is_refused(network, public_ipv4));
    CHECK_FALSE(network.reaches(public_ipv4));
    const Nobody another;
    next.connect(another.pid(), terms);  // of the same lease
    CHECK(is_refused(another.network(), public_ipv6));
    CHECK(next.traffic_of("lease_1") == GuestTraffic{sent, 10'000, true});
    CHECK(sink.is_empty());

    // A limit that is raised lets it go on from where it was.
    next.meter({"lease_1", 0, sent + 3000});
    send(network, sink, public_ipv4, 2);
    CHECK(is_refused(network, public_ipv4));
    CHECK(sent_by(gate, "lease_1") == sent + 2 * ipv4_packet_bytes);
    next.meter({"lease_1", 0, {}});
    send(network, sink, public_ipv6, 5);
}

TEST_CASE("a guest whose limit is 0 sends nothing at all, and one without a limit goes on counting") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody closed;
    const Nobody open;
    gate.connect(closed, {"lease_1", 0, 0});
    gate.connect(open, {"lease_2", 700});
    CHECK(is_refused(closed.network(), public_ipv4, 1));
    CHECK(is_refused(closed.network(), public_ipv6, 1));
    CHECK(gate.gate->traffic_of("lease_1") == GuestTraffic{0, 0, true});
    send(open.network(), sink, public_ipv4, 2);
    CHECK(gate.gate->traffic_of("lease_2") == GuestTraffic{700 + 2 * ipv4_packet_bytes, {}, false});
}

TEST_CASE("guests are counted apart, also one that has the interface of another after it") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody one;
    const Nobody other;
    gate.connect(one, {"lease_1", 0, 5000});
    gate.connect(other, {"lease_2", 0, 50'000});
    send(one.network(), sink, public_ipv4, 4);
    CHECK(is_refused(one.network(), public_ipv4));
    send(other.network(), sink, public_ipv4, 7);
    CHECK(sent_by(gate, "lease_1") == 4 * ipv4_packet_bytes);
    CHECK(sent_by(gate, "lease_2") == 7 * ipv4_packet_bytes);

    gate.network().ip("link del g0\n");
    const Nobody later;
    gate.connect(later, {"lease_3", 0, 50'000});
    send(later.network(), sink, public_ipv6, 2);
    CHECK(sent_by(gate, "lease_1") == 4 * ipv4_packet_bytes);
    CHECK(sent_by(gate, "lease_3") == 2 * ipv6_packet_bytes);

    gate.gate->forget("lease_1");
    CHECK_FALSE(gate.gate->traffic_of("lease_1"));
    CHECK(sent_by(gate, "lease_3") == 2 * ipv6_packet_bytes);
    gate.gate->forget("lease_3");
    CHECK_FALSE(later.network().reaches(public_ipv4));
    CHECK(other.network().reaches(public_ipv4));
}

TEST_CASE("rules that are made ready are those of their leases' guests, in whatever order these come") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    gate.gate->make_ready({"lease_1", 0, 5000});
    gate.gate->make_ready({"lease_2", 0, 0});
    gate.gate->make_ready({"lease_1", 0, 5000});  // once more, after a start that failed
    const Nobody second;
    const Nobody first;
    gate.connect(second, {"lease_2", 0, 0});
    gate.connect(first, {"lease_1", 0, 5000});
    send(first.network(), sink, public_ipv4, 2);
    CHECK(is_refused(second.network(), public_ipv4));
    CHECK(sent_by(gate, "lease_1") == 2 * ipv4_packet_bytes);
    CHECK(gate.gate->traffic_of("lease_2") == GuestTraffic{0, 0, true});
    std::set<std::string> names;
    gate.network().within([&] { names = interface_names(); });
    CHECK(names.contains("g0"));
    CHECK(names.contains("g1"));
    CHECK_FALSE(names.contains("g2"));
}

TEST_CASE("the number of a guest that never came is the next one's, and counts for that one alone") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    gate.gate->make_ready({"lease_1"});
    const bool was_killed = GENERATE(true, false);
    NetworkGate another(gate.options({}));
    NetworkGate& next = was_killed ? another : *gate.gate;
    if (!was_killed) next.forget("lease_1");
    const Nobody guest;
    next.connect(guest.pid(), {"lease_2", 0, 1500});
    send(guest.network(), sink, public_ipv6, 1);
    CHECK(is_refused(guest.network(), public_ipv6));
    CHECK(next.traffic_of("lease_2") == GuestTraffic{ipv6_packet_bytes, 1500, true});
    if (was_killed) CHECK(next.traffic_of("lease_1") == GuestTraffic{0, {}, false});
    std::set<std::string> names;
    gate.network().within([&] { names = interface_names(); });
    CHECK(names.contains("g0"));
    CHECK_FALSE(names.contains("g1"));
}

namespace {

/// nft, and a line in a file for each time that it is run.
class CountedNft {
  public:
    explicit CountedNft(const std::filesystem::path& folder)
        : program(folder / "nft"), runs_(folder / "nft-runs") {
        std::ofstream(program) << "#!/bin/sh\necho >>" << runs_.string() << "\nexec /usr/sbin/nft \"$@\"\n";
        std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    }
    /// Since it was asked last.
    [[nodiscard]] std::int64_t runs() {
        std::ifstream lines(runs_);
        const auto count = std::count(std::istreambuf_iterator<char>(lines), {}, '\n');
        return count - std::exchange(known_, count);
    }
    std::filesystem::path program;

  private:
    std::filesystem::path runs_;
    std::int64_t known_ = 0;
};

}  // namespace

TEST_CASE("a gate runs nft for what it does not know, and finds out what others have changed") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    CountedNft nft(gate.folder);
    GateOptions options = gate.options({});
    options.nft_program = nft.program.string();
    NetworkGate here(options);
    here.open();  // from then on the host has the addresses of the gate's own line, too
    here.make_ready({"lease_1", 0, 5000});
    static_cast<void>(nft.runs());
    here.open();
    here.make_ready({"lease_1", 0, 5000});
    CHECK(nft.runs() == 0);
    here.make_ready({"lease_2", 0, 5000});
    here.meter({"lease_2", 0, {}});
    CHECK(nft.runs() == 1);  // how much of the old limit is used
    here.forget("lease_2");
    CHECK(nft.runs() == 0);

    std::int64_t before = 0;
    SECTION("at the host") {
        world.host.nft("flush ruleset\n");
        here.open();
        CHECK(nft.runs() == 1);
    }
    SECTION("in the gate") {
        NetworkGate another(gate.options({}));
        another.forget("lease_1");
        before = 700;
        here.make_ready({"lease_1", before, 5000});
        CHECK(nft.runs() == 1);  // what is there is listed
    }
    SECTION("by taking it away") {
        NetworkGate another(gate.options({}));
        another.close();
        before = 700;
        here.make_ready({"lease_1", before, 5000});
        CHECK(nft.runs() > 2);
    }
    const Nobody guest;
    here.connect(guest.pid(), {"lease_1", before, 5000});
    send(guest.network(), sink, public_ipv4, 1);
    CHECK(here.traffic_of("lease_1") == GuestTraffic{before + ipv4_packet_bytes, 5000, false});
}

TEST_CASE("what is told the kernel of a lease is what nft would have made of it") {
    const Network network = Network::fresh();
    const TrafficTerms terms{"lease_1", 700, 5000};
    const auto listed = [&] {
        std::string text;
        network.within([&] { text = ask_program({"/usr/sbin/nft", "-s", "list", "ruleset"}); });
        return text;
    };
    network.nft(traffic_rules());
    const std::string empty = listed();
    RuleBatch made = meter_rules(terms, {});
    made.append(guest_rules("g0", "lease_1", {}));
    network.within([&] { made.put_in_force(); });
    const std::string by_us = listed();
    GateTraffic found;
    network.within([&] { found = parse_traffic(ask_program({"/usr/sbin/nft", "-j", "list", "ruleset"})); });
    CHECK(found.leases.at("lease_1") == GuestTraffic{700, 5000, false});
    network.within([&] { forget_rules("lease_1", found).put_in_force(); });
    CHECK(listed() == empty);
    std::string told;
    for (const std::string& step : made.steps())
        told += step + "\n";
    network.nft(told);
    CHECK(listed() == by_us);
}

TEST_CASE("of rules that the kernel refuses in part, none is in force, and it is said which one it was") {
    const Network network = Network::fresh();
    network.nft(traffic_rules());
    RuleBatch rules = meter_rules({"lease_1"}, {});
    rules.remove_chain("lease_2");
    network.within([&] {
        CHECK_THROWS_WITH(rules.put_in_force(), Catch::Contains("delete chain inet traffic lease_2") &&
                                                    Catch::Contains("No such"));
        CHECK(parse_traffic(ask_program({"/usr/sbin/nft", "-j", "list", "ruleset"})).leases.empty());
    });
}

TEST_CASE("guests of before traffic was counted go on until they end") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody before;
    gate.connect(before);
    gate.network().nft("delete table inet traffic\n");
    NetworkGate next(gate.options({}));
    next.open();
    CHECK(before.network().reaches(public_ipv6));
    CHECK_FALSE(next.traffic_of("lease_1"));
    const Nobody after;
    next.connect(after.pid(), {"lease_2", 0, 5000});
    send(after.network(), sink, public_ipv4, 1);
    CHECK(next.traffic_of("lease_2") == GuestTraffic{ipv4_packet_bytes, 5000, false});
}

TEST_CASE("a policy put in force anew leaves the counts alone") {
    const EgressWorld world;
    Sink sink(world.internet);
    const Gate gate;
    const Nobody guest;
    gate.connect(guest, {"lease_1", 0, 5000});
    send(guest.network(), sink, public_ipv4, 2);
    EgressPolicy policy;
    policy.deny.push_back(*parse_destination("2a00:1450::/32"));
    NetworkGate next(gate.options(policy));
    next.open();
    CHECK(is_refused(guest.network(), public_ipv6));
    CHECK(next.traffic_of("lease_1") == GuestTraffic{2 * ipv4_packet_bytes, 5000, false});
    send(guest.network(), sink, public_ipv4, 2);
    CHECK(is_refused(guest.network(), public_ipv4));
}

TEST_CASE("a lease's traffic is in its record when it has ended, on from what was known of it") {
    const EgressWorld world;
    const Gate gate;
    constexpr std::int64_t known = 5'000'000;
    Host host(gate.gate);
    DesiredLease lease = a_lease("nc -w 5 8.8.4.4 7000 </dev/null");
    lease.egress_bytes_max = 6'000'000;
    host.adopt(lease, known);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.restart();
    host.carry_out(ActionKind::start);
    CHECK(gate.gate->traffic_of(lease.lease_id)->bytes_max == 6'000'000);
    wait_for_end(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    CHECK(ended.exit->exit_code == 0);
    CHECK(ended.egress_bytes > known);
    CHECK(ended.egress_bytes == sent_by(gate, lease.lease_id));
    host.restart();
    CHECK(host.task->seen().record.egress_bytes == ended.egress_bytes);
    CHECK(host.carry_out(ActionKind::remove).removed);
    CHECK_FALSE(gate.gate->traffic_of(lease.lease_id));
}

TEST_CASE("a container that is started again reaches the internet again, and its lease's count goes on") {
    const EgressWorld world;
    const Gate gate;
    Host host(gate.gate);
    DesiredLease lease = a_lease("nc -w 5 8.8.4.4 7000 </dev/null || exit 9; exit 75");
    lease.egress_bytes_max = 6'000'000;
    lease.spec->restart = RestartSpec{{75}, 1, 1000};
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    const LeaseRecord first = host.carry_out(ActionKind::record_exit);
    REQUIRE(first.restart);
    CHECK(first.egress_bytes > 0);
    CHECK(host.carry_out(ActionKind::ready_restart).restart->is_ready);
    CHECK(sent_by(gate, lease.lease_id) == first.egress_bytes);
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    REQUIRE(ended.exit);
    CHECK(ended.exit->exit_code == 75);
    CHECK(ended.egress_bytes > first.egress_bytes);
    CHECK(ended.egress_bytes == sent_by(gate, lease.lease_id));
    host.carry_out(ActionKind::remove);
}

TEST_CASE("a lease that may send nothing reaches nothing, and a gate that is lost takes no count back") {
    const EgressWorld world;
    const Gate gate;
    Host host(gate.gate);
    DesiredLease lease = a_lease("nc -w 5 8.8.4.4 7000 </dev/null");
    lease.egress_bytes_max = 0;
    host.adopt(lease, 300);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    CHECK(gate.gate->traffic_of(lease.lease_id) == GuestTraffic{300, 0, true});
    gate.gate->close();
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    CHECK(ended.exit->exit_code != 0);
    CHECK(ended.egress_bytes == 300);
    CHECK(host.carry_out(ActionKind::remove).removed);
}
