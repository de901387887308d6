#include "fallow/channel.hpp"

#include <curl/curl.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <new>

#include "curl_connection.hpp"

namespace fallow::sdk {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t head_bytes_max = 64 * 1024;
constexpr std::size_t body_bytes_max = 1024 * 1024;

std::string host_of(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
    return std::string(url.substr(0, url.find_first_of("/?#")));
}

/// What of the URL stands before every path.
std::string prefix_of(std::string_view url) {
    const std::size_t scheme = url.find("://");
    if (scheme != std::string_view::npos) url.remove_prefix(scheme + 3);
    const std::size_t slash = url.find('/');
    if (slash == std::string_view::npos) return {};
    while (url.ends_with('/'))
        url.remove_suffix(1);
    return url.size() > slash ? std::string(url.substr(slash)) : std::string();
}

std::string request_head(const HttpClientOptions& options, const HttpRequest& request,
                         std::string_view protocol) {
    std::string head = fmt::format(
        "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nConnection: Upgrade\r\nUpgrade: {}\r\n"
        "Content-Length: {}\r\n",
        request.method, prefix_of(options.base_url) + request.path, host_of(options.base_url),
        options.user_agent, protocol, request.body.size());
    if (!options.bearer_key.empty()) head += "Authorization: Bearer " + options.bearer_key + "\r\n";
    if (!request.content_type.empty()) head += "Content-Type: " + request.content_type + "\r\n";
    for (const auto& [name, value] : request.headers)
        head += name + ": " + value + "\r\n";
    return head + "\r\n";
}

[[noreturn]] void fail(TransportErrorKind kind, const std::string& what) {
    throw TransportError(kind, what);
}

/// What is left of a request's time, waited in slices so that a stop is heeded.
class Patience {
  public:
    explicit Patience(const HttpRequest& request)
        : stop_(request.stop), until_(Clock::now() + std::chrono::milliseconds(request.timeout_ms)) {}

    void wait(int descriptor, short events) const {
        while (true) {
            if (stop_.stop_requested()) fail(TransportErrorKind::cancelled, "the request was cancelled");
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Clock::now()).count();
            if (left <= 0) fail(TransportErrorKind::timeout, "the upgrade was not answered in time");
            pollfd waited{descriptor, events, 0};
            const int slice_ms = static_cast<int>(std::min<std::int64_t>(left, 200));
            if (::poll(&waited, 1, slice_ms) > 0) return;
        }
    }

  private:
    std::stop_token stop_;
    Clock::time_point until_;
};

/// False at the peer's end.
bool read_more(Channel& channel, const Patience& patience, std::string& input) {
    std::array<char, 16 * 1024> buffer;
    while (true) {
        const auto count = channel.read(buffer.data(), buffer.size());
        if (count) {
            input.append(buffer.data(), *count);
            return *count > 0;
        }
        patience.wait(channel.descriptor(), POLLIN);
    }
}

HttpResponse parse_head(std::string_view head) {
    HttpResponse response;
    const std::string_view status = head.substr(0, head.find("\r\n"));
    if (!status.starts_with("HTTP/1.") || status.size() < 12)
        fail(TransportErrorKind::other, "the peer does not speak HTTP");
    std::from_chars(status.data() + 9, status.data() + 12, response.status);
    while (head.find("\r\n") != std::string_view::npos) {
        head.remove_prefix(head.find("\r\n") + 2);
        const std::string_view line = head.substr(0, head.find("\r\n"));
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        std::string name(line.substr(0, colon));
        std::ranges::transform(name, name.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(' '))
            value.remove_prefix(1);
        response.headers.emplace_back(std::move(name), std::string(value));
    }
    return response;
}

}  // namespace

struct Channel::Impl {
    struct Deleter {
        void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
    };
    std::unique_ptr<CURL, Deleter> handle;
    curl_socket_t descriptor = CURL_SOCKET_BAD;
    /// TLS wants what it could not send to be given again, from the same place and as long.
    std::string retried;
};

Channel::Channel(const HttpClientOptions& options) : impl_(std::make_unique<Impl>()) {
    // Its constructor starts libcurl and refuses a key over plain HTTP.
    static_cast<void>(HttpClient(options));
    impl_->handle.reset(curl_easy_init());
    if (!impl_->handle) throw std::bad_alloc();
    CURL* const handle = impl_->handle.get();
    set_connection(handle, options);
    set_option(handle, CURLOPT_CONNECT_ONLY, 1L);
    set_option(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options.connect_timeout_ms));
    set_option(handle, CURLOPT_URL, options.base_url.c_str());
    const CURLcode code = curl_easy_perform(handle);
    if (code != CURLE_OK)
        fail(transport_error_kind(code), options.base_url + ": " + curl_easy_strerror(code));
    if (curl_easy_getinfo(impl_->handle.get(), CURLINFO_ACTIVESOCKET, &impl_->descriptor) != CURLE_OK ||
        impl_->descriptor == CURL_SOCKET_BAD)
        fail(TransportErrorKind::other, "the connection broke");
}

Channel::~Channel() = default;
Channel::Channel(Channel&&) noexcept = default;
Channel& Channel::operator=(Channel&&) noexcept = default;

int Channel::descriptor() const {
    return impl_->descriptor;
}

std::optional<std::size_t> Channel::read(char* buffer, std::size_t capacity) {
    std::size_t count = 0;
    const CURLcode code = curl_easy_recv(impl_->handle.get(), buffer, capacity, &count);
    if (code == CURLE_AGAIN) return std::nullopt;
    // A peer that has gone without a word has ended all the same: whatever matters has an end of its own.
    return code == CURLE_OK ? count : 0;
}

std::size_t Channel::write(std::string_view bytes) {
    std::size_t count = 0;
    std::string& retried = impl_->retried;
    if (retried.empty()) retried = bytes;
    const CURLcode code = curl_easy_send(impl_->handle.get(), retried.data(), retried.size(), &count);
    if (code != CURLE_AGAIN) retried.clear();
    if (code != CURLE_OK && code != CURLE_AGAIN)
        fail(TransportErrorKind::other, std::string("the connection broke: ") + curl_easy_strerror(code));
    return count;
}

Upgraded upgrade(const HttpClientOptions& options, const HttpRequest& request, std::string_view protocol,
                 bool is_200_granted) {
    const Patience patience(request);
    Channel channel(options);
    const std::string text = request_head(options, request, protocol) + request.body;
    for (std::string_view rest = text; !rest.empty();) {
        const std::size_t written = channel.write(rest);
        rest.remove_prefix(written);
        if (written == 0) patience.wait(channel.descriptor(), POLLOUT);
    }
    std::string input;
    std::size_t end = 0;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
        if (input.size() > head_bytes_max || !read_more(channel, patience, input))
            fail(TransportErrorKind::other, "the connection ended before it was upgraded");
    }
    Upgraded result{parse_head(std::string_view(input).substr(0, end)), std::nullopt,
                    input.substr(end + 4)};
    HttpResponse& response = result.response;
    if (response.status == 101 || (is_200_granted && response.status == 200)) {
        result.channel.emplace(std::move(channel));
        return result;
    }
    std::size_t length = 0;
    const std::string_view given = response.header("content-length");
    std::from_chars(given.data(), given.data() + given.size(), length);
    length = std::min(length, body_bytes_max);
    while (result.received.size() < length && read_more(channel, patience, result.received)) {
    }
    response.body = std::move(result.received);
    return result;
}

}  // namespace fallow::sdk
