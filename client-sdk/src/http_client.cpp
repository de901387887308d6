#include "fallow/http_client.hpp"

#include <curl/curl.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <exception>

#include "curl_connection.hpp"

namespace fallow::sdk {
namespace {

struct SlistDeleter {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Slist = std::unique_ptr<curl_slist, SlistDeleter>;

struct EasyDeleter {
    void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};

void start_curl_once() {
    static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (started != CURLE_OK) throw std::runtime_error("libcurl cannot be started");
}

/// Header lines go out as they are, so a line break in one would be a header of somebody else's choice.
std::string header_line(std::string_view name, std::string_view value) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), is_control) ||
        std::any_of(value.begin(), value.end(), is_control))
        throw std::invalid_argument("a header must not contain control characters: " + std::string(name));
    // libcurl drops "Name:" without a value, and sends it for "Name;".
    return value.empty() ? std::string(name) + ";" : std::string(name) + ": " + std::string(value);
}

void append(Slist& list, const std::string& line) {
    curl_slist* const longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) throw std::bad_alloc();
    static_cast<void>(list.release());  // it is the longer one now
    list.reset(longer);
}

bool is_loopback_url(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    std::string_view host = url.substr(scheme.size());
    host = host.substr(0, host.find_first_of("/?#"));
    if (host.find('@') != std::string_view::npos) return false;
    if (host.starts_with("[::1]")) return true;
    host = host.substr(0, host.find(':'));
    if (host == "localhost") return true;
    return host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos;
}

/// What the callbacks of one exchange share. It outlives the transfer and no longer.
struct Exchange {
    const HttpRequest& request;
    const HttpClient::OnHead* on_head = nullptr;
    const HttpClient::OnChunk* on_chunk = nullptr;
    std::size_t body_bytes_max = 0;
    HttpResponse response = {};
    std::size_t body_sent = 0;
    bool head_done = false;
    bool head_given = false;
    bool ended_by_caller = false;
    bool too_large = false;
    std::exception_ptr failure = {};  // an exception must not cross libcurl's C frames
};

template <class Work, class Value>
Value guarded(Exchange& exchange, Value on_failure, const Work& work) noexcept {
    try {
        return work();
    } catch (...) {
        exchange.failure = std::current_exception();
        return on_failure;
    }
}

void take_header_line(Exchange& exchange, std::string_view line) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
        line.remove_suffix(1);
    if (line.starts_with("HTTP/")) {  // an interim 1xx head is followed by another one, which replaces it
        exchange.response.headers.clear();
        exchange.head_done = false;
        return;
    }
    if (line.empty()) {
        exchange.head_done = true;
        return;
    }
    const auto colon = line.find(':');
    if (exchange.head_done || colon == std::string_view::npos) return;  // a trailer
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t'))
        value.remove_prefix(1);
    while (!value.empty() && (value.back() == ' ' || value.back() == '\t'))
        value.remove_suffix(1);
    exchange.response.headers.emplace_back(std::move(name), std::string(value));
}

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* context) noexcept {
    auto& exchange = *static_cast<Exchange*>(context);
    const std::size_t bytes = size * count;
    return guarded(exchange, std::size_t{0}, [&] {
        take_header_line(exchange, std::string_view(data, bytes));
        return bytes;
    });
}

void give_head(Exchange& exchange) {
    if (exchange.head_given || exchange.on_head == nullptr || !*exchange.on_head) return;
    exchange.head_given = true;
    (*exchange.on_head)(exchange.response);
}

struct BodyContext {
    Exchange* exchange;
    CURL* handle;
};

int status_of(CURL* handle) {
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return static_cast<int>(status);
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* context) noexcept {
    const auto& body = *static_cast<BodyContext*>(context);
    Exchange& exchange = *body.exchange;
    const std::size_t bytes = size * count;
    return guarded(exchange, std::size_t{0}, [&]() -> std::size_t {
        exchange.response.status = status_of(body.handle);
        give_head(exchange);
        if (exchange.on_chunk != nullptr && exchange.response.ok()) {
            if ((*exchange.on_chunk)(std::string_view(data, bytes))) return bytes;
            exchange.ended_by_caller = true;
            return 0;
        }
        if (bytes > exchange.body_bytes_max - exchange.response.body.size()) {
            exchange.too_large = true;
            return 0;
        }
        exchange.response.body.append(data, bytes);
        return bytes;
    });
}

std::size_t on_read(char* buffer, std::size_t size, std::size_t count, void* context) noexcept {
    auto& exchange = *static_cast<Exchange*>(context);
    return guarded(exchange, std::size_t{CURL_READFUNC_ABORT}, [&]() -> std::size_t {
        if (exchange.request.body_source) return exchange.request.body_source(buffer, size * count);
        const std::string& body = exchange.request.body;
        const std::size_t bytes = std::min(size * count, body.size() - exchange.body_sent);
        std::copy_n(body.data() + exchange.body_sent, bytes, buffer);
        exchange.body_sent += bytes;
        return bytes;
    });
}

