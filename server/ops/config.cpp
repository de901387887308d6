#include "ops/config.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <unistd.h>

#include <toml++/toml.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <numeric>
#include <optional>
#include <variant>

#include "ops/log.hpp"

namespace fallow::ops {
namespace {

using IntegerMember = std::int64_t Config::*;
using TextMember = std::string Config::*;
using ListMember = std::vector<std::string> Config::*;

struct Setting {
    std::string_view name;
    std::variant<IntegerMember, TextMember, ListMember> member;
    std::int64_t least = 0;
    std::int64_t most = 0;
    std::string_view help;
};

#define FALLOW_INTEGER(name, value, least, most, help) \
    static_assert(least <= value && value <= most, #name);
#define FALLOW_TEXT(name, value, help)
#define FALLOW_LIST(name, help)
#include "ops/settings.def"
#undef FALLOW_INTEGER
#undef FALLOW_TEXT
#undef FALLOW_LIST

constexpr auto table = std::to_array<Setting>({
#define FALLOW_INTEGER(name, value, least, most, help) {#name, &Config::name, least, most, help},
#define FALLOW_TEXT(name, value, help) {#name, &Config::name, 0, 0, help},
#define FALLOW_LIST(name, help) {#name, &Config::name, 0, 0, help},
#include "ops/settings.def"
#undef FALLOW_INTEGER
#undef FALLOW_TEXT
#undef FALLOW_LIST
});

/// Levenshtein's distance.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
        }
    }
    return row[b.size()];
}

/// How far a mistyped name is from a setting's; one that left out a part ("port") is near.
std::size_t remoteness(std::string_view typed, std::string_view name) {
    if (typed.size() >= 3 && name.find(typed) != std::string_view::npos) return 1;
    return distance(typed, name);
}

Error unknown_setting(std::string_view name) {
    const auto nearest =
        std::min_element(table.begin(), table.end(), [&](const Setting& a, const Setting& b) {
            return remoteness(name, a.name) < remoteness(name, b.name);
        });
    return refuse(ErrorCode::unknown_field,
                  fmt::format("There is no setting \"{}\"; the nearest is \"{}\".", name, nearest->name));
}

const Setting* find(std::string_view name) {
    const auto found =
        std::find_if(table.begin(), table.end(), [&](const Setting& s) { return s.name == name; });
    return found != table.end() ? &*found : nullptr;
}

Status set_integer(Config& config, const Setting& setting, std::optional<std::int64_t> value,
                   std::string_view shown) {
    if (!value || *value < setting.least || *value > setting.most)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("{} must be a whole number from {} to {}, and is {}.", setting.name,
                                  setting.least, setting.most, shown));
    config.*std::get<IntegerMember>(setting.member) = *value;
    return Done{};
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> items;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        if (comma > 0) items.emplace_back(text.substr(0, comma));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return items;
}

std::string default_text(const Setting& setting) {
    static const Config defaults;
    if (const auto* integer = std::get_if<IntegerMember>(&setting.member))
        return std::to_string(defaults.*(*integer));
    if (const auto* text = std::get_if<TextMember>(&setting.member))
        return fmt::format("\"{}\"", defaults.*(*text));
    return "[]";
}

std::string environment_name(std::string_view name) {
    std::string upper = "FALLOW_";
    for (const char c : name)
        upper.push_back(c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c);
    return upper;
}

bool belongs_to_others(std::string_view name) {
    constexpr std::string_view names[] = {"FALLOW_URL",     "FALLOW_CA",        "FALLOW_KEY_FILE",
                                          "FALLOW_API_KEY", "FALLOW_CONFIG",    "FALLOW_OPENCL",
                                          "FALLOW_BIN_DIR", "FALLOW_SOURCE_DIR"};
    return name.starts_with("FALLOW_AGENT_") || name.starts_with("FALLOW_TEST_") ||
           std::find(std::begin(names), std::end(names), name) != std::end(names);
}

Status wrong_type(const Setting& setting, std::string_view wanted) {
    return refuse(ErrorCode::invalid_field, fmt::format("{} must be {}.", setting.name, wanted));
}

