// The load of `./run bench rent`: keep-alive TLS connections that place fill-or-kill orders as fast as they
// are answered, beside the heartbeats of the sellers' hosts. Prints one JSON line. Two threads over epoll,
// as pgbench has two over poll, so that the generator costs as little as it can on the machine it shares
// with the server.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Options {
    std::uint16_t port = 0;
    std::string ca;
    std::string key_file;
    std::string agents;  ///< a folder of N.pem (certificate chain and key), one a host
    std::string product = "bench";
    unsigned connections = 64;
    unsigned threads = 2;  ///< as many as pgbench is given
    int seconds = 20;
    std::string run = "0";
};

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    if (!in) throw std::runtime_error("cannot read " + path);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct ContextDeleter {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Context = std::unique_ptr<SSL_CTX, ContextDeleter>;

Context make_context(const std::string& ca, const std::string& certificate) {
    Context context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    bool fine = SSL_CTX_load_verify_locations(context.get(), ca.c_str(), nullptr) == 1;
    if (!certificate.empty())
        fine = fine && SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) == 1 &&
               SSL_CTX_use_PrivateKey_file(context.get(), certificate.c_str(), SSL_FILETYPE_PEM) == 1;
    if (!fine) throw std::runtime_error("the TLS files are not usable");
    return context;
}

/// One keep-alive connection.
class Connection {
  public:
    Connection(SSL_CTX* context, std::uint16_t port) {
        socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
        if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("cannot connect");
        const int on = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        ssl_ = SSL_new(context);
        SSL_set_fd(ssl_, socket_);
        if (SSL_connect(ssl_) != 1) throw std::runtime_error("the TLS handshake failed");
    }
    ~Connection() {
        SSL_free(ssl_);
        ::close(socket_);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    [[nodiscard]] int socket() const { return socket_; }
    void set_nonblocking() { ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK); }

    /// A request is smaller than a socket's buffer: it goes out at once.
    void send(const std::string& request) {
        reply_.clear();
        wanted_ = std::string::npos;
        if (SSL_write(ssl_, request.data(), static_cast<int>(request.size())) <= 0)
            throw std::runtime_error("the connection broke while writing");
    }
    /// The reply's status; nothing while more of it has to come.
    std::optional<int> receive() {
        while (reply_.size() < wanted_) {
            char buffer[16384];
            const int got = SSL_read(ssl_, buffer, sizeof buffer);
            if (got <= 0 && SSL_get_error(ssl_, got) == SSL_ERROR_WANT_READ) return std::nullopt;
            if (got <= 0) throw std::runtime_error("the connection broke while reading");
            reply_.append(buffer, static_cast<std::size_t>(got));
            if (wanted_ == std::string::npos) wanted_ = reply_size(reply_);
        }
        return std::stoi(reply_.substr(9, 3));
    }

  private:
    static std::size_t reply_size(const std::string& reply) {
        const auto end = reply.find("\r\n\r\n");
        if (end == std::string::npos) return std::string::npos;
        std::string head = reply.substr(0, end);
        std::transform(head.begin(), head.end(), head.begin(),
                       [](unsigned char c) { return std::tolower(c); });
        const auto length = head.find("\r\ncontent-length:");
        return end + 4 + (length == std::string::npos ? 0 : std::stoul(head.substr(length + 17)));
    }

    int socket_ = -1;
    SSL* ssl_ = nullptr;
    std::string reply_;
    std::size_t wanted_ = std::string::npos;
};

struct Tally {
    std::vector<std::uint32_t> latencies_us;
    std::size_t refused = 0;
    int last_refusal = 0;
};

/// A renter who places one order after the other.
struct Renter {
    Renter(SSL_CTX* context, const Options& options, const std::string& key, unsigned number)
        : connection(context, options.port),
          body(
              R"({"requirements":{"products":[")" + options.product +
              R"("]},"count":1,"price_max_micros_per_hour":3000000,"term_ms":3600000,"fill_or_kill":true})"),
          head("POST /v1/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " + key +
               "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\nIdempotency-Key: bench-" + options.run + "-" + std::to_string(number) + "-") {
        connection.set_nonblocking();
    }

    void order() {
        begun = Clock::now();
        connection.send(head + std::to_string(count++) + "\r\n\r\n" + body);
    }

    Connection connection;
    std::string body;
    std::string head;
    std::size_t count = 0;
    Clock::time_point begun;
};