/// A kept-alive connection that turns out to be closed is replaced by libcurl, which then sends the body
/// again.
int on_seek(void* context, curl_off_t offset, int origin) noexcept {
    auto& exchange = *static_cast<Exchange*>(context);
    if (exchange.request.body_source || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    exchange.body_sent = static_cast<std::size_t>(offset);
    return CURL_SEEKFUNC_OK;
}

int on_progress(void* context, curl_off_t, curl_off_t, curl_off_t, curl_off_t) noexcept {
    return static_cast<Exchange*>(context)->request.stop.stop_requested() ? 1 : 0;
}

/// Writing to a TLS connection that the peer has closed raises SIGPIPE, whose default is to end the
/// program. It is kept from this thread for the length of a transfer; the signal's disposition belongs to
/// the program.
class PipeSignalGuard {
  public:
    PipeSignalGuard() {
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        sigemptyset(&pipe_);
        sigaddset(&pipe_, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
    }
    PipeSignalGuard(const PipeSignalGuard&) = delete;
    PipeSignalGuard& operator=(const PipeSignalGuard&) = delete;
    ~PipeSignalGuard() {
        const timespec at_once{};
        if (!was_pending_)
            while (sigtimedwait(&pipe_, nullptr, &at_once) == -1 && errno == EINTR) {
            }
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

  private:
    sigset_t pipe_;
    sigset_t before_;
    bool was_pending_;
};

}  // namespace

std::string_view name_of(TransportErrorKind kind) {
    switch (kind) {
        case TransportErrorKind::timeout:
            return "timeout";
        case TransportErrorKind::refused:
            return "refused";
        case TransportErrorKind::tls:
            return "tls";
        case TransportErrorKind::cancelled:
            return "cancelled";
        case TransportErrorKind::too_large:
            return "too_large";
        case TransportErrorKind::other:
            break;
    }
    return "other";
}

std::string_view HttpResponse::header(std::string_view name) const {
    for (const auto& [header_name, value] : headers)
        if (header_name == name) return value;
    return {};
}

struct HttpClient::Impl {
    HttpClientOptions options;
    std::unique_ptr<CURL, EasyDeleter> handle;

    template <class Value>
    void set(CURLoption option, Value value) {
        set_option(handle.get(), option, value);
    }
    void prepare_connection();
    Slist prepare_headers(const HttpRequest& request);
    void prepare_body(const HttpRequest& request, Exchange& exchange);
    void prepare_timeouts(const HttpRequest& request, bool streaming);
    HttpResponse perform(const HttpRequest& request, Exchange& exchange);
};

void HttpClient::Impl::prepare_connection() {
    set_connection(handle.get(), options);
    set(CURLOPT_FOLLOWLOCATION, 0L);
    if (!options.user_agent.empty()) set(CURLOPT_USERAGENT, options.user_agent.c_str());
}

Slist HttpClient::Impl::prepare_headers(const HttpRequest& request) {
    Slist list;
    if (!options.bearer_key.empty())
        append(list, header_line("Authorization", "Bearer " + options.bearer_key));
    if (!request.content_type.empty()) {
        append(list, header_line("Content-Type", request.content_type));
    } else {
        append(list, "Content-Type:");  // libcurl would call every POST a form
    }
    append(list, "Expect:");  // no round trip before a body
    for (const auto& [name, value] : request.headers)
        append(list, header_line(name, value));
    return list;
}

void HttpClient::Impl::prepare_body(const HttpRequest& request, Exchange& exchange) {
    const bool may_have_body =
        request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    const bool has_body = may_have_body || request.body_source || !request.body.empty();
    if (request.method == "HEAD") {
        set(CURLOPT_NOBODY, 1L);
    } else if (has_body) {
        set(CURLOPT_UPLOAD, 1L);
        const auto known = static_cast<std::int64_t>(request.body.size());
        const std::int64_t bytes = request.body_source ? request.body_source_bytes : known;
        set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(bytes));
        set(CURLOPT_READFUNCTION, &on_read);
        set(CURLOPT_READDATA, static_cast<void*>(&exchange));
        set(CURLOPT_SEEKFUNCTION, &on_seek);
        set(CURLOPT_SEEKDATA, static_cast<void*>(&exchange));
    }
    set(CURLOPT_CUSTOMREQUEST, request.method.c_str());
}

void HttpClient::Impl::prepare_timeouts(const HttpRequest& request, bool streaming) {
    std::int64_t connect_ms = options.connect_timeout_ms;
    if (request.timeout_ms > 0) {
        set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout_ms));
        connect_ms = std::min(connect_ms, request.timeout_ms);
    }
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(connect_ms));
    if (streaming && request.idle_timeout_ms > 0) {
        set(CURLOPT_LOW_SPEED_LIMIT, 1L);
        set(CURLOPT_LOW_SPEED_TIME, static_cast<long>((request.idle_timeout_ms + 999) / 1000));
    }
}

