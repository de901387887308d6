// A port of the job at a port here, or at standard input and output.
#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <list>
#include <system_error>
#include <thread>

#include "output.hpp"
#include "terminal.hpp"
#include "tunnel.hpp"

namespace fallow::cli {
namespace {

using sdk::Frame;
using sdk::FrameKind;

constexpr std::size_t connections_max = 64;

struct Ports {
    std::int64_t local = 0;
    std::int64_t remote = 0;
};

std::int64_t port_of(const std::string& text, std::int64_t least) {
    std::int64_t port = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size() || port < least || port > 65'535)
        throw UsageError("a port is a number up to 65535, not \"" + text + "\"");
    return port;
}

Ports ports_of(const std::string& text) {
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos) {
        const std::int64_t both = port_of(text, 1);
        return {both, both};
    }
    return {port_of(text.substr(0, colon), 0), port_of(text.substr(colon + 1), 1)};
}

sdk::TunnelRequest port_request(std::int64_t port) {
    sdk::TunnelRequest request;
    request.kind = "port";
    request.port = port;
    return request;
}

/// Closes what it owns.
class Descriptor {
  public:
    explicit Descriptor(int value) : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&&) = delete;
    [[nodiscard]] int value() const { return value_; }

  private:
    int value_;
};

Descriptor listen_at(const std::string& address, std::int64_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(static_cast<std::uint16_t>(port));
    if (::inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1)
        throw UsageError("--address must be an IPv4 address: " + address);
    Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int one = 1;
    ::setsockopt(listener.value(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (listener.value() < 0 ||
        ::bind(listener.value(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 ||
        ::listen(listener.value(), 64) != 0)
        throw std::system_error(errno, std::generic_category(),
                                fmt::format("cannot listen at {}:{}", address, port));
    return listener;
}

std::uint16_t port_at(const Descriptor& listener) {
    sockaddr_in at{};
    socklen_t size = sizeof at;
    ::getsockname(listener.value(), reinterpret_cast<sockaddr*>(&at), &size);
    return ntohs(at.sin_port);
}

/// False when no further connection can succeed either.
bool carry(const HttpClientOptions& server, const ForwardArguments& arguments, std::int64_t port,
           const Descriptor& socket, const std::stop_token& stop) {
    try {
        sdk::FrameLink link = sdk::open_tunnel(server, arguments.job_id, port_request(port));
        sdk::TunnelLoop loop(link);
        loop.pings = true;
        loop.stop = stop;
        sdk::join_socket(loop, link, socket.value(), FrameKind::input, FrameKind::output);
        if (loop.run() == sdk::TunnelLoop::Ended::by_handler) link.drain(10'000);
    } catch (const sdk::ApiError& error) {
        Context::message(std::string("fallow: ") + error.what());
        return error.code() != "wrong_state" && error.code() != "not_found";
    } catch (const std::exception& error) {
        Context::message(std::string("fallow: ") + error.what());
    }
    return true;
}

struct Carried {
    std::shared_ptr<std::atomic<bool>> is_over;
    std::jthread thread;
};

void accept_all(const HttpClientOptions& server, const ForwardArguments& arguments, std::int64_t port,
                const Descriptor& listener) {
    const auto is_hopeless = std::make_shared<std::atomic<bool>>(false);
    std::list<Carried> carried;
    while (!*is_hopeless) {
        // From one accept to the next, so that what has ended holds no thread for long.
        carried.remove_if([](const Carried& one) { return one.is_over->load(); });
        auto socket =
            std::make_shared<Descriptor>(::accept4(listener.value(), nullptr, nullptr, SOCK_CLOEXEC));
        if (socket->value() < 0 || carried.size() >= connections_max) continue;
        const auto is_over = std::make_shared<std::atomic<bool>>(false);
        const int waking = listener.value();
        carried.push_back({is_over, std::jthread([&, socket, is_over, is_hopeless,
                                                  waking](const std::stop_token& stop) mutable {
                               if (!carry(server, arguments, port, *socket, stop)) {
                                   *is_hopeless = true;
                                   ::shutdown(waking, SHUT_RDWR);
                               }
                               socket.reset();
                               is_over->store(true);
                           })});
    }
    throw CommandFailed("the job cannot be reached any more");
}

void forward_stdio(const HttpClientOptions& server, const ForwardArguments& arguments, std::int64_t port) {
    sdk::FrameLink link = sdk::open_tunnel(server, arguments.job_id, port_request(port));
    sdk::TunnelLoop loop(link);
    loop.pings = true;
    loop.source = STDIN_FILENO;
    loop.on_source = [&link](std::string_view bytes) {
        link.send(bytes.empty() ? FrameKind::end : FrameKind::input, bytes);
    };
    loop.sinks[FrameKind::output] = {.descriptor = STDOUT_FILENO};
    loop.on_frame = [](const Frame& frame) { return frame.kind != FrameKind::end; };
    loop.run();
}

}  // namespace

void run_port_forward(Context& context, const ForwardArguments& arguments) {
    const Ports ports = ports_of(arguments.ports);
    const HttpClientOptions server = http_options(context);
    if (arguments.is_stdio) return forward_stdio(server, arguments, ports.remote);
    // A job that is not there is said at once, not to whoever connects first.
    static_cast<void>(context.client().job(arguments.job_id));
    const Descriptor listener = listen_at(arguments.address, ports.local);
    Context::message(fmt::format("forwarding {}:{} to port {} of {}", arguments.address, port_at(listener),
                                 ports.remote, arguments.job_id));
    accept_all(server, arguments, ports.remote, listener);
}

void run_open(Context& context, const OpenArguments& arguments) {
    const sdk::AppLink link =
        context.client().app_link(arguments.job_id, arguments.port, context.call_options());
    if (context.format() == Format::json) return print_json(to_json(link));
    print_text(link.url + "\n");
}

void run_ssh(Context& context, const SshArguments& arguments) {
    // It becomes a word of a shell's command line.
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    };
    if (!arguments.job_id.starts_with("job_") || !std::ranges::all_of(arguments.job_id, is_plain))
        throw UsageError("\"" + arguments.job_id + "\" is no job's id");
    static_cast<void>(http_options(context));
    const auto pass_on = [](const char* name, const std::string& value) {
        if (!value.empty()) ::setenv(name, value.c_str(), 1);
    };
    pass_on("FALLOW_URL", context.settings.url);
    pass_on("FALLOW_CA", context.settings.ca_file);
    pass_on("FALLOW_KEY_FILE", context.settings.key_file);
    std::string self(4096, '\0');
    const ssize_t length = ::readlink("/proc/self/exe", self.data(), self.size());
    self.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
    const std::string proxy = fmt::format("ProxyCommand='{}' job port-forward --stdio {} {}", self,
                                          arguments.job_id, arguments.port);
    std::vector<std::string> words = {"ssh", "-o", proxy};
    if (!arguments.user.empty()) words.insert(words.end(), {"-l", arguments.user});
    words.push_back(arguments.job_id);
    words.insert(words.end(), arguments.words.begin(), arguments.words.end());
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    ::execvp("ssh", pointers.data());
    throw std::system_error(errno, std::generic_category(), "ssh cannot be started");
}

}  // namespace fallow::cli
