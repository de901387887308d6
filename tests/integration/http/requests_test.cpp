// What a client gets for well-formed requests, over real TLS on loopback.
#include <catch2/catch.hpp>

#include <atomic>
#include <stdexcept>
#include <thread>

#include "http/problem.hpp"
#include "integration/http/support.hpp"

namespace fallow::http::testing {

TEST_CASE("a connection is kept for many requests, each with its own id", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    REQUIRE(client.is_connected());
    CHECK(client.alpn() == "http/1.1");

    const Answer first = client.ask(post("/a%20b?x=1", "hello", "X-Request-Id: req_mine\r\n"));
    CHECK(first.status == 200);
    CHECK(first.body == "POST /a b\nhello");
    CHECK(first.header("x-request-id").starts_with("req_"));
    CHECK(first.header("x-request-id") != "req_mine");
    CHECK(first.header("connection").empty());
    CHECK(first.header("strict-transport-security") == "max-age=31536000");
    CHECK(first.header("x-content-type-options") == "nosniff");
    CHECK(first.header("cache-control") == "no-store");
    CHECK(first.header("server").empty());
    CHECK_FALSE(first.header("date").empty());

    const Answer second = client.ask(get("/again"));
    CHECK(second.body == "GET /again\n");
    CHECK(second.header("x-request-id") != first.header("x-request-id"));
    CHECK(fixture.server->connections() == 1);
}

TEST_CASE("HEAD gets the headers of GET and no body", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    client.send("HEAD /x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    const Answer answer = client.receive(false);
    CHECK(answer.status == 200);
    CHECK(answer.header("content-length") == "8");
    CHECK(client.ask(get("/y")).body == "GET /y\n");
}

TEST_CASE("pipelined requests are answered in order", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    std::string all;
    for (int i = 0; i < 50; ++i)
        all += post("/" + std::to_string(i), std::string(static_cast<std::size_t>(i) * 100, 'x'));
    client.send(all);
    for (int i = 0; i < 50; ++i) {
        const Answer answer = client.receive();
        CHECK(answer.body.starts_with("POST /" + std::to_string(i) + "\n"));
    }
}

TEST_CASE("a client that says close is answered and left", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    const Answer answer = client.ask(get("/", "Connection: close\r\n"));
    CHECK(answer.status == 200);
    CHECK(answer.header("connection") == "close");
    CHECK(client.receive_end());
}

TEST_CASE("a chunked body arrives whole", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    const std::string head = "POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    CHECK(client.ask(head + "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").body == "POST /c\nhello world");
    client.send(head + "5\r\nhe");
    client.send("llo\r\n0\r");
    CHECK(client.ask("\n\r\n").body == "POST /c\nhello");
}

TEST_CASE("a large body and a large reply pass unharmed", "[http]") {
    Fixture fixture;
    fixture.start();
    Client client(fixture.port());
    std::string body(1024 * 1024, '\0');
    for (std::size_t i = 0; i < body.size(); ++i)
        body[i] = static_cast<char>(i * 7 + i / 251);
    const Answer answer = client.ask(post("/big", body));
    REQUIRE(answer.status == 200);
    CHECK(answer.body == "POST /big\n" + body);
    CHECK(client.ask(get("/after")).status == 200);
}

TEST_CASE("a body that is dropped is read to its end, and its place is held until then", "[http]") {
    Fixture fixture;
    std::weak_ptr<const int> place;
    fixture.service.head = [&](const Request&) {
        const auto held = std::make_shared<const int>(0);
        place = held;
        return BodyLimit{4 * 1024 * 1024, true, 0, held};
    };
    bool was_held = false;
    fixture.service.handler = [&](const Request& request, ScriptedService::Respond respond) {
        was_held = !place.expired();
        respond(ScriptedService::echo(request));
    };
    fixture.start();
    Client client(fixture.port());
    const std::string body(3 * 1024 * 1024, 'x');
    CHECK(client.ask(post("/up", body)).body == "POST /up\n");
    CHECK(was_held);
    // The next answer comes after the end of that exchange.
    const auto first = place;
    CHECK(client.ask(post("/again", body)).status == 200);
    CHECK(first.expired());
    CHECK(fixture.access().at(0).bytes_in > body.size());

    const Answer chunked = client.ask(
        "POST /c HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    CHECK(chunked.status == 411);
    CHECK(chunked.code() == "length_required");
    CHECK(client.receive_end());
}

TEST_CASE("a body that must have come by a time is refused when it has not", "[http]") {
    Fixture fixture;
    fixture.service.head = [](const Request&) { return BodyLimit{1024, true, 50, {}}; };
    fixture.start();
    Client client(fixture.port());
    client.send("POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc");
    const Answer answer = client.receive();
    CHECK(answer.status == 408);
    CHECK(client.receive_end());
}

TEST_CASE("100 Continue comes only when the head is accepted", "[http]") {
    Fixture fixture;
    fixture.service.head = [](const Request& request) -> Result<BodyLimit> {
        if (request.path == "/no") return refuse(ErrorCode::unauthenticated, "No key.");
        return BodyLimit{10};
    };
    fixture.start();
    const std::string tail =
        " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    Client client(fixture.port());
    client.send("POST /yes" + tail);
    CHECK(client.receive_head().status == 100);
    CHECK(client.ask("hello").body == "POST /yes\nhello");

    client.send("POST /no" + tail);
    const Answer refused = client.receive();
    CHECK(refused.status == 401);
    CHECK(refused.header("www-authenticate") == "Bearer");
    CHECK(refused.header("connection") == "close");
    CHECK(client.receive_end());
}

TEST_CASE("a head refused by the service keeps the connection when no body is owed", "[http]") {
    Fixture fixture;
    fixture.service.head = [](const Request& request) -> Result<BodyLimit> {
        if (request.path == "/no") return refuse(ErrorCode::not_found, "Not here.");
        return BodyLimit{10};
    };
    fixture.start();
    Client client(fixture.port());
    CHECK(client.ask(get("/no")).code() == "not_found");
    CHECK(client.ask(post("/no", "body")).code() == "not_found");
    CHECK(client.ask(post("/yes", "body")).body == "POST /yes\nbody");
}

TEST_CASE("what escapes from the service is a 500 and reported", "[http]") {
    Fixture fixture;
    fixture.service.head = [](const Request& request) -> Result<BodyLimit> {
        if (request.path == "/head") throw std::runtime_error("head broke");
        return BodyLimit{10};
    };
    fixture.service.handler = [](Request request, ScriptedService::Respond respond) {
        if (request.path == "/throw") throw std::runtime_error("handler broke");
        if (request.path == "/int") throw 7;
        if (request.path == "/drop") return;
        Reply reply = ScriptedService::echo(request);
        if (request.path == "/split") reply.headers.emplace_back("X-A", "b\r\nX-C: d");
        if (request.path == "/status") reply.status = 99;
        respond(std::move(reply));
    };
    fixture.start();
    Client client(fixture.port());
    std::size_t errors = 0;
    for (const char* path : {"/head", "/throw", "/int", "/drop", "/split", "/status"}) {
        INFO(path);
        const Answer answer = client.ask(get(path));
        CHECK(answer.status == 500);
        CHECK(answer.code() == "internal");
        CHECK(answer.header("x-c").empty());
        CHECK(fixture.internal_errors().size() == ++errors);
    }
    CHECK(client.ask(get("/fine")).status == 200);
    CHECK(fixture.internal_errors()[0] == "head broke");
}

TEST_CASE("replies may come from any thread, and after the client has gone", "[http]") {
    Fixture fixture;
    std::mutex mutex;
    std::vector<ScriptedService::Respond> kept;
    Event arrived;
    fixture.service.handler = [&](Request request, ScriptedService::Respond respond) {
        if (request.path == "/keep") {
            const std::lock_guard lock(mutex);
            kept.push_back(std::move(respond));
            arrived.set();
            return;
        }
        std::thread([request = std::move(request), respond = std::move(respond)] {
            respond(ScriptedService::echo(request));
        }).detach();
    };
    fixture.start();
    {
        Client client(fixture.port());
        for (int i = 0; i < 100; ++i)
            CHECK(client.ask(post("/thread", std::to_string(i))).body ==
                  "POST /thread\n" + std::to_string(i));
        client.send(get("/keep"));
        arrived.wait();
    }
    kept[0](Reply{});
    kept[0](Reply{});
    CHECK(Client(fixture.port()).ask(get("/thread")).status == 200);
    fixture.server.reset();
    kept[0](Reply{});
    kept.clear();
}

TEST_CASE("an answer may outlive the server", "[http]") {
    Fixture fixture;
    ScriptedService::Respond kept;
    Event arrived;
    fixture.service.handler = [&](Request, ScriptedService::Respond respond) {
        kept = std::move(respond);
        arrived.set();
    };
    fixture.start();
    Client client(fixture.port());
    client.send(get("/"));
    arrived.wait();
    fixture.server.reset();
    kept(Reply{});
    kept = nullptr;
    client.receive_end();
    CHECK(fixture.internal_errors().empty());
}

TEST_CASE("many connections are served at once", "[http]") {
    const unsigned threads = GENERATE(1U, 2U);
    Fixture fixture;
    fixture.config.threads = threads;
    fixture.start();
    std::atomic<int> wrong = 0;
    std::vector<std::thread> clients;
    for (int c = 0; c < 8; ++c) {
        clients.emplace_back([&, c] {
            Client client(fixture.port());
            for (int i = 0; i < 300; ++i) {
                const std::string body = std::to_string(c * 1000 + i);
                if (client.ask(post("/p", body)).body != "POST /p\n" + body) ++wrong;
            }
        });
    }
    for (std::thread& client : clients)
        client.join();
    CHECK(wrong == 0);
    fixture.server->drain(10'000);
    CHECK(fixture.access().size() == 8 * 300);
    CHECK(fixture.internal_errors().empty());
}

TEST_CASE("the access record tells what happened", "[http]") {
    Fixture fixture;
    fixture.start();
    const std::string parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    std::string id;
    {
        Client client(fixture.port());
        const Answer answer =
            client.ask(post("/a?b=c", "hello", "User-Agent: tester/1\r\nTraceparent: " + parent + "\r\n"));
        id = answer.header("x-request-id");
        (void)client.ask("BREW / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    fixture.server->drain(10'000);
    const std::vector<AccessRecord> records = fixture.access();
    REQUIRE(records.size() == 2);
    CHECK(records[0].request_id == id);
    CHECK(records[0].method == "POST");
    CHECK(records[0].path == "/a");
    CHECK(records[0].remote_address == "127.0.0.1");
    CHECK(records[0].status == 200);
    CHECK(records[0].bytes_in > 5);
    CHECK(records[0].bytes_out > 13);
    CHECK(records[0].duration_us >= 0);
    CHECK(records[0].user_agent == "tester/1");
    CHECK(records[0].traceparent == parent);
    CHECK(records[1].status == 501);
    CHECK(records[1].method.empty());
}

}  // namespace fallow::http::testing
