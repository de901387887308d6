// A card: one GPU, or another compute device, in a host. Identity and capacity are separate facts: what the
// device says it is, and what was measured, with the date.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/time.hpp"
#include "market/hardware.hpp"

namespace fallow::market {

FALLOW_ENUM(DeviceClass, gpu, cpu, accelerator)
/// Through what the agent found it. amdgpu: the kernel's driver, by sysfs.
FALLOW_ENUM(Backend, nvml, opencl, amdgpu)
/// withheld: it is there and not offered: its owner has it, it was refused, or a guest's data is in it.
FALLOW_ENUM(CardState, present, missing, withheld)

struct Card {
    static constexpr std::string_view table = "cards";
    CardId id;
    HostId host;
    OrganizationId organization;
    // Identity
    std::int32_t index = 0;
    std::string uuid;  ///< unique within its host
    std::optional<std::string> pci_address;
    std::string product;
    std::string vendor;
    DeviceClass device_class = DeviceClass::gpu;
    Backend backend = Backend::nvml;
    std::string driver_version;
    std::optional<std::string> cuda_version;        ///< the newest that the driver runs
    std::optional<std::string> compute_capability;  ///< "9.0"
    std::optional<std::int32_t> pcie_generation;    ///< the most that card and slot can do
    std::optional<std::int32_t> pcie_width;         ///< lanes
    std::optional<std::int32_t> power_limit_watts;  ///< that is enforced
    // Capacity, as measured; all four or none
    std::optional<std::int64_t> vram_bytes;
    std::optional<std::int64_t> memory_bandwidth_bytes_per_s;
    std::optional<std::int64_t> fp32_flops;
    std::optional<Time> measured_at;
    CardSpeeds speeds;
    CardDetails details;
    CardVerdict verdict;

    CardState state = CardState::present;
    std::optional<std::string> withheld_reason;  ///< for its seller, as the agent says it
    std::int32_t used = 0;  ///< thousandths; moved in the database by a trigger over lease_cards alone
    std::int64_t version = 1;

    [[nodiscard]] bool is_free() const { return used == 0 && state == CardState::present; }
    /// What could still be leased of it, in thousandths.
    [[nodiscard]] std::int32_t free_thousandths() const {
        return state == CardState::present ? limits::thousandths_per_card - used : 0;
    }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("host_id", row.host);
        visit.field("organization_id", row.organization);
        visit.field("index", row.index);
        visit.field("uuid", row.uuid);
        visit.field("pci_address", row.pci_address);
        visit.field("product", row.product);
        visit.field("vendor", row.vendor);
        visit.field("device_class", row.device_class);
        visit.field("backend", row.backend);
        visit.field("driver_version", row.driver_version);
        visit.field("cuda_version", row.cuda_version);
        visit.field("compute_capability", row.compute_capability);
        visit.field("pcie_generation", row.pcie_generation);
        visit.field("pcie_width", row.pcie_width);
        visit.field("power_limit_watts", row.power_limit_watts);
        visit.field("vram_bytes", row.vram_bytes);
        visit.field("memory_bandwidth_bytes_per_s", row.memory_bandwidth_bytes_per_s);
        visit.field("fp32_flops", row.fp32_flops);
        visit.field("measured_at", row.measured_at);
        visit.field("state", row.state);
        visit.field("withheld_reason", row.withheld_reason);
        visit.derived("used", row.used);
        visit.field("version", row.version);
        CardSpeeds::describe(row.speeds, visit);
        CardDetails::describe(row.details, visit);
        CardVerdict::describe(row.verdict, visit);
    }
};

}  // namespace fallow::market
