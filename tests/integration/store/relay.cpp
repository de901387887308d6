#include "relay.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <string_view>

namespace fallow::test {
namespace {

constexpr std::string_view socket_name = "/.s.PGSQL.5432";
constexpr std::string_view host = "host='";

sockaddr_un address_of(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.size());
    return address;
}

bool send_all(int to, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t sent = send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

}  // namespace

Relay::Relay(const std::string& url) {
    std::string pattern = (std::filesystem::temp_directory_path() / "fallow-relay-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    folder_ = pattern;
    const auto start = url.find(host) + host.size();
    const auto end = url.find('\'', start);
    target_ = url.substr(start, end - start) + std::string(socket_name);
    url_ = std::string(url).replace(start, end - start, folder_);
    REQUIRE(pipe(stop_) == 0);
    listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(folder_ + std::string(socket_name));
    REQUIRE(bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(listen(listener_, 4) == 0);
    accepting_ = std::thread([this] { serve(); });
}

Relay::~Relay() {
    static_cast<void>(!write(stop_[1], "x", 1));
    accepting_.join();
    for (std::thread& relaying : relaying_)
        relaying.join();
    for (const int handle : {listener_, stop_[0], stop_[1]})
        close(handle);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}

void Relay::serve() {
    while (true) {
        std::array<pollfd, 2> waited{{{listener_, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
        if (poll(waited.data(), waited.size(), -1) < 0 || (waited[1].revents & POLLIN) != 0) return;
        const int client = accept(listener_, nullptr, nullptr);
        relaying_.emplace_back([this, client] { relay(client); });
    }
}

void Relay::relay(int client) {
    const int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_un address = address_of(target_);
    if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        relay_between(client, server);
    close(client);
    close(server);
}

void Relay::relay_between(int client, int server) {
    std::array<char, 65536> buffer{};
    bool losing = false;
    while (true) {
        std::array<pollfd, 3> waited{{{client, POLLIN, 0}, {server, POLLIN, 0}, {stop_[0], POLLIN, 0}}};
        if (poll(waited.data(), waited.size(), -1) < 0 || waited[2].revents != 0) return;
        for (const int from : {client, server}) {
            if (waited[from == client ? 0 : 1].revents == 0) continue;
            const ssize_t size = read(from, buffer.data(), buffer.size());
            if (size <= 0) return;
            const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
            // PostgreSQL answers COMMIT after it is durable: whatever comes now says that it was done.
            if (from == server && losing) return;
            if (from == client && bytes.find("COMMIT") != std::string_view::npos)
                losing = armed_.exchange(false);
            if (!send_all(from == client ? server : client, bytes)) return;
        }
    }
}

}  // namespace fallow::test
