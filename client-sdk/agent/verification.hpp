// Whether a card is what it says it is. Pure: what was measured comes in, and so does the time.
//
// A card is `refused` when it claims more than it proves. What it proved, stock or modified, is the
// server's to class; the same rule stands here for the self-test's table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct CardFacts;
struct CatalogModel;

/// `kept` is what all at the same time held its pattern: on a card whose memory is there twice, what is
/// really there.
struct MemoryProof {
    std::int64_t written_bytes = 0;
    std::int64_t kept_bytes = 0;
    friend bool operator==(const MemoryProof&, const MemoryProof&) = default;
};

struct Measurement {
    std::int64_t target_bytes =
        0;  ///< what was to be written: all that the device states, or a CPU's limit
    MemoryProof memory;
    std::int64_t bandwidth_bytes_per_s = 0;  ///< read plus written by a copy kernel
    std::int64_t fp32_flops = 0;             ///< a multiply-add counts as two
    std::optional<std::int64_t> fp16_flops;  ///< of the vector units; nothing without cl_khr_fp16
    std::int64_t to_device_bytes_per_s = 0;  ///< from pinned host memory
    std::int64_t from_device_bytes_per_s = 0;
    std::vector<std::int64_t> xids;  ///< errors that NVIDIA's driver reported of the card meanwhile
    std::string driver = {};         ///< through which it was measured: "cuda" or "opencl"
    friend bool operator==(const Measurement&, const Measurement&) = default;
};

struct Verification {
    bool passed = false;
    std::string reason;  ///< why it was refused; empty when it passed
    std::string remedy;
    std::optional<Measurement> measured;  ///< nothing when the measurement did not come to its end
    std::int64_t at_unix_ms = 0;
    friend bool operator==(const Verification&, const Verification&) = default;
};

/// `model` is what the catalog knows by the card's name; null: nothing.
[[nodiscard]] Verification judge(const CardFacts& card, const Measurement& measured,
                                 const CatalogModel* model, std::int64_t now_unix_ms);

/// The measurement did not come to its end.
[[nodiscard]] Verification not_measured(const std::string& why, std::int64_t now_unix_ms);

/// Never verified, verified longer ago than `every_ms`, refused an hour ago or more, or in the future: the
/// clock was set back.
[[nodiscard]] bool verification_is_due(const std::optional<Verification>& last, std::int64_t now_unix_ms,
                                       std::int64_t every_ms);

/// Somebody else's memory is on it, so that what it has cannot be proved now.
[[nodiscard]] bool is_in_use(const CardFacts& card);

/// "stock" or "modified", as the server has it (server/market/catalog.cpp).
[[nodiscard]] std::string_view memory_class(const CatalogModel& model, std::int64_t proved_bytes);

/// "CUDA" or "OpenCL"
[[nodiscard]] std::string_view driver_name(const Measurement& measured);

/// "79.2 GiB"
[[nodiscard]] std::string format_bytes(std::int64_t bytes);

}  // namespace fallow::agent
