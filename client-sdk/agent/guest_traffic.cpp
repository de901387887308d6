#include "agent/guest_traffic.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/egress.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::string_view table_name = "traffic";
constexpr const char* guests_map = "guests";
constexpr std::string_view refused_suffix = ".refused";
constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t bytes_per_mib = 1024 * 1024;

/// It names objects of the kernel.
std::string checked(const std::string& lease_id) {
    constexpr std::size_t name_bytes_max = 64;
    const bool is_name =
        !lease_id.empty() && lease_id.size() <= name_bytes_max && std::ranges::all_of(lease_id, [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
        });
    if (!is_name) throw std::runtime_error("not a name that a lease's traffic can be counted by");
    return lease_id;
}

void read_counter(const json& counter, GateTraffic& found) {
    std::string name = counter.at("name").get<std::string>();
    if (!name.ends_with(refused_suffix)) {
        found.leases[name].sent_bytes = counter.at("bytes").get<std::int64_t>();
        return;
    }
    name.resize(name.size() - refused_suffix.size());
    found.leases[name].was_refused = counter.at("packets").get<std::int64_t>() > 0;
}

void read_quota(const json& quota, GateTraffic& found) {
    const auto bytes = quota.at("bytes").get<std::int64_t>();
    found.leases[quota.at("name").get<std::string>()].bytes_max =
        bytes == no_limit ? std::nullopt : std::optional(bytes);
}

/// [["g0", {"goto": {"target": "lease_…"}}], ["g1", {"accept": null}]]
void read_guests(const json& map, GateTraffic& found) {
    const auto elements = map.find("elem");
    if (elements == map.end()) return;
    for (const json& element : *elements) {
        const json& verdict = element.at(1);
        found.lease_at[element.at(0).get<std::string>()] =
            verdict.contains("goto") ? verdict.at("goto").at("target").get<std::string>() : std::string();
    }
}

std::string refused_counter(const std::string& lease_id) {
    return lease_id + std::string(refused_suffix);
}

/// A quota counts what it refuses, too, so what went out is counted behind it. The kernel takes none of
/// which more is used than there is.
void add_limit(RuleBatch& batch, const TrafficTerms& terms, std::int64_t sent_bytes) {
    const std::string& name = terms.lease_id;
    const std::int64_t limit = terms.bytes_max.value_or(no_limit);
    batch.add_quota(name, limit, std::min(sent_bytes, limit));
    batch.refuse_beyond(name, name, refused_counter(name));
    batch.accept_counted(name, name);
}

}  // namespace

GateTraffic parse_traffic(std::string_view ruleset_json) {
    try {
        GateTraffic found;
        const json document = json::parse(ruleset_json);
        for (const json& item : document.at("nftables")) {
            const auto is_ours = [&](const char* kind, const char* name) {
                const auto object = item.find(kind);
                return object != item.end() && object->at(name).get<std::string>() == table_name;
            };
            if (is_ours("table", "name")) found.is_there = true;
            if (is_ours("counter", "table")) read_counter(item.at("counter"), found);
            if (is_ours("quota", "table")) read_quota(item.at("quota"), found);
            if (is_ours("map", "table")) read_guests(item.at("map"), found);
        }
        return found;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("nft's list of rules has not the expected form: ") +
                                 error.what());
    }
}

std::string traffic_rules() {
    return fmt::format(R"(add table inet {0}
add map inet {0} {2} {{ type ifname : verdict; }}
add chain inet {0} forward {{ type filter hook forward priority 10; policy drop; }}
flush chain inet {0} forward
add rule inet {0} forward iifname "{1}" accept
add rule inet {0} forward iifname vmap @{2}
)",
                       table_name, gate_uplink, guests_map);
}

std::string uncounted_rules(const std::vector<std::string>& interfaces) {
    std::string rules;
    for (const std::string& name : interfaces)
        rules +=
            fmt::format("add element inet {} {} {{ \"{}\" : accept }}\n", table_name, guests_map, name);
    return rules;
}

RuleBatch meter_rules(const TrafficTerms& terms, const GateTraffic& now) {
    RuleBatch batch{std::string(table_name)};
    const std::string name = checked(terms.lease_id);
    const auto known = now.leases.find(name);
    if (known == now.leases.end()) {
        batch.add_counter(name, terms.sent_bytes);
        batch.add_counter(refused_counter(name), 0);
        batch.add_chain(name);
        add_limit(batch, terms, terms.sent_bytes);
    } else if (known->second.bytes_max != terms.bytes_max) {
        // What was refused under the old limit counts no more.
        batch.flush_chain(name);
        batch.remove_quota(name);
        add_limit(batch, terms, known->second.sent_bytes);
    }
    return batch;
}

RuleBatch guest_rules(const std::string& interface_name, const std::string& lease_id,
                      const GateTraffic& now) {
    RuleBatch batch{std::string(table_name)};
    const std::string lease = checked(lease_id);
    const auto before = now.lease_at.find(interface_name);
    if (before != now.lease_at.end() && before->second == lease) return batch;
    // An interface ends with its guest, and the next one may have its name.
    if (before != now.lease_at.end()) batch.remove_way(guests_map, interface_name);
    batch.add_way(guests_map, interface_name, lease);
    return batch;
}

RuleBatch forget_rules(const std::string& lease_id, const GateTraffic& now) {
    RuleBatch batch{std::string(table_name)};
    const std::string lease = checked(lease_id);
    if (!now.leases.contains(lease)) return batch;
    for (const auto& [interface_name, at] : now.lease_at)
        if (at == lease) batch.remove_way(guests_map, interface_name);
    batch.flush_chain(lease);
    batch.remove_chain(lease);
    batch.remove_quota(lease);
    batch.remove_counter(lease);
    batch.remove_counter(refused_counter(lease));
    return batch;
}

GateTraffic with_meter(const TrafficTerms& terms, GateTraffic before) {
    before.leases.try_emplace(terms.lease_id, GuestTraffic{terms.sent_bytes}).first->second.bytes_max =
        terms.bytes_max;
    return before;
}

GateTraffic with_guest(const std::string& interface_name, const std::string& lease_id, GateTraffic before) {
    before.lease_at[interface_name] = lease_id;
    return before;
}

GateTraffic without_lease(const std::string& lease_id, GateTraffic before) {
    before.leases.erase(lease_id);
    std::erase_if(before.lease_at, [&](const auto& entry) { return entry.second == lease_id; });
    return before;
}

std::optional<TrafficNotice> traffic_notice(const GuestTraffic& traffic) {
    if (!traffic.bytes_max) return std::nullopt;
    const std::int64_t limit = *traffic.bytes_max;
    if (traffic.was_refused && limit == 0)
        return TrafficNotice{100,
                             "fallow: the order allows no traffic to the internet (egress_gib), so what "
                             "the job sends there is refused\n"};
    const std::string used =
        fmt::format("{} of {} MiB", traffic.sent_bytes / bytes_per_mib, limit / bytes_per_mib);
    if (traffic.was_refused)
        return TrafficNotice{100,
                             fmt::format("fallow: the traffic that the order allows is used up ({}): what "
                                         "the job sends to the internet is refused from now on\n",
                                         used)};
    if (limit > 0 && traffic.sent_bytes >= limit - limit / 10)
        return TrafficNotice{
            90, fmt::format("fallow: 90 % of the traffic that the order allows is used ({})\n", used)};
    return std::nullopt;
}

}  // namespace fallow::agent
