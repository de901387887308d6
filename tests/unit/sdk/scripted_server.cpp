#include "unit/sdk/scripted_server.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>
#include <stdexcept>

namespace fallow::sdk::testing {
namespace {

int listen_on_loopback(int& port) {
    const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, generic, size) != 0 || ::listen(listener, 8) != 0 ||
        ::getsockname(listener, generic, &size) != 0)
        throw std::runtime_error("no loopback port");
    port = ntohs(address.sin_port);
    return listener;
}

/// False when `wake` became readable or the peer closed.
bool wait_readable(int descriptor, int wake) {
    pollfd both[2] = {{descriptor, POLLIN, 0}, {wake, POLLIN, 0}};
    while (::poll(both, 2, -1) < 0) {
    }
    return both[1].revents == 0;
}

bool read_more(int connection, int wake, std::string& buffer) {
    if (!wait_readable(connection, wake)) return false;
    char chunk[65536];
    const ssize_t bytes = ::read(connection, chunk, sizeof(chunk));
    if (bytes <= 0) return false;
    buffer.append(chunk, static_cast<std::size_t>(bytes));
    return true;
}

std::optional<std::string> read_chunked(int connection, int wake, std::string& buffer) {
    std::string body;
    for (;;) {
        std::size_t end = 0;
        while ((end = buffer.find("\r\n")) == std::string::npos)
            if (!read_more(connection, wake, buffer)) return std::nullopt;
        const std::size_t size = std::strtoul(buffer.c_str(), nullptr, 16);
        while (buffer.size() < end + 2 + size + 2)
            if (!read_more(connection, wake, buffer)) return std::nullopt;
        body.append(buffer, end + 2, size);
        buffer.erase(0, end + 2 + size + 2);
        if (size == 0) return body;
    }
}

std::optional<RecordedRequest> read_request(int connection, int wake, std::string& buffer) {
    RecordedRequest request;
    std::size_t end = 0;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
        if (!read_more(connection, wake, buffer)) return std::nullopt;
    request.head = buffer.substr(0, end + 2);
    buffer.erase(0, end + 4);
    if (request.header("Transfer-Encoding") == "chunked") {
        auto body = read_chunked(connection, wake, buffer);
        if (!body) return std::nullopt;
        request.body = *std::move(body);
        return request;
    }
    const std::string length = request.header("Content-Length");
    const std::size_t body_bytes = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < body_bytes)
        if (!read_more(connection, wake, buffer)) return std::nullopt;
    request.body = buffer.substr(0, body_bytes);
    buffer.erase(0, body_bytes);
    return request;
}

void send_all(int connection, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
}

}  // namespace

std::string RecordedRequest::header(std::string_view name) const {
    const std::string start = fmt::format("\r\n{}: ", name);
    const auto at = head.find(start);
    if (at == std::string::npos) return {};
    const auto from = at + start.size();
    return head.substr(from, head.find("\r\n", from) - from);
}

ScriptedReply reply(int status, std::string_view body, std::string_view headers) {
    if (status == 204) return {fmt::format("HTTP/1.1 204 X\r\n{}\r\n", headers)};
    return {
        fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), headers, body)};
}

ScriptedReply json(int status, std::string_view body, std::string_view headers) {
    return reply(status, body, fmt::format("Content-Type: application/json\r\n{}", headers));
}

ScriptedReply problem(int status, std::string_view code, bool retryable, std::string_view headers) {
    const std::string body = fmt::format(
        R"({{"type":"about:blank","title":"T","status":{},"code":"{}","detail":"D","request_id":"req_1",)"
        R"("retryable":{},"pointer":"/count"}})",
        status, code, retryable);
    return reply(status, body, fmt::format("Content-Type: application/problem+json\r\n{}", headers));
}

ScriptedReply event_stream(std::string_view events) {
    return {fmt::format("HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n{}", events), true};
}

ScriptedReply broken() {
    return {"", true};
}

ScriptedServer::ScriptedServer(std::vector<ScriptedReply> script) : script_(std::move(script)) {
    listener_ = listen_on_loopback(port_);
    if (::pipe(wake_) != 0) throw std::runtime_error("no pipe");
    thread_ = std::thread([this] { run(); });
}

ScriptedServer::~ScriptedServer() {
    ::close(wake_[1]);
    thread_.join();
    for (std::thread& thread : serving_)
        thread.join();
    ::close(wake_[0]);
    ::close(listener_);
}

std::string ScriptedServer::url() const {
    return fmt::format("http://127.0.0.1:{}", port_);
}

std::vector<RecordedRequest> ScriptedServer::requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void ScriptedServer::run() {
    while (wait_readable(listener_, wake_[0])) {
        const int connection = ::accept(listener_, nullptr, nullptr);
        if (connection < 0) continue;
        ++connections_;
        // A client may keep one connection while it opens another, so each has a thread.
        serving_.emplace_back([this, connection] {
            serve(connection);
            ::close(connection);
        });
    }
}

ScriptedReply ScriptedServer::take_reply(RecordedRequest request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(std::move(request));
    return next_ == script_.size() ? broken() : script_[next_++];
}

void ScriptedServer::serve(int connection) {
    std::string buffer;
    while (auto request = read_request(connection, wake_[0], buffer)) {
        const ScriptedReply answer = take_reply(*std::move(request));
        send_all(connection, answer.bytes);
        if (answer.close) return;
    }
}

std::string closed_url() {
    int port = 0;
    ::close(listen_on_loopback(port));
    return fmt::format("http://127.0.0.1:{}", port);
}

}  // namespace fallow::sdk::testing