Status apply_node(Config& config, std::string_view name, const toml::node& node) {
    const Setting* setting = find(name);
    if (setting == nullptr) return unknown_setting(name);
    if (std::holds_alternative<IntegerMember>(setting->member)) {
        if (!node.is_integer()) return wrong_type(*setting, "a whole number");
        const std::int64_t value = node.as_integer()->get();
        return set_integer(config, *setting, value, std::to_string(value));
    }
    if (const auto* text = std::get_if<TextMember>(&setting->member)) {
        if (!node.is_string()) return wrong_type(*setting, "a string");
        config.*(*text) = node.as_string()->get();
        return Done{};
    }
    if (!node.is_array()) return wrong_type(*setting, "an array of strings");
    std::vector<std::string> items;
    for (const toml::node& item : *node.as_array()) {
        if (!item.is_string()) return wrong_type(*setting, "an array of strings");
        items.push_back(item.as_string()->get());
    }
    config.*std::get<ListMember>(setting->member) = std::move(items);
    return Done{};
}

Error at_line(std::string_view source, std::uint32_t line, ErrorCode code, std::string_view detail) {
    return refuse(code, fmt::format("{}:{}: {}", source, line, detail));
}

}  // namespace

Status apply(Config& config, std::string_view name, std::string_view value) {
    const Setting* setting = find(name);
    if (setting == nullptr) return unknown_setting(name);
    if (const auto* text = std::get_if<TextMember>(&setting->member)) {
        config.*(*text) = value;
        return Done{};
    }
    if (const auto* list = std::get_if<ListMember>(&setting->member)) {
        config.*(*list) = split_list(value);
        return Done{};
    }
    return set_integer(config, *setting, parse_integer(value), fmt::format("\"{}\"", value));
}

Status apply_toml(Config& config, std::string_view text, std::string_view source) {
    toml::table document;
    try {
        document = toml::parse(text);
    } catch (const toml::parse_error& error) {
        return at_line(source, error.source().begin.line, ErrorCode::invalid_field, error.description());
    }
    Config changed = config;
    for (const auto& [key, node] : document) {
        const Status status = apply_node(changed, key.str(), node);
        if (!status.ok())
            return at_line(source, key.source().begin.line, status.error().code, status.error().detail);
    }
    config = std::move(changed);
    return Done{};
}

Status apply_toml_file(Config& config, const std::filesystem::path& path) {
    std::error_code ignored;
    const bool is_folder = std::filesystem::is_directory(path, ignored);
    std::ifstream file(path, std::ios::binary);
    if (is_folder || !file.is_open())
        return refuse(ErrorCode::invalid_field,
                      fmt::format("The configuration file {} cannot be read.", path.string()));
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    return apply_toml(config, text, path.string());
}

Status apply_environment(Config& config,
                         const std::vector<std::pair<std::string, std::string>>& environment) {
    for (const auto& [name, value] : environment) {
        if (!name.starts_with("FALLOW_") || belongs_to_others(name)) continue;
        const auto setting = std::find_if(
            table.begin(), table.end(),
            [&name = name](const Setting& candidate) { return environment_name(candidate.name) == name; });
        std::string lower = name.substr(std::string_view("FALLOW_").size());
        for (char& c : lower)
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        const Status status =
            setting != table.end() ? apply(config, setting->name, value) : unknown_setting(lower);
        if (!status.ok())
            return refuse(status.error().code, fmt::format("{}: {}", name, status.error().detail));
    }
    return Done{};
}

std::vector<std::pair<std::string, std::string>> process_environment() {
    std::vector<std::pair<std::string, std::string>> entries;
    for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const std::size_t equals = text.find('=');
        if (equals != std::string_view::npos)
            entries.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
    return entries;
}

namespace {

/// As the system writes it, since it is compared with what the system says of a connection.
bool is_plain_address(const std::string& text) {
    std::array<unsigned char, 16> bytes{};
    std::array<char, INET6_ADDRSTRLEN> written{};
    for (const int family : {AF_INET, AF_INET6})
        if (::inet_pton(family, text.c_str(), bytes.data()) == 1 &&
            ::inet_ntop(family, bytes.data(), written.data(), written.size()) != nullptr)
            return text == written.data();
    return false;
}

/// Labels of lower-case letters, digits and hyphens, so that with the longest label before it the whole is
/// still a name.
bool is_domain(std::string_view text) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    };
    return text.size() <= 200 && text.find('.') != std::string_view::npos &&
           text.find("..") == std::string_view::npos && text.front() != '.' && text.back() != '.' &&
           std::ranges::all_of(text, is_plain);
}

