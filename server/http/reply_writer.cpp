#include "http/reply_writer.hpp"

#include <fmt/format.h>

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <ctime>
#include <iterator>

#include "base/assert.hpp"
#include "http/characters.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::http {
namespace {

constexpr std::array<std::string_view, 7> connection_headers = {
    "connection", "content-length",    "content-type", "date",
    "keep-alive", "transfer-encoding", "x-request-id"};

bool is_safe_value(std::string_view text) {
    return std::ranges::none_of(
        text, [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; });
}

bool has_name(const Fields::value_type& field, std::string_view lower_case_name) {
    return equals_ignoring_case(field.first, lower_case_name);
}

/// IMF-fixdate (RFC 9110, 5.6.7). One text a second and thread.
std::string_view http_date() {
    struct Cached {
        std::time_t second = -1;
        std::string text;
    };
    thread_local Cached cached;
    const std::time_t now = std::time(nullptr);
    if (now != cached.second) {
        constexpr std::array<const char*, 7> days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        constexpr std::array<const char*, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        std::tm utc{};
        gmtime_r(&now, &utc);
        cached.text = fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                                  days.at(static_cast<std::size_t>(utc.tm_wday)), utc.tm_mday,
                                  months.at(static_cast<std::size_t>(utc.tm_mon)), utc.tm_year + 1900,
                                  utc.tm_hour, utc.tm_min, utc.tm_sec);
        cached.second = now;
    }
    return cached.text;
}

}  // namespace

std::string_view reason_of(int status) {
    const auto text = boost::beast::http::obsolete_reason(
        boost::beast::http::int_to_status(static_cast<unsigned>(status)));
    return {text.data(), text.size()};
}

bool is_sendable(const Reply& reply) {
    if (tunnel_of(reply)) return true;
    if (reply.status < 200 || reply.status > 599 || !is_safe_value(reply.content_type)) return false;
    return std::ranges::all_of(reply.headers, [](const auto& field) {
        return is_token(field.first) && is_safe_value(field.second);
    });
}

bool may_have_body(int status) {
    return status != 204 && status != 304;
}

void append_head(std::string& out, const Reply& reply, const ReplyFrame& frame) {
    fmt::format_to(std::back_inserter(out), "HTTP/1.1 {} {}\r\nDate: {}\r\nX-Request-Id: {}\r\n",
                   reply.status, reason_of(reply.status), http_date(), frame.request_id);
    if (tunnel_of(reply)) {
        fmt::format_to(std::back_inserter(out), "Connection: Upgrade\r\nUpgrade: {}\r\n\r\n",
                       tunnel_protocol);
        return;
    }
    if (may_have_body(reply.status)) {
        if (!reply.content_type.empty())
            fmt::format_to(std::back_inserter(out), "Content-Type: {}\r\n", reply.content_type);
        if (frame.is_chunked)
            out += "Transfer-Encoding: chunked\r\n";
        else
            fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n", reply.body.size());
    }
    bool says_cache_control = false;
    for (const auto& field : reply.headers) {
        const auto is_ours = [&](std::string_view name) { return has_name(field, name); };
        if (std::ranges::any_of(connection_headers, is_ours)) continue;
        says_cache_control = says_cache_control || has_name(field, "cache-control");
        out.append(field.first).append(": ").append(field.second).append("\r\n");
    }
    if (!says_cache_control) out += "Cache-Control: no-store\r\n";
    if (!frame.keeps_alive) out += "Connection: close\r\n";
    out += "Strict-Transport-Security: max-age=31536000\r\nX-Content-Type-Options: nosniff\r\n\r\n";
}

void append_chunk(std::string& out, std::string_view data) {
    FALLOW_ASSERT(!data.empty());
    fmt::format_to(std::back_inserter(out), "{:x}\r\n", data.size());
    out.append(data).append("\r\n");
}

}  // namespace fallow::http
