// What a GPU's driver says of it at one moment, in DCGM's words: the names are those of DCGM's fields
// (dcgm_fields.h), as its exporter for Prometheus shows them, so that dashboards made for that one fit.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct DcgmField {
    std::string_view name;
    std::string_view type;  ///< Prometheus': gauge or counter
    std::string_view help;
    std::int64_t divisor = 1;  ///< from the unit of the reading to the one that DCGM shows
};

namespace dcgm {
inline constexpr std::int64_t mib = 1LL << 20;
inline constexpr DcgmField gpu_util{"DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %)."};
inline constexpr DcgmField mem_copy_util{"DCGM_FI_DEV_MEM_COPY_UTIL", "gauge",
                                         "Memory utilization (in %)."};
inline constexpr DcgmField enc_util{"DCGM_FI_DEV_ENC_UTIL", "gauge", "Encoder utilization (in %)."};
inline constexpr DcgmField dec_util{"DCGM_FI_DEV_DEC_UTIL", "gauge", "Decoder utilization (in %)."};
inline constexpr DcgmField fb_total{"DCGM_FI_DEV_FB_TOTAL", "gauge", "Framebuffer memory (in MiB).", mib};
inline constexpr DcgmField fb_used{"DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).",
                                   mib};
inline constexpr DcgmField fb_free{"DCGM_FI_DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB).",
                                   mib};
inline constexpr DcgmField fb_reserved{"DCGM_FI_DEV_FB_RESERVED", "gauge",
                                       "Framebuffer memory that the driver keeps (in MiB).", mib};
inline constexpr DcgmField power{"DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", 1000};
inline constexpr DcgmField energy{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "counter",
                                  "Energy since the driver was loaded (in mJ)."};
inline constexpr DcgmField gpu_temp{"DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C)."};
inline constexpr DcgmField memory_temp{"DCGM_FI_DEV_MEMORY_TEMP", "gauge", "Memory temperature (in C)."};
inline constexpr DcgmField sm_clock{"DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz)."};
inline constexpr DcgmField mem_clock{"DCGM_FI_DEV_MEM_CLOCK", "gauge", "Memory clock frequency (in MHz)."};
inline constexpr DcgmField xid{"DCGM_FI_DEV_XID_ERRORS", "gauge",
                               "The last XID error since the agent looks; 0 is none."};
inline constexpr DcgmField ecc_sbe_vol{"DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", "counter",
                                       "Corrected ECC errors since the driver was loaded."};
inline constexpr DcgmField ecc_dbe_vol{"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", "counter",
                                       "Uncorrected ECC errors since the driver was loaded."};
inline constexpr DcgmField ecc_sbe_agg{"DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", "counter",
                                       "Corrected ECC errors of the card's whole life."};
inline constexpr DcgmField ecc_dbe_agg{"DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", "counter",
                                       "Uncorrected ECC errors of the card's whole life."};
inline constexpr DcgmField pcie_replay{"DCGM_FI_DEV_PCIE_REPLAY_COUNTER", "counter",
                                       "PCIe retries since the driver was loaded."};
}  // namespace dcgm

/// In the order in which they are shown.
[[nodiscard]] const std::vector<DcgmField>& dcgm_fields();

struct GpuReading {
    std::int64_t index = 0;  ///< NVML's, which an instance has in common with its card
    std::string uuid;
    std::string name;
    std::string pci_bus_id;   ///< as NVML writes it
    std::string mig_profile;  ///< of an instance of a divided card; else empty
    /// By the field's name, in bytes, milliwatts, millijoules, percent, MHz, degrees. What the driver does
    /// not tell is not there.
    std::map<std::string, std::int64_t, std::less<>> values;

    [[nodiscard]] std::optional<std::int64_t> value(const DcgmField& field) const {
        const auto found = values.find(field.name);
        return found == values.end() ? std::nullopt : std::optional(found->second);
    }
    friend bool operator==(const GpuReading&, const GpuReading&) = default;
};

/// One line of JSON.
[[nodiscard]] std::string encode_readings(const std::vector<GpuReading>& readings);
/// Nothing when the line is none of encode_readings().
[[nodiscard]] std::optional<std::vector<GpuReading>> parse_readings(std::string_view line);

/// What `fallow-agent probe watch` does, in a process of its own: all NVIDIA cards each `period_ms`, a line
/// each time, until nobody reads it any more. Returns 1 when there is no NVML, or it refuses.
int watch_gpus(const std::string& nvml_library, std::int64_t period_ms);

}  // namespace fallow::agent