/// Serves the renters of one thread until `end`, as pgbench serves its clients.
void place_orders(std::vector<std::unique_ptr<Renter>>& renters, Clock::time_point end, Tally& tally) {
    const int poller = ::epoll_create1(EPOLL_CLOEXEC);
    for (const auto& renter : renters) {
        epoll_event wanted{};
        wanted.events = EPOLLIN;
        wanted.data.ptr = renter.get();
        ::epoll_ctl(poller, EPOLL_CTL_ADD, renter->connection.socket(), &wanted);
        renter->order();
    }
    std::size_t waiting = renters.size();
    while (waiting > 0) {
        std::array<epoll_event, 64> ready{};
        const int count = ::epoll_wait(poller, ready.data(), static_cast<int>(ready.size()), 60'000);
        if (count == 0) throw std::runtime_error("no reply within a minute");
        for (int i = 0; i < count; ++i) {
            auto& renter = *static_cast<Renter*>(ready[static_cast<std::size_t>(i)].data.ptr);
            const std::optional<int> status = renter.connection.receive();
            if (!status) continue;
            const auto now = Clock::now();
            if (*status == 201) {
                const auto spent =
                    std::chrono::duration_cast<std::chrono::microseconds>(now - renter.begun);
                tally.latencies_us.push_back(static_cast<std::uint32_t>(spent.count()));
            } else {
                ++tally.refused;
                tally.last_refusal = *status;
            }
            if (now < end)
                renter.order();
            else
                --waiting;
        }
    }
    ::close(poller);
}

/// Beats for every host, evenly spread over five seconds, until told to end.
void beat(const Options& options, const std::vector<std::string>& certificates,
          const std::atomic<bool>& end) {
    std::vector<Context> contexts;
    std::vector<std::unique_ptr<Connection>> connections;
    for (const std::string& certificate : certificates) {
        contexts.push_back(make_context(options.ca, certificate));
        connections.push_back(std::make_unique<Connection>(contexts.back().get(), options.port));
    }
    const std::string body = R"({"boot_id":"bench","sequence":1,"leases":[]})";
    const std::string request =
        "POST /v1/agent/heartbeat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body;
    const auto pause = std::chrono::microseconds(5'000'000 / std::max<std::size_t>(certificates.size(), 1));
    auto next = Clock::now();
    for (std::size_t i = 0; !end; i = (i + 1) % connections.size()) {
        connections[i]->send(request);
        connections[i]->receive();
        next += pause;
        std::this_thread::sleep_until(next);
    }
}

std::vector<std::string> files_of(const std::string& folder) {
    std::vector<std::string> files;
    for (std::size_t i = 0;; ++i) {
        const std::string path = folder + "/" + std::to_string(i) + ".pem";
        if (!std::ifstream(path)) return files;
        files.push_back(path);
    }
}

int run(const Options& options) {
    const auto context = make_context(options.ca, "");
    std::string key = read_file(options.key_file);
    while (!key.empty() && key.back() == '\n')
        key.pop_back();
    const std::vector<std::string> certificates =
        options.agents.empty() ? std::vector<std::string>{} : files_of(options.agents);

    std::atomic<bool> end_beats = false;
    std::thread beats;
    if (!certificates.empty()) beats = std::thread([&] { beat(options, certificates, end_beats); });
    std::vector<std::vector<std::unique_ptr<Renter>>> renters(options.threads);
    for (unsigned i = 0; options.seconds > 0 && i < options.connections; ++i)
        renters[i % options.threads].push_back(std::make_unique<Renter>(context.get(), options, key, i));
    const auto begun = Clock::now();
    const auto end = begun + std::chrono::seconds(options.seconds);
    std::vector<Tally> tallies(options.threads);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < options.threads; ++i)
        threads.emplace_back([&, i] { place_orders(renters[i], end, tallies[i]); });
    for (auto& thread : threads)
        thread.join();
    const double spent = std::chrono::duration<double>(Clock::now() - begun).count();
    end_beats = true;
    if (beats.joinable()) beats.join();

    std::vector<std::uint32_t> all;
    std::size_t refused = 0;
    int last_refusal = 0;
    for (const Tally& tally : tallies) {
        all.insert(all.end(), tally.latencies_us.begin(), tally.latencies_us.end());
        refused += tally.refused;
        if (tally.last_refusal != 0) last_refusal = tally.last_refusal;
    }
    std::sort(all.begin(), all.end());
    const auto at = [&](double part) {
        return all.empty()
                   ? 0.0
                   : all[static_cast<std::size_t>(part * static_cast<double>(all.size() - 1))] / 1000.0;
    };
    std::printf(R"({"orders":%zu,"seconds":%.3f,"orders_per_s":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,)"
                R"("refused":%zu,"last_refusal":%d})"
                "\n",
                all.size(), spent, static_cast<double>(all.size()) / spent, at(0.50), at(0.99), refused,
                last_refusal);
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app("Places orders at a fallowd on this machine and prints what it saw as one JSON line.");
    app.add_option("--port", options.port)->required();
    app.add_option("--ca", options.ca)->required();
    app.add_option("--key-file", options.key_file)->required();
    app.add_option("--agents", options.agents,
                   "folder of 0.pem, 1.pem, …: certificate and key of each host");
    app.add_option("--product", options.product);
    app.add_option("--connections", options.connections)->check(CLI::Range(1, 1024));
    app.add_option("--threads", options.threads)->check(CLI::Range(1, 64));
    app.add_option("--seconds", options.seconds, "0: only heartbeats, once round")
        ->check(CLI::Range(0, 600));
    app.add_option("--run", options.run, "part of the idempotency keys");
    CLI11_PARSE(app, argc, argv);
    std::signal(SIGPIPE, SIG_IGN);
    try {
        return run(options);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "rent_load: %s\n", error.what());
        return 1;
    }
}
