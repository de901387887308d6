// What the contract tells of the market itself: card models and the jurisdiction policy. As
// in types.hpp, names are those of the wire, kinds stay text, amounts are micros of USD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

/// A row of the catalog. Rates are dense; what is absent does not exist or is not published.
struct CardModel {
    std::string model;
    std::string name;
    std::string maker;
    std::string architecture;
    std::optional<std::string> compute_capability;
    std::string segment;  ///< datacenter, workstation, consumer
    std::int64_t vram_bytes = 0;
    std::int64_t devices = 1;
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::optional<std::int64_t> fp16_gflops;
    std::optional<std::int64_t> fp8_gflops;
    std::optional<std::int64_t> int8_gops;
    std::optional<std::int64_t> fp4_gflops;
    std::int64_t tpp = 0;
    std::optional<std::int64_t> die_area_um2;
    std::optional<std::int64_t> performance_density_milli;
    std::optional<std::int64_t> tdp_watts;
    std::vector<std::string> products;
    std::string source;
    std::string notes;
};

struct PolicyRule {
    std::string name;
    std::string effect;  ///< allow, deny, needs_approval
    std::string reason;
};

/// A version of the jurisdiction policy; 0 is built into the server.
struct Policy {
    std::string text;
    std::vector<PolicyRule> rules;
    std::string created_by;
    std::string created_at;
    std::int64_t version = 0;
};

struct NewPolicy {
    std::int64_t replaces_version = 0;
    std::string text;
};

/// What a policy is asked about.
struct PolicyCase {
    std::optional<std::string> model;  ///< nothing: a card that the catalog does not know
    std::optional<std::string> device_class;
    std::string host_country;
    std::optional<std::string> owner_country;
    std::string renter_country;
    std::optional<std::string> end_use;
};

struct PolicyVerdict {
    std::string effect;
    std::optional<std::string> rule;  ///< nothing: no rule applies, which allows
    std::optional<std::string> reason;
    std::optional<std::string> model;
    std::optional<std::int64_t> tpp;
    std::optional<std::int64_t> performance_density_milli;
    std::int64_t version = 0;
};

struct Approval {
    std::string id;
    std::string organization_id;
    std::string model;
    std::string note;
    std::string created_by;
    std::string created_at;
};

struct NewApproval {
    std::string organization_id;
    std::string model;
    std::string note;
};

}  // namespace fallow::sdk
