#include "api/app_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "auth/derived_secret.hpp"
#include "auth/sha256.hpp"
#include "http/characters.hpp"
#include "http/guest_head.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t id_characters = 26;

/// A Host header's name in lower case, without port and final dot.
std::string name_in(std::string_view host) {
    std::string name(host.substr(0, host.find(':')));
    if (name.ends_with('.')) name.pop_back();
    std::ranges::transform(name, name.begin(), http::to_lower);
    return name;
}

/// Decimal digits alone, and none to spare.
std::optional<std::int64_t> number_in(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool is_whole = error == std::errc() && end == text.data() + text.size();
    if (!is_whole || text.starts_with('0') || number < 1) return std::nullopt;
    return number;
}

std::string mac_of(std::string_view secret, AppPass kind, const AppName& name, const AppGrant& grant) {
    const std::string text =
        fmt::format("{}|{}|{}|{}|{}", kind == AppPass::link ? "link" : "session", name.job.text(),
                    name.port, auth::to_hex(grant.key_hash), grant.ends_at.ms);
    return auth::keyed_digest(secret, text);
}

/// The value of a field that browsers send, or nothing.
std::string_view value_of(const http::Request& request, std::string_view name) {
    const std::string* value = request.header(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
}

}  // namespace

bool is_app_host(std::string_view host, std::string_view domain) {
    if (domain.empty()) return false;
    const std::string name = name_in(host);
    return name == domain || name.ends_with("." + std::string(domain));
}

std::optional<AppName> parse_app_name(std::string_view host, std::string_view domain) {
    if (!is_app_host(host, domain)) return std::nullopt;
    const std::string name = name_in(host);
    if (name.size() <= domain.size()) return std::nullopt;
    const std::string_view label = std::string_view(name).substr(0, name.size() - domain.size() - 1);
    const std::size_t dash = label.find('-');
    if (dash == std::string_view::npos || label.size() != dash + 1 + id_characters) return std::nullopt;
    const auto port = number_in(label.substr(0, dash));
    const auto job = JobId::parse("job_" + std::string(label.substr(dash + 1)));
    if (!port || *port > app_port_max || !job) return std::nullopt;
    return AppName{*job, *port};
}

std::string app_host(const AppName& name, std::string_view domain) {
    const std::string id = name.job.text();
    return fmt::format("{}-{}.{}", name.port, id.substr(id.size() - id_characters), domain);
}

std::string make_app_pass(std::string_view secret, AppPass kind, const AppName& name,
                          const AppGrant& grant) {
    return fmt::format("{}.{}.{}", auth::to_hex(grant.key_hash), grant.ends_at.ms,
                       auth::to_hex(mac_of(secret, kind, name, grant)));
}

std::optional<AppGrant> open_app_pass(std::string_view secret, AppPass kind, const AppName& name,
                                      std::string_view text, Time now) {
    const std::size_t first = text.find('.');
    const std::size_t last = text.rfind('.');
    if (first == std::string_view::npos || first == last) return std::nullopt;
    const auto key_hash = auth::from_hex(text.substr(0, first));
    const auto ends_ms = number_in(text.substr(first + 1, last - first - 1));
    const auto mac = auth::from_hex(text.substr(last + 1));
    if (!key_hash || key_hash->size() != 32 || !ends_ms || !mac) return std::nullopt;
    AppGrant grant{*key_hash, Time(*ends_ms)};
    if (!auth::equal_secrets(*mac, mac_of(secret, kind, name, grant)) || grant.ends_at <= now)
        return std::nullopt;
    return grant;
}

AppCookies split_cookies(const http::Request& request) {
    AppCookies cookies;
    for (const auto& [name, value] : request.headers) {
        if (name != "cookie") continue;
        std::string_view rest = value;
        while (!rest.empty()) {
            const std::size_t end = std::min(rest.find(';'), rest.size());
            const std::string_view pair = http::trim(rest.substr(0, end));
            rest.remove_prefix(std::min(end + 1, rest.size()));
            const std::size_t equals = pair.find('=');
            if (http::trim(pair.substr(0, equals)) == http::app_cookie) {
                if (equals != std::string_view::npos && !cookies.pass)
                    cookies.pass = http::trim(pair.substr(equals + 1));
                continue;
            }
            if (pair.empty()) continue;
            cookies.others.append(cookies.others.empty() ? "" : "; ").append(pair);
        }
    }
    return cookies;
}

bool is_cross_origin(const http::Request& request) {
    const std::string own = "https://" + std::string(value_of(request, "host"));
    const std::string_view origin = value_of(request, "origin");
    if (!origin.empty()) return origin != own;
    const std::string_view site = value_of(request, "sec-fetch-site");
    if (site.empty() || site == "same-origin" || site == "none") return false;
    // Somebody follows a link to it.
    return value_of(request, "sec-fetch-mode") != "navigate" ||
           value_of(request, "sec-fetch-dest") != "document";
}

}  // namespace fallow::api
