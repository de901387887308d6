#include "http/head_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "http/characters.hpp"
#include "http/target.hpp"

namespace fallow::http {
namespace {

constexpr std::size_t method_bytes_max = 16;
// The method, two spaces, "HTTP/1.1" and CRLF.
constexpr std::size_t request_line_overhead_bytes = method_bytes_max + 12;
constexpr CharacterSet host_characters = make_alphanumeric_and("-._~");
constexpr CharacterSet ipv6_characters = make_alphanumeric_and(":.");

// Fields whose second copy would let two readers of one request see different requests.
constexpr std::array<std::string_view, 8> single_fields = {
    "host",          "content-length", "transfer-encoding", "expect",
    "authorization", "content-type",   "idempotency-key",   "if-match"};

Error malformed(std::string detail, std::string pointer = {}) {
    return refuse(ErrorCode::bad_request, std::move(detail), std::move(pointer));
}

Error malformed_field(std::string_view name, std::string detail) {
    return malformed(std::move(detail), fmt::format("header:{}", name));
}

Error head_too_large(const HeadLimits& limits) {
    return refuse(ErrorCode::header_too_large,
                  fmt::format("A request's head may have {} bytes.", limits.header_bytes_max));
}

Error target_too_long(const HeadLimits& limits) {
    return refuse(ErrorCode::target_too_long,
                  fmt::format("The request target may have {} bytes.", limits.target_bytes_max));
}

/// The text up to the next CRLF, which is taken off `rest`. The head ends in CRLF, so there always is one.
std::string_view take_line(std::string_view& rest) {
    const std::size_t end = rest.find("\r\n");
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(rest.size(), end == std::string_view::npos ? end : end + 2));
    return line;
}

Result<Method> parse_method(std::string_view text) {
    if (!is_token(text)) return malformed("The method is not a token.");
    for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                                Method::del, Method::options})
        if (text == name_of(method)) return method;
    return refuse(ErrorCode::not_supported,
                  "The server knows GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.");
}

Status check_version(std::string_view text) {
    const bool is_version = text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) &&
                            text[6] == '.' && is_digit(text[7]);
    if (!is_version) return malformed("The request line does not end in an HTTP version.");
    if (text != "HTTP/1.1") return refuse(ErrorCode::http_version, "Send the request as HTTP/1.1.");
    return Done{};
}

Status parse_request_line(std::string_view line, const HeadLimits& limits, RequestHead& head) {
    const std::size_t first = line.find(' ');
    const std::size_t last = line.rfind(' ');
    if (first == std::string_view::npos || first == last)
        return malformed("The request line is not a method, a target and a version.");
    const std::string_view target = line.substr(first + 1, last - first - 1);
    const Status version = check_version(line.substr(last + 1));
    if (!version) return version;
    const Result<Method> method = parse_method(line.substr(0, first));
    if (!method) return method.error();
    if (target.size() > limits.target_bytes_max) return target_too_long(limits);
    Result<Target> parsed = parse_target(target);
    if (!parsed) return parsed.error();
    head.method = *method;
    head.target = target;
    head.path = std::move(parsed->path);
    head.query = std::move(parsed->query);
    return Done{};
}

