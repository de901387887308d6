// Streamed replies, and how a server ends.
#include <catch2/catch.hpp>

#include <deque>
#include <future>
#include <thread>

#include "http/short_stream.hpp"
#include "integration/http/support.hpp"

namespace fallow::http::testing {
namespace {

/// A stream that the test feeds. Like a real one it answers a pending next() with nothing once it is
/// cancelled.
class FedStream : public ByteStream {
  public:
    void next(std::function<void(std::optional<std::string>)> ready) override {
        std::unique_lock lock(mutex_);
        asked.set();
        if (items_.empty() && !is_cancelled_) {
            ready_ = std::move(ready);
            return;
        }
        std::optional<std::string> item;
        if (!items_.empty()) {
            item = std::move(items_.front());
            items_.pop_front();
        }
        lock.unlock();
        ready(std::move(item));
    }

    void cancel() override {
        std::unique_lock lock(mutex_);
        is_cancelled_ = true;
        ++cancel_count;
        const auto ready = std::exchange(ready_, nullptr);
        lock.unlock();
        if (ready) ready(std::nullopt);
        cancelled.set();
    }

    void feed(std::optional<std::string> item) {
        std::unique_lock lock(mutex_);
        if (!ready_) {
            items_.push_back(std::move(item));
            return;
        }
        const auto ready = std::exchange(ready_, nullptr);
        lock.unlock();
        ready(std::move(item));
    }

    Event asked;
    Event cancelled;
    int cancel_count = 0;