/// Whether a name of the server's own would lead to a job.
bool is_of_apps(const Config& c, std::string_view name) {
    return !c.apps_domain.empty() && (name == c.apps_domain || name.ends_with("." + c.apps_domain));
}

}  // namespace

Status check(const Config& c) {
    struct Relation {
        bool holds;
        std::string sentence;
    };
    const std::int64_t answered = c.heartbeat_interval_ms + 2 * c.heartbeat_timeout_ms;
    const std::int64_t silent = c.confirm_ms + c.fence_ms + c.kill_ms;
    const Relation relations[] = {
        {answered <= c.fence_ms,
         fmt::format(
             "heartbeat_interval_ms + 2 × heartbeat_timeout_ms ({} ms) must not be more than fence_ms ({} "
             "ms), or one lost heartbeat freezes a healthy host's containers.",
             answered, c.fence_ms)},
        {silent < c.host_lost_ms,
         fmt::format(
             "confirm_ms + fence_ms + kill_ms ({} ms) must be less than host_lost_ms ({} ms), or a lost "
             "host's work could run twice.",
             silent, c.host_lost_ms)},
        {c.host_lost_ms <= c.host_lost_declared_ms,
         "host_lost_ms must not be more than host_lost_declared_ms."},
        {c.heartbeat_timeout_ms <= c.heartbeat_interval_ms,
         "heartbeat_timeout_ms must not be more than heartbeat_interval_ms, or heartbeats overtake each "
         "other."},
        {2 * c.leader_beat_ms < c.leader_takeover_ms,
         "leader_takeover_ms must be more than twice leader_beat_ms, or one late beat costs the "
         "leadership."},
        {c.leader_beat_ms < c.confirm_ms,
         "leader_beat_ms must be less than confirm_ms, or heartbeats are refused between two beats."},
        {c.usage_interval_ms <= c.hold_ms,
         "usage_interval_ms must not be more than hold_ms, or a hold runs out between two statements."},
        {c.engine_batch_max <= c.engine_queue_max,
         "engine_batch_max must not be more than engine_queue_max."},
        {parse_level(c.log_level).has_value(), "log_level must be debug, info, warn or error."},
        {!c.market.empty(), "market must not be empty."},
        {!c.data_folder.empty(), "data_folder must not be empty."},
        {!c.listen_address.empty(), "listen_address must not be empty."},
        {std::ranges::all_of(c.proxy_addresses, is_plain_address),
         "proxy_addresses must be addresses like 198.41.0.4 or 2a01:4f8:1:2::3, without a port."},
        {c.apps_domain.empty() || is_domain(c.apps_domain),
         "apps_domain must be a name like apps.example.org, in lower case and without a port."},
        {std::ranges::none_of(c.tls_names, [&](const std::string& name) { return is_of_apps(c, name); }),
         "tls_names must hold neither apps_domain nor a name below it: programs of jobs answer there."},
        {c.apps_certificate_file.empty() == c.apps_key_file.empty(),
         "apps_certificate_file and apps_key_file go together."},
        {c.apps_certificate_file.empty() || !c.apps_domain.empty(),
         "apps_certificate_file needs an apps_domain."},
    };
    for (const Relation& relation : relations)
        if (!relation.holds) return refuse(ErrorCode::invalid_field, relation.sentence);
    return Done{};
}

std::vector<SettingHelp> settings() {
    std::vector<SettingHelp> rows;
    for (const Setting& setting : table)
        rows.push_back({std::string(setting.name), environment_name(setting.name), default_text(setting),
                        std::string(setting.help)});
    return rows;
}

std::string config_help() {
    std::string text;
    for (const SettingHelp& row : settings())
        text += fmt::format("  {:<24} {:<14} {}\n", row.name, row.default_value, row.help);
    return text;
}

}  // namespace fallow::ops