HttpResponse HttpClient::Impl::perform(const HttpRequest& request, Exchange& exchange) {
    curl_easy_reset(handle.get());  // options only: connections and TLS sessions stay
    prepare_connection();
    const Slist header_list = prepare_headers(request);
    set(CURLOPT_HTTPHEADER, header_list.get());
    const std::string url = options.base_url + request.path;
    set(CURLOPT_URL, url.c_str());
    prepare_body(request, exchange);
    prepare_timeouts(request, exchange.on_chunk != nullptr);
    set(CURLOPT_FRESH_CONNECT, request.fresh_connection ? 1L : 0L);

    BodyContext body_context{&exchange, handle.get()};
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, static_cast<void*>(&exchange));
    set(CURLOPT_WRITEFUNCTION, &on_body);
    set(CURLOPT_WRITEDATA, static_cast<void*>(&body_context));
    char message[CURL_ERROR_SIZE] = {};
    set(CURLOPT_ERRORBUFFER, static_cast<char*>(message));
    if (request.stop.stop_possible()) {
        set(CURLOPT_NOPROGRESS, 0L);
        set(CURLOPT_XFERINFOFUNCTION, &on_progress);
        set(CURLOPT_XFERINFODATA, static_cast<void*>(&exchange));
    }

    const CURLcode code = [&] {
        const PipeSignalGuard guard;
        return curl_easy_perform(handle.get());
    }();
    curl_easy_setopt(handle.get(), CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
    if (exchange.failure) std::rethrow_exception(exchange.failure);
    exchange.response.status = status_of(handle.get());
    if (exchange.too_large)
        throw TransportError(
            TransportErrorKind::too_large,
            "the reply is larger than " + std::to_string(exchange.body_bytes_max) + " bytes");
    if (code == CURLE_ABORTED_BY_CALLBACK && request.stop.stop_requested())
        throw TransportError(TransportErrorKind::cancelled, "the request was cancelled");
    if (code != CURLE_OK && !exchange.ended_by_caller) {
        const std::string reason = message[0] != '\0' ? message : curl_easy_strerror(code);
        throw TransportError(transport_error_kind(code),
                             request.method + " " + options.base_url + ": " + reason);
    }
    give_head(exchange);
    return std::move(exchange.response);
}

HttpClient::HttpClient(HttpClientOptions options) : impl_(std::make_unique<Impl>()) {
    start_curl_once();
    const bool https = options.base_url.starts_with("https://");
    if (!https && !options.base_url.starts_with("http://"))
        throw std::invalid_argument("the server's URL must start with https://: " + options.base_url);
    if (!https && !options.bearer_key.empty() && options.unix_socket_path.empty() &&
        !is_loopback_url(options.base_url))
        throw std::invalid_argument("an API key is sent over https:// only: " + options.base_url);
    while (options.base_url.ends_with('/'))
        options.base_url.pop_back();
    impl_->options = std::move(options);
    impl_->handle.reset(curl_easy_init());
    if (!impl_->handle) throw std::runtime_error("libcurl gives no handle");
}

HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

const HttpClientOptions& HttpClient::options() const {
    return impl_->options;
}

HttpResponse HttpClient::send(const HttpRequest& request) {
    Exchange exchange{.request = request, .body_bytes_max = impl_->options.response_bytes_max};
    return impl_->perform(request, exchange);
}

HttpResponse HttpClient::stream(const HttpRequest& request, const OnHead& on_head,
                                const OnChunk& on_chunk) {
    Exchange exchange{.request = request,
                      .on_head = &on_head,
                      .on_chunk = &on_chunk,
                      .body_bytes_max = impl_->options.response_bytes_max};
    return impl_->perform(request, exchange);
}

bool is_refused(const HttpClientOptions& options, std::int64_t timeout_ms) {
    constexpr std::string_view https = "https://";
    start_curl_once();
    const std::unique_ptr<CURL, EasyDeleter> handle(curl_easy_init());
    if (!handle) return false;
    set_connection(handle.get(), options);
    std::string url = options.base_url;
    if (url.starts_with(https)) url.replace(0, https.size(), "http://");
    set_option(handle.get(), CURLOPT_URL, url.c_str());
    set_option(handle.get(), CURLOPT_CONNECT_ONLY, 1L);
    set_option(handle.get(), CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeout_ms));
    return transport_error_kind(curl_easy_perform(handle.get())) == TransportErrorKind::refused;
}

}  // namespace fallow::sdk