  private:
    std::mutex mutex_;
    std::deque<std::optional<std::string>> items_;
    std::function<void(std::optional<std::string>)> ready_;
    bool is_cancelled_ = false;
};

/// Ends by itself.
class ThreePieces : public ShortStream {
  public:
    void next(std::function<void(std::optional<std::string>)> ready) override {
        if (left_ == 0) return ready(std::nullopt);
        --left_;
        ready(std::string(70'000, 'y'));
    }
    void cancel() override { left_ = 0; }

  private:
    int left_ = 3;
};

void serve(Fixture& fixture, const std::shared_ptr<FedStream>& stream) {
    fixture.service.handler = [stream](Request, ScriptedService::Respond respond) {
        Reply reply;
        reply.content_type = "text/event-stream";
        reply.stream = stream;
        respond(std::move(reply));
    };
    fixture.start();
}

const std::string heartbeat_chunk = "d\r\n: heartbeat\n\n\r\n";

}  // namespace

TEST_CASE("a stream is sent chunk by chunk and ends with a last one", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    serve(fixture, stream);
    Client client(fixture.port());
    client.send(get("/v1/events"));
    const Answer head = client.receive_head();
    CHECK(head.status == 200);
    CHECK(head.header("content-type") == "text/event-stream");
    CHECK(head.header("transfer-encoding") == "chunked");
    CHECK(head.header("content-length").empty());
    stream->feed("data: 1\n\n");
    CHECK(client.receive_until("\n\n\r\n") == "9\r\ndata: 1\n\n\r\n");
    stream->feed("");
    CHECK(client.receive_until("\n\n\r\n") == heartbeat_chunk);
    stream->feed(std::string(100'000, 'x'));
    CHECK(client.receive_until("x\r\n") == "186a0\r\n" + std::string(100'000, 'x') + "\r\n");
    stream->feed(std::nullopt);
    CHECK(client.receive_until("\r\n\r\n") == "0\r\n\r\n");
    CHECK(client.receive_end());
    CHECK(stream->cancel_count == 0);
    CHECK(fixture.internal_errors().empty());
}

TEST_CASE("a short stream leaves the connection to the next request", "[http][stream]") {
    Fixture fixture;
    fixture.service.handler = [](const Request& request, ScriptedService::Respond respond) {
        if (request.path != "/short") return respond(ScriptedService::echo(request));
        Reply reply;
        reply.stream = std::make_shared<ThreePieces>();
        respond(std::move(reply));
    };
    fixture.start();
    Client client(fixture.port());
    const std::string piece = "11170\r\n" + std::string(70'000, 'y') + "\r\n";
    for (int round = 0; round < 2; ++round) {
        client.send(get("/short"));
        CHECK(client.receive_head().header("connection").empty());
        CHECK(client.receive_until("\r\n0\r\n\r\n") == piece + piece + piece + "0\r\n\r\n");
        CHECK(client.ask(get("/next")).body == "GET /next\n");
    }
    client.send("HEAD /short HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client.receive_head().status == 200);
    CHECK(client.ask(get("/next")).body == "GET /next\n");
    CHECK(fixture.server->connections() == 1);
}

TEST_CASE("heartbeats fill the silence", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    fixture.config.limits.stream_heartbeat_ms = 20;
    serve(fixture, stream);
    Client client(fixture.port());
    client.send(get("/v1/events"));
    (void)client.receive_head();
    for (int i = 0; i < 3; ++i)
        CHECK(client.receive_until("\n\n\r\n") == heartbeat_chunk);
    stream->feed("data: 1\n\n");
    CHECK(client.receive_until("data: 1\n\n\r\n").ends_with("9\r\ndata: 1\n\n\r\n"));
}

TEST_CASE("a reader that goes away cancels its stream", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    serve(fixture, stream);
    {
        Client client(fixture.port());
        client.send(get("/v1/events"));
        (void)client.receive_head();
        stream->feed("data: 1\n\n");
        (void)client.receive_until("data: 1\n\n\r\n");
    }
    stream->cancelled.wait();
    fixture.server->drain(10'000);
    CHECK(stream->cancel_count == 1);
    CHECK(fixture.access().size() == 1);
    stream->feed("data: nobody hears\n\n");
}

TEST_CASE("a reader that does not read is cut", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    fixture.config.limits.write_timeout_ms = 100;
    serve(fixture, stream);
    Client client(fixture.port());
    client.send(get("/v1/events"));
    (void)client.receive_head();
    stream->feed(std::string(32 * 1024 * 1024, 'x'));  // beyond what the kernel's buffers take
    stream->cancelled.wait();
    CHECK(stream->cancel_count == 1);
}

TEST_CASE("HEAD of a stream gets its head alone", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    serve(fixture, stream);
    Client client(fixture.port());
    client.send("HEAD /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(client.receive_head().status == 200);
    CHECK(client.receive_end());
    CHECK(stream->cancel_count == 1);
}

TEST_CASE("draining ends streams cleanly", "[http][stream]") {
    const auto stream = std::make_shared<FedStream>();
    Fixture fixture;
    serve(fixture, stream);
    Client client(fixture.port());
    client.send(get("/v1/events"));
    (void)client.receive_head();
    stream->feed("data: 1\n\n");
    (void)client.receive_until("data: 1\n\n\r\n");
    std::string last;
    bool said_goodbye = false;
    std::thread reader([&] {
        last = client.receive_until("\r\n\r\n");
        said_goodbye = client.receive_end();
        client.vanish();
    });
    fixture.server->drain(20'000);
    reader.join();
    CHECK(last == "0\r\n\r\n");
    CHECK(said_goodbye);
    CHECK(stream->cancel_count == 1);
    CHECK(fixture.server->connections() == 0);
}

TEST_CASE("draining lets a request in flight finish and closes the rest", "[http][drain]") {
    Fixture fixture;
    ScriptedService::Respond respond_later;
    Event arrived;
    fixture.service.handler = [&](Request request, ScriptedService::Respond respond) {
        if (request.path != "/slow") return respond(ScriptedService::echo(request));
        respond_later = std::move(respond);
        arrived.set();
    };
    fixture.start();
    Client idle(fixture.port());
    CHECK(idle.ask(get("/")).status == 200);
    Client busy(fixture.port());
    busy.send(get("/slow") + get("/never"));
    arrived.wait();

    std::thread drainer([&] { fixture.server->drain(20'000); });
    CHECK(idle.receive_end());  // draining has begun
    idle.vanish();
    CHECK_THROWS(Client(fixture.port()));
    Reply reply;
    reply.body = "done";
    respond_later(std::move(reply));
    const Answer answer = busy.receive();
    CHECK(answer.body == "done");
    CHECK(answer.header("connection") == "close");
    busy.receive_end();
    busy.vanish();
    drainer.join();
    CHECK(fixture.server->connections() == 0);
    CHECK(fixture.access().size() == 2);
    fixture.server->drain(1);
}

TEST_CASE("draining serves whom the system had already connected", "[http][drain]") {
    Fixture fixture;
    Event arrived, go;
    fixture.service.handler = [&](Request request, ScriptedService::Respond respond) {
        if (request.path == "/slow") {
            arrived.set();
            go.wait();
        }
        respond(ScriptedService::echo(request));
    };
    fixture.start();
    Client busy(fixture.port());
    busy.send(get("/slow"));
    arrived.wait();  // the server's only thread accepts nobody now

    std::vector<ClientOptions> waiting(8);
    for (ClientOptions& options : waiting)
        options.socket = connect_to(fixture.port());
    Event drains;
    std::thread drainer([&] {
        drains.set();
        fixture.server->drain(20'000);
    });
    drains.wait();
    go.set();
    std::vector<std::future<int>> answers;
    for (const ClientOptions& options : waiting)
        answers.push_back(std::async(std::launch::async, [&fixture, options] {
            Client client(fixture.port(), options);
            return client.ask(get("/")).status;
        }));
    for (auto& answer : answers)
        CHECK(answer.get() == 200);
    CHECK(busy.receive().status == 200);
    busy.vanish();
    drainer.join();
    CHECK_THROWS(connect_to(fixture.port()));
}

TEST_CASE("draining cuts what does not finish in time", "[http][drain]") {
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
    fixture.server->drain(1);
    CHECK(fixture.server->connections() == 0);
    CHECK_THROWS(client.receive());
    kept(Reply{});
}

}  // namespace fallow::http::testing
