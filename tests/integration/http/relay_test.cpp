// Requests that are let through to a program in a job, which here is the test: both bodies, WebSockets, and
// what becomes of a program that is no web server.
#include <catch2/catch.hpp>

#include <chrono>
#include <condition_variable>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "http/guest_head.hpp"
#include "http/guest_link.hpp"
#include "integration/http/support.hpp"
#include "support/tunnel_frames.hpp"

namespace fallow::http::testing {
namespace {

constexpr auto patience = std::chrono::seconds(30);

/// The agent's end of a tunnel. A wait that lasts is the test's failure.
class Guest {
  public:
    explicit Guest(std::shared_ptr<TunnelEnd> end) : end_(std::move(end)) {
        end_->on_change([this] {
            const std::lock_guard lock(mutex_);
            has_changed_ = true;
            changed_.notify_all();
        });
    }
    ~Guest() { end_->on_change({}); }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    void send(GuestFrameKind kind, std::string_view payload = {}) {
        std::string bytes;
        append_guest_frames(bytes, kind, payload);
        while (!bytes.empty() && !end_->is_closed()) {
            const std::size_t count = end_->write(bytes);
            bytes.erase(0, count);
            if (count == 0) wait();
        }
    }
    void reply(std::string_view bytes) { send(GuestFrameKind::output, bytes); }
    GuestFrame receive() {
        while (true) {
            if (auto frame = reader_.next()) return std::move(*frame);
            const std::string bytes = end_->take();
            if (bytes.empty()) wait();
            reader_.push(bytes);
        }
    }
    /// What the program is sent, up to this text.
    std::string receive_until(std::string_view text) {
        while (true) {
            const std::size_t at = input_.find(text);
            if (at != std::string::npos) {
                std::string before = input_.substr(0, at + text.size());
                input_.erase(0, at + text.size());
                return before;
            }
            const GuestFrame frame = receive();
            if (frame.kind == GuestFrameKind::input) input_ += frame.payload;
        }
    }
    void open() {
        CHECK(receive().payload == fallow::testing::open_port_8080);
        send(GuestFrameKind::opened);
    }
    /// In one piece, so that the relay has both at once.
    void open_and_reply(std::string_view reply) {
        static_cast<void>(receive());
        std::string bytes;
        append_guest_frames(bytes, GuestFrameKind::opened, {});
        append_guest_frames(bytes, GuestFrameKind::output, reply);
        CHECK(end_->write(bytes) == bytes.size());
    }
    void await_end() {
        while (!end_->is_closed())
            wait();
    }
    void close() { end_->close(); }

  private:
    void wait() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return has_changed_; }))
            throw std::runtime_error("nothing has happened to the tunnel");
        has_changed_ = false;
    }

    const std::shared_ptr<TunnelEnd> end_;
    GuestFrameReader reader_;
    std::string input_;
    std::mutex mutex_;
    std::condition_variable changed_;
    bool has_changed_ = false;
};

/// A server that lets everything through, as often with the link that was kept as it can.
class Relaying {
  public:
    explicit Relaying(const GuestLimits& limits = {}) {
        fixture.config.limits.guest = limits;
        fixture.service.head = [](const Request&) {
            BodyLimit limit;
            limit.bytes_max = std::numeric_limits<std::size_t>::max();
            limit.is_relayed = true;
            return limit;
        };
        fixture.service.handler = [this](Request request, const ScriptedService::Respond& respond) {
            auto link = std::dynamic_pointer_cast<GuestLink>(request.kept);
            if (!link) {
                auto ends = make_tunnel({});
                link = std::make_shared<GuestLink>(std::move(ends.first), "owner", 8080, nullptr);
                const std::lock_guard lock(mutex_);
                guest_ = std::make_unique<Guest>(std::move(ends.second));
                changed_.notify_all();
            }
            link->call.is_websocket = asks_for_websocket(request);
            link->call.is_head = request.method == Method::head;
            link->call.head =
                guest_request_head(request, passed_request_headers(request), link->call.is_websocket);
            Reply reply;
            reply.stream = std::move(link);
            respond(std::move(reply));
        };
        fixture.start();
    }

    /// The one that the last request began.
    std::unique_ptr<Guest> guest() {
        std::unique_lock lock(mutex_);
        if (!changed_.wait_for(lock, patience, [this] { return guest_ != nullptr; }))
            throw std::runtime_error("no tunnel was opened");
        return std::move(guest_);
    }