bool is_field_byte(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

Status parse_field(std::string_view line, RequestHead& head) {
    if (line.front() == ' ' || line.front() == '\t')
        return malformed("A header field goes on over a second line, which HTTP/1.1 no longer allows.");
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return malformed("A header line has no colon.");
    const std::string_view raw_name = line.substr(0, colon);
    if (!is_token(raw_name)) return malformed("A header field's name is not a token.");
    std::string name(raw_name);
    std::ranges::transform(name, name.begin(), to_lower);
    const std::string_view value = trim(line.substr(colon + 1));
    if (!std::ranges::all_of(value, is_field_byte))
        return malformed_field(name, "A header field's value holds a control character.");
    head.headers.emplace_back(std::move(name), std::string(value));
    return Done{};
}

Status parse_fields(std::string_view rest, const HeadLimits& limits, RequestHead& head) {
    while (true) {
        const std::string_view line = take_line(rest);
        if (line.empty()) break;
        if (head.headers.size() == limits.header_count_max)
            return refuse(ErrorCode::header_too_large,
                          fmt::format("A request may have {} header fields.", limits.header_count_max));
        const Status field = parse_field(line, head);
        if (!field) return field;
    }
    if (!rest.empty()) return malformed("The head goes on after its empty line.");
    return Done{};
}

const std::string* find_field(const RequestHead& head, std::string_view name) {
    const auto found =
        std::ranges::find_if(head.headers, [&](const auto& field) { return field.first == name; });
    return found == head.headers.end() ? nullptr : &found->second;
}

Status check_duplicates(const RequestHead& head) {
    for (const std::string_view name : single_fields) {
        const auto is_it = [&](const auto& field) { return field.first == name; };
        if (std::ranges::count_if(head.headers, is_it) > 1)
            return malformed_field(name, "This header field may be sent once.");
    }
    return Done{};
}

bool is_port(std::string_view text) {
    unsigned port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && end == text.data() + text.size() && text.size() <= 5 && port <= 65535;
}

/// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
bool is_host(std::string_view text) {
    std::string_view host = text;
    std::string_view after;
    if (text.starts_with('[')) {
        const std::size_t bracket = text.find(']');
        if (bracket == std::string_view::npos) return false;
        host = text.substr(1, bracket - 1);
        after = text.substr(bracket + 1);
        if (host.empty() || !are_all_in(ipv6_characters, host)) return false;
    } else {
        const std::size_t colon = text.find(':');
        host = text.substr(0, colon);
        if (colon != std::string_view::npos) after = text.substr(colon);
        if (host.empty() || !are_all_in(host_characters, host)) return false;
    }
    return after.empty() || (after.front() == ':' && is_port(after.substr(1)));
}

Status check_host(const RequestHead& head) {
    const std::string* host = find_field(head, "host");
    if (!host) return malformed_field("host", "An HTTP/1.1 request names its host.");
    if (!is_host(*host))
        return malformed_field("host", "The host is not a name or address with an optional port.");
    return Done{};
}

Status parse_content_length(std::string_view text, RequestHead& head) {
    if (text.empty() || !std::ranges::all_of(text, is_digit))
        return malformed_field("content-length", "A length is written in decimal digits alone.");
    std::uint64_t length = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), length);
    if (parsed.ec != std::errc{})
        return refuse(ErrorCode::body_too_large, "The length is beyond any body.", "header:content-length");
    head.content_length = length;
    return Done{};
}

Status parse_framing(RequestHead& head) {
    const std::string* coding = find_field(head, "transfer-encoding");
    const std::string* length = find_field(head, "content-length");
    if (coding && length)
        return malformed_field("transfer-encoding",
                               "A request has a length or a transfer coding, never both.");
    if (length) return parse_content_length(*length, head);
    if (!coding) return Done{};
    if (!equals_ignoring_case(*coding, "chunked"))
        return refuse(ErrorCode::not_supported, "The only transfer coding taken is chunked.",
                      "header:transfer-encoding");
    head.is_chunked = true;
    return Done{};
}

Status parse_expectation(RequestHead& head) {
    const std::string* expectation = find_field(head, "expect");
    if (!expectation) return Done{};
    if (!equals_ignoring_case(*expectation, "100-continue"))
        return refuse(ErrorCode::expectation_failed, "The only expectation met is 100-continue.",
                      "header:expect");
    head.expects_continue = true;
    return Done{};
}

void parse_connection(RequestHead& head) {
    for (const auto& [name, value] : head.headers) {
        if (name != "connection") continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            if (equals_ignoring_case(trim(rest.substr(0, comma)), "close")) head.keeps_alive = false;
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
    }
}

}  // namespace

Result<std::size_t> HeadScanner::scan(std::string_view bytes) {
    while (true) {
        const std::size_t at = bytes.find('\n', searched_);
        if (at == std::string_view::npos) break;
        if (at == line_start_ || bytes[at - 1] != '\r') return malformed("A line does not end in CRLF.");
        const bool is_empty = at - 1 == line_start_;
        if (is_empty && line_start_ == 0) return malformed("The request begins with an empty line.");
        line_start_ = searched_ = at + 1;
        if (!is_empty) continue;
        if (at + 1 > limits_.header_bytes_max) return head_too_large(limits_);
        return at + 1;
    }
    searched_ = bytes.size();
    if (line_start_ == 0 && bytes.size() > limits_.target_bytes_max + request_line_overhead_bytes) {
        if (bytes.substr(0, method_bytes_max + 1).find(' ') == std::string_view::npos)
            return malformed("The request line does not begin with a method.");
        return target_too_long(limits_);
    }
    if (bytes.size() > limits_.header_bytes_max) return head_too_large(limits_);
    return std::size_t{0};
}

Result<RequestHead> parse_head(std::string_view head, const HeadLimits& limits) {
    RequestHead parsed;
    std::string_view rest = head;
    const Status line = parse_request_line(take_line(rest), limits, parsed);
    if (!line) return line.error();
    const Status fields = parse_fields(rest, limits, parsed);
    if (!fields) return fields.error();
    for (const auto check : {check_duplicates, check_host}) {
        const Status checked = check(parsed);
        if (!checked) return checked.error();
    }
    for (const auto read : {parse_framing, parse_expectation}) {
        const Status done = read(parsed);
        if (!done) return done.error();
    }
    parse_connection(parsed);
    return parsed;
}

}  // namespace fallow::http
