#include "http/guest_head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "http/characters.hpp"
#include "http/reply_writer.hpp"

namespace fallow::http {
namespace {

constexpr std::array<std::string_view, 12> unpassed_of_request = {
    "connection", "content-length",    "expect",  "forwarded",           "host",    "keep-alive",
    "te",         "transfer-encoding", "trailer", "proxy-authorization", "upgrade", "proxy-connection"};

constexpr std::array<std::string_view, 13> unpassed_of_reply = {"alt-svc",
                                                                "clear-site-data",
                                                                "connection",
                                                                "content-length",
                                                                "keep-alive",
                                                                "proxy-authenticate",
                                                                "te",
                                                                "proxy-connection",
                                                                "transfer-encoding",
                                                                "trailer",
                                                                "upgrade",
                                                                "strict-transport-security",
                                                                "x-request-id"};

template <std::size_t count>
bool is_one_of(const std::array<std::string_view, count>& names, std::string_view name) {
    return std::ranges::find(names, name) != names.end();
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    std::ranges::transform(lowered, lowered.begin(), to_lower);
    return lowered;
}

/// What Connection names, in lower case. `headers` have names in lower case.
std::vector<std::string> connection_tokens(const Fields& headers) {
    std::vector<std::string> tokens;
    for (const auto& [name, value] : headers) {
        if (name != "connection") continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const std::size_t comma = rest.find(',');
            tokens.push_back(lower(trim(rest.substr(0, comma))));
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
    }
    return tokens;
}

bool has_token(const std::vector<std::string>& tokens, std::string_view name) {
    return std::ranges::find(tokens, name) != tokens.end();
}

bool is_value(std::string_view text) {
    return std::ranges::none_of(
        text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

/// A Set-Cookie without its Domain, so that the cookie is this name's alone; nothing for the one that signs
/// in.
std::optional<std::string> own_cookie(std::string_view value) {
    const std::string_view pair = value.substr(0, value.find(';'));
    if (equals_ignoring_case(trim(pair.substr(0, pair.find('='))), lower(app_cookie))) return std::nullopt;
    std::string kept(pair);
    while (value.find(';') != std::string_view::npos) {
        value.remove_prefix(value.find(';') + 1);
        const std::string_view attribute = value.substr(0, value.find(';'));
        if (equals_ignoring_case(trim(attribute.substr(0, attribute.find('='))), "domain")) continue;
        kept.append(";").append(attribute);
    }
    return kept;
}

void append_fields(std::string& out, const Fields& headers) {
    for (const auto& [name, value] : headers)
        out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool asks_for_websocket(const Request& request) {
    const std::string* upgrade = request.header("upgrade");
    const std::string* length = request.header("content-length");
    const bool has_body =
        request.header("transfer-encoding") != nullptr || (length != nullptr && *length != "0");
    return request.method == Method::get && !has_body && upgrade != nullptr &&
           equals_ignoring_case(*upgrade, "websocket") &&
           has_token(connection_tokens(request.headers), "upgrade");
}

Fields passed_request_headers(const Request& request) {
    const std::vector<std::string> tokens = connection_tokens(request.headers);
    Fields passed;
    for (const auto& [name, value] : request.headers) {
        if (is_one_of(unpassed_of_request, name) || name.starts_with("x-forwarded-")) continue;
        if (!has_token(tokens, name)) passed.emplace_back(name, value);
    }
    passed.emplace_back("x-forwarded-proto", "https");
    if (const std::string* host = request.header("host")) passed.emplace_back("x-forwarded-host", *host);
    return passed;
}

std::string guest_request_head(const Request& request, const Fields& headers, bool is_websocket) {
    const std::string* host = request.header("host");
    std::string head = fmt::format("{} {} HTTP/1.1\r\nhost: {}\r\n", name_of(request.method),
                                   request.target, host == nullptr ? std::string() : *host);
    append_fields(head, headers);
    if (request.header("transfer-encoding") != nullptr) head += "transfer-encoding: chunked\r\n";
    if (const std::string* length = request.header("content-length"))
        head.append("content-length: ").append(*length).append("\r\n");
    if (is_websocket) head += "connection: Upgrade\r\nupgrade: websocket\r\n";
    return head + "\r\n";
}

Result<Fields> passed_reply_headers(const Fields& headers) {
    Fields lowered;
    for (const auto& [name, value] : headers) {
        if (!is_token(name) || !is_value(value))
            return refuse(ErrorCode::bad_request, "A header of the reply is none.");
        lowered.emplace_back(lower(name), value);
    }
    const std::vector<std::string> tokens = connection_tokens(lowered);
    Fields passed;
    for (auto& [name, value] : lowered) {
        if (is_one_of(unpassed_of_reply, name) || has_token(tokens, name)) continue;
        if (name == "set-cookie") {
            std::optional<std::string> cookie = own_cookie(value);
            if (!cookie) continue;
            value = std::move(*cookie);
        }
        passed.emplace_back(name, value);
    }
    return passed;
}

std::string relayed_reply_head(int status, const Fields& headers, const RelayFraming& framing) {
    std::string head = fmt::format("HTTP/1.1 {} {}\r\n", status, reason_of(status));
    append_fields(head, headers);
    if (framing.length) head += fmt::format("content-length: {}\r\n", *framing.length);
    if (framing.is_chunked) head += "transfer-encoding: chunked\r\n";
    if (framing.is_websocket)
        head += "connection: Upgrade\r\nupgrade: websocket\r\n";
    else if (!framing.keeps_alive)
        head += "connection: close\r\n";
    return head + "strict-transport-security: max-age=31536000\r\n\r\n";
}

}  // namespace fallow::http
