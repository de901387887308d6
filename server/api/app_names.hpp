// The names that ports of jobs have, and what a browser shows to be let in at one: a link's token once,
// then a cookie. Both are bound to the job, the port and the API key that they were made with, and kept
// nowhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "http/message.hpp"

namespace fallow::api {

/// "8888-06zk3v8m2q9xw4t7r1n5p0d8ce" below the domain: the port, and the job's id less its prefix.
struct AppName {
    JobId job;
    std::int64_t port = 0;
    friend bool operator==(const AppName&, const AppName&) = default;
};

inline constexpr std::int64_t app_port_max = 65'535;
inline constexpr Millis app_link_life = seconds(60);
inline constexpr Millis app_session_life = seconds(12 * 3600);

/// Whether a Host header names the domain or anything below it. Nothing does when the domain is empty.
[[nodiscard]] bool is_app_host(std::string_view host, std::string_view domain);
[[nodiscard]] std::optional<AppName> parse_app_name(std::string_view host, std::string_view domain);
[[nodiscard]] std::string app_host(const AppName& name, std::string_view domain);

/// What the secret is derived for.
inline constexpr std::string_view app_secret_label = "fallow app links";

enum class AppPass { link, session };

/// What is in a pass beside the name: the SHA-256 (32 bytes) of the key it was made with, and its end.
struct AppGrant {
    std::string key_hash;
    Time ends_at;
};
/// Hexadecimal digits and dots.
[[nodiscard]] std::string make_app_pass(std::string_view secret, AppPass kind, const AppName& name,
                                        const AppGrant& grant);
/// Nothing when it is no pass of this kind for this name, or is over.
[[nodiscard]] std::optional<AppGrant> open_app_pass(std::string_view secret, AppPass kind,
                                                    const AppName& name, std::string_view text, Time now);

/// The cookie that signs in, and the Cookie header that the guest may see; either may be missing.
struct AppCookies {
    std::optional<std::string> pass;
    std::string others;
};
[[nodiscard]] AppCookies split_cookies(const http::Request& request);

/// Whether a browser sent the request for a page of another name. Names below one domain are one site to
/// browsers, so that SameSite does not keep one job's pages from another's cookie.
[[nodiscard]] bool is_cross_origin(const http::Request& request);

}  // namespace fallow::api