    Fixture fixture;

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<Guest> guest_;
};

}  // namespace

TEST_CASE("a request and its reply pass, and the next one takes the same way", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    client.send(post("/a?b=c", "hello", "Connection: X-Once\r\nX-Once: 1\r\nAccept: x/y\r\n") +
                "HEAD /head HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const auto guest = server.guest();
    guest->open();
    CHECK(guest->receive_until("hello") ==
          "POST /a?b=c HTTP/1.1\r\nhost: localhost\r\naccept: x/y\r\nx-forwarded-proto: https\r\n"
          "x-forwarded-host: localhost\r\ncontent-length: 5\r\n\r\nhello");
    guest->reply("HTTP/1.1 201 Fine\r\nContent-Length: 2\r\nKeep-Alive: 5\r\nA: b\r\n");
    guest->reply("\r\no");
    guest->reply("k");
    Answer answer = client.receive();
    CHECK((answer.status == 201 && answer.body == "ok" && answer.header("a") == "b"));
    CHECK(answer.header("keep-alive").empty());

    CHECK(guest->receive_until("\r\n\r\n").starts_with("HEAD /head HTTP/1.1\r\n"));
    guest->reply("HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n");
    answer = client.receive(false);
    CHECK((answer.status == 200 && answer.header("content-length") == "77"));
}

TEST_CASE("bodies of unknown length are framed anew", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    client.send("PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n00003\r\nabc\r\n");
    const auto guest = server.guest();
    guest->open();
    CHECK(guest->receive_until("\r\n\r\n").find("transfer-encoding: chunked\r\n") != std::string::npos);
    CHECK(guest->receive_until("abc\r\n") == "3\r\nabc\r\n");
    client.send("0\r\n\r\n");
    CHECK(guest->receive_until("\r\n\r\n") == "0\r\n\r\n");
    guest->reply("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\n\r\nfirst");
    CHECK(client.receive_head().header("transfer-encoding") == "chunked");
    CHECK(client.receive_until("first\r\n") == "5\r\nfirst\r\n");
    guest->reply("second");
    guest->send(GuestFrameKind::end);
    CHECK(client.receive_until("0\r\n\r\n") == "6\r\nsecond\r\n0\r\n\r\n");
    guest->await_end();

    client.send("PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
    const auto other = server.guest();
    other->open();
    const Answer answer = client.receive();
    CHECK((answer.status == 400 && answer.code() == "bad_request"));
    other->await_end();
}

TEST_CASE("large bodies pass both ways", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    const std::string content(1024 * 1024, 'x');
    std::thread sender([&] { client.send(post("/", content, "Expect: 100-continue\r\n")); });
    const auto guest = server.guest();
    guest->open();
    CHECK(guest->receive_until("\r\n\r\n").find("expect") == std::string::npos);
    CHECK(guest->receive_until(content).size() == content.size());
    sender.join();
    guest->reply("HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\n");
    guest->reply(std::string(65536, 'y'));
    Answer answer = client.receive();
    if (answer.status == 100) answer = client.receive();
    CHECK((answer.status == 200 && answer.body == std::string(65536, 'y')));
}

TEST_CASE("a WebSocket is bytes both ways until one side ends it", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    client.send(get("/ws", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"));
    const auto guest = server.guest();
    guest->open();
    const std::string head = guest->receive_until("\r\n\r\n");
    CHECK(head.find("connection: Upgrade\r\nupgrade: websocket\r\n") != std::string::npos);
    CHECK(head.find("sec-websocket-key: k\r\n") != std::string::npos);
    guest->reply(
        "HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: a\r\n\r\nearly");
    const Answer answer = client.receive_head();
    CHECK((answer.status == 101 && answer.header("sec-websocket-accept") == "a"));
    CHECK((answer.header("upgrade") == "websocket" && answer.header("connection") == "Upgrade"));
    CHECK(client.receive_until("early") == "early");
    client.send("\x81\x01z");
    CHECK(guest->receive_until("z") == "\x81\x01z");
    guest->reply("back");
    guest->send(GuestFrameKind::end);
    CHECK(client.receive_until("back") == "back");
    CHECK(client.receive_end());
    guest->await_end();
}

TEST_CASE("what is no web server is said to be none", "[http][relay]") {
    struct Row {
        const char* reply;
        const char* detail;
    };
    const Row row = GENERATE(Row{"what?\r\n\r\n", "speaks no HTTP/1.1"}, Row{"", "speaks no HTTP/1.1"},
                             Row{"HTTP/1.1 101 Switching\r\n\r\n", "its status is 101"},
                             Row{"HTTP/1.1 900 OK\r\n\r\n", "its status is 900"});
    Relaying server;
    Client client(server.fixture.port());
    client.send(get("/"));
    const auto guest = server.guest();
    guest->open();
    static_cast<void>(guest->receive_until("\r\n\r\n"));
    if (*row.reply != '\0') guest->reply(row.reply);
    guest->send(GuestFrameKind::end);
    const Answer answer = client.receive();
    CHECK((answer.status == 502 && answer.code() == "app_failed"));
    CHECK(answer.body.find(row.detail) != std::string::npos);
    guest->await_end();
    client.vanish();
    server.fixture.server->drain(30'000);
    REQUIRE(server.fixture.access().size() == 1);
    CHECK(server.fixture.access()[0].is_relayed);
    CHECK(server.fixture.access()[0].status == 502);
}

TEST_CASE("a port that does not answer and a host that goes are told", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    client.send(get("/"));
    const auto guest = server.guest();
    static_cast<void>(guest->receive());
    guest->send(GuestFrameKind::refused, "nothing answers at port 8080");
    const Answer answer = client.receive();
    CHECK((answer.status == 502 && answer.code() == "app_failed"));
    CHECK(answer.body.find("The job's host says: nothing answers at port 8080.") != std::string::npos);

    Client other(server.fixture.port());
    other.send(get("/"));
    const auto gone = server.guest();
    gone->open();
    gone->close();
    CHECK(other.receive().status == 502);

    // A reply that has begun cannot be taken back: it has no end.
    Client third(server.fixture.port());
    third.send(get("/"));
    const auto cut = server.guest();
    cut->open();
    cut->reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
    CHECK(third.receive_head().status == 200);
    CHECK(third.receive_until("ab\r\n") == "2\r\nab\r\n");
    cut->close();
    CHECK_NOTHROW(third.receive_end());
}

TEST_CASE("what takes too long is ended, and its tunnel with it", "[http][relay]") {
    GuestLimits limits;
    SECTION("a port that is not opened") {
        limits.open_ms_max = 0;
        Relaying server(limits);
        Client client(server.fixture.port());
        const Answer answer = client.ask(get("/"));
        CHECK((answer.status == 502 && answer.code() == "app_failed"));
        CHECK(answer.body.find("did not open the port in time") != std::string::npos);
        server.guest()->await_end();
    }
    SECTION("a program that says nothing") {
        limits.idle_ms_max = 0;
        Relaying server(limits);
        Client client(server.fixture.port());
        client.send(get("/"));
        const auto guest = server.guest();
        guest->open();
        const Answer answer = client.receive();
        CHECK((answer.status == 502 && answer.code() == "app_failed"));
        CHECK(answer.body.find("did not answer in time") != std::string::npos);
        guest->await_end();
    }
    SECTION("a reply that has begun, and is cut: it has no end") {
        limits.idle_ms_max = 0;
        Relaying server(limits);
        Client client(server.fixture.port());
        client.send(get("/"));
        const auto guest = server.guest();
        guest->open_and_reply("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
        CHECK(client.receive_head().status == 200);
        CHECK(client.receive_until("ab\r\n") == "2\r\nab\r\n");
        CHECK_NOTHROW(client.receive_end());
        guest->await_end();
    }
    SECTION("an exchange as a whole, whatever moves") {
        limits.total_ms_max = 0;
        Relaying server(limits);
        Client client(server.fixture.port());
        client.send(get("/", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n"));
        const auto guest = server.guest();
        CHECK(client.receive().status == 502);
        guest->await_end();
    }
}

TEST_CASE("a client that goes takes its tunnel with it", "[http][relay]") {
    Relaying server;
    Client client(server.fixture.port());
    client.send(get("/"));
    const auto guest = server.guest();
    guest->open();
    static_cast<void>(guest->receive_until("\r\n\r\n"));
    client.vanish();
    guest->await_end();
}

}  // namespace fallow::http::testing
