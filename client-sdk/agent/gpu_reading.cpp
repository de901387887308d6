#include "agent/gpu_reading.hpp"

#include <dlfcn.h>
#include <signal.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "agent/nvml_api.hpp"
#include "agent/nvml_details.hpp"
#include "agent/nvml_events.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;
using nvml::Api;
using nvml::Device;
using nvml::success;

constexpr unsigned int instances_max = 64;
constexpr std::size_t readings_max = 1024;
constexpr int sensor_of_gpu = 0;
constexpr int clock_of_processors = 1;
constexpr int clock_of_memory = 2;
constexpr int corrected = 0;
constexpr int uncorrected = 1;
constexpr int since_load = 0;
constexpr int whole_life = 1;
constexpr unsigned int memory_temperature_field = 82;  // NVML_FI_DEV_MEMORY_TEMP

void put(GpuReading& reading, const DcgmField& field, std::int64_t value) {
    reading.values[std::string(field.name)] = value;
}

void put_number(GpuReading& reading, const DcgmField& field, Api::Number function, Device device) {
    unsigned int value = 0;
    if (function != nullptr && function(device, &value) == success) put(reading, field, value);
}

void put_number(GpuReading& reading, const DcgmField& field,
                nvml::Return (*function)(Device, int, unsigned int*), Device device, int which) {
    unsigned int value = 0;
    if (function != nullptr && function(device, which, &value) == success) put(reading, field, value);
}

void put_number(GpuReading& reading, const DcgmField& field,
                nvml::Return (*function)(Device, unsigned int*, unsigned int*), Device device) {
    unsigned int value = 0;
    unsigned int period_us = 0;
    if (function != nullptr && function(device, &value, &period_us) == success) put(reading, field, value);
}

void read_memory(const Api& api, Device device, GpuReading& reading) {
    nvml::Memory memory{};
    memory.version = nvml::memory_version_2;
    if (api.memory(device, &memory) != success) return;
    put(reading, dcgm::fb_total, static_cast<std::int64_t>(memory.total));
    put(reading, dcgm::fb_used, static_cast<std::int64_t>(memory.used));
    put(reading, dcgm::fb_free, static_cast<std::int64_t>(memory.free));
    put(reading, dcgm::fb_reserved, static_cast<std::int64_t>(memory.reserved));
}

void read_ecc(const Api& api, Device device, GpuReading& reading) {
    unsigned int now = 0;
    unsigned int later = 0;
    if (api.ecc_errors == nullptr || api.ecc_mode == nullptr ||
        api.ecc_mode(device, &now, &later) != success || now != 1)
        return;
    const auto read = [&](const DcgmField& field, int kind, int counter) {
        unsigned long long count = 0;
        if (api.ecc_errors(device, kind, counter, &count) == success)
            put(reading, field, static_cast<std::int64_t>(count));
    };
    read(dcgm::ecc_sbe_vol, corrected, since_load);
    read(dcgm::ecc_dbe_vol, uncorrected, since_load);
    read(dcgm::ecc_sbe_agg, corrected, whole_life);
    read(dcgm::ecc_dbe_agg, uncorrected, whole_life);
}

void read_card(const Api& api, Device device, GpuReading& reading) {
    nvml::Utilization use{};
    if (api.utilization != nullptr && api.utilization(device, &use) == success) {
        put(reading, dcgm::gpu_util, use.gpu);
        put(reading, dcgm::mem_copy_util, use.memory);
    }
    put_number(reading, dcgm::enc_util, api.encoder, device);
    put_number(reading, dcgm::dec_util, api.decoder, device);
    put_number(reading, dcgm::power, api.power, device);
    put_number(reading, dcgm::gpu_temp, api.temperature, device, sensor_of_gpu);
    put_number(reading, dcgm::sm_clock, api.clock, device, clock_of_processors);
    put_number(reading, dcgm::mem_clock, api.clock, device, clock_of_memory);
    put_number(reading, dcgm::pcie_replay, api.pcie_replays, device);
    unsigned long long energy = 0;
    if (api.energy != nullptr && api.energy(device, &energy) == success)
        put(reading, dcgm::energy, static_cast<std::int64_t>(energy));
    nvml::FieldValue temperature{};
    temperature.field = memory_temperature_field;
    if (api.fields != nullptr && api.fields(device, 1, &temperature) == success &&
        temperature.result == success)
        put(reading, dcgm::memory_temp, temperature.value.number);
    read_ecc(api, device, reading);
}

template <std::size_t Size>
std::string text_of(const std::array<char, Size>& buffer) {
    return std::string(buffer.data(), std::find(buffer.begin(), buffer.end(), '\0'));
}

bool read_identity(const Api& api, Device device, GpuReading& reading) {
    std::array<char, 96> uuid{};
    std::array<char, 96> name{};
    if (api.uuid(device, uuid.data(), static_cast<unsigned int>(uuid.size())) != success ||
        api.name(device, name.data(), static_cast<unsigned int>(name.size())) != success)
        return false;
    reading.uuid = text_of(uuid);
    reading.name = text_of(name);
    return true;
}

/// Reads all cards again and again; remembers the last error that the driver reported of each.
class GpuReader {
  public:
    /// Throws std::runtime_error.
    explicit GpuReader(const std::string& library)
        : library_(library), handle_(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL), ::dlclose) {
        api_.handle = handle_.get();
        if (api_.handle == nullptr) throw std::runtime_error("there is no " + library);
        if (!nvml::load(api_)) throw std::runtime_error(library + " lacks a function that is needed");
        if (api_.init() != success) throw std::runtime_error(library + " cannot be initialized");
    }
    ~GpuReader() {
        listeners_.clear();
        api_.shutdown();
    }
    GpuReader(const GpuReader&) = delete;
    GpuReader& operator=(const GpuReader&) = delete;

    [[nodiscard]] std::vector<GpuReading> read() {
        std::vector<GpuReading> readings;
        unsigned int count = 0;
        if (api_.count(&count) != success) return readings;
        for (unsigned int index = 0; index < count && readings.size() < readings_max; ++index) {
            Device device = nullptr;
            GpuReading reading;
            reading.index = index;
            // One that is lost from the bus does not even say who it is.
            if (api_.by_index(index, &device) != success || !read_identity(api_, device, reading)) continue;
            read_bus(device, reading);
            if (nvml::is_divided(api_, device)) {
                read_instances(device, reading, readings);
                continue;
            }
            read_memory(api_, device, reading);
            read_card(api_, device, reading);
            read_errors(reading);
            readings.push_back(std::move(reading));
        }
        return readings;
    }

  private:
    void read_bus(Device device, GpuReading& reading) {
        nvml::PciInfo pci{};
        if (api_.pci(device, &pci) != success) return;
        reading.pci_bus_id = std::string(std::begin(pci.bus_id),
                                         std::find(std::begin(pci.bus_id), std::end(pci.bus_id), '\0'));
    }

    /// The driver tells the memory of an instance, and the rest only of the card that others share.
    void read_instances(Device device, const GpuReading& card, std::vector<GpuReading>& readings) {
        unsigned int count = 0;
        if (api_.mig_by_index == nullptr || api_.mig_count_max == nullptr ||
            api_.mig_count_max(device, &count) != success)
            return;
        for (unsigned int place = 0; place < std::min(count, instances_max); ++place) {
            Device instance = nullptr;
            GpuReading reading = card;
            if (api_.mig_by_index(device, place, &instance) != success ||
                !read_identity(api_, instance, reading))
                continue;
            reading.mig_profile = nvml::mig_profile(api_, instance, reading.name);
            reading.name = card.name;
            read_memory(api_, instance, reading);
            readings.push_back(std::move(reading));
        }
    }

    void read_errors(GpuReading& reading) {
        auto& listener = listeners_[reading.uuid];
        if (!listener) listener = std::make_unique<XidListener>(library_, reading.uuid);
        try {
            for (const std::int64_t xid : listener->drain())
                last_xids_[reading.uuid] = xid;
        } catch (const std::runtime_error&) {
            return;  // it falls off the bus just now: the next reading leaves it out
        }
        put(reading, dcgm::xid, last_xids_[reading.uuid]);
    }

    std::string library_;
    std::unique_ptr<void, int (*)(void*)> handle_;
    Api api_;
    std::map<std::string, std::unique_ptr<XidListener>> listeners_;
    std::map<std::string, std::int64_t> last_xids_;
};

}  // namespace

const std::vector<DcgmField>& dcgm_fields() {
    static const std::vector<DcgmField> fields = {
        dcgm::gpu_util,    dcgm::mem_copy_util, dcgm::enc_util,    dcgm::dec_util,    dcgm::fb_total,
        dcgm::fb_used,     dcgm::fb_free,       dcgm::fb_reserved, dcgm::power,       dcgm::energy,
        dcgm::gpu_temp,    dcgm::memory_temp,   dcgm::sm_clock,    dcgm::mem_clock,   dcgm::xid,
        dcgm::ecc_sbe_vol, dcgm::ecc_dbe_vol,   dcgm::ecc_sbe_agg, dcgm::ecc_dbe_agg, dcgm::pcie_replay};
    return fields;
}

std::string encode_readings(const std::vector<GpuReading>& readings) {
    json list = json::array();
    for (const GpuReading& reading : readings)
        list.push_back({{"index", reading.index},
                        {"uuid", reading.uuid},
                        {"name", reading.name},
                        {"pci_bus_id", reading.pci_bus_id},
                        {"mig_profile", reading.mig_profile},
                        {"values", reading.values}});
    return list.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::optional<std::vector<GpuReading>> parse_readings(std::string_view line) {
    const json list = json::parse(line, nullptr, false);
    if (!list.is_array() || list.size() > readings_max) return std::nullopt;
    std::vector<GpuReading> readings;
    try {
        for (const json& item : list) {
            GpuReading& reading = readings.emplace_back();
            reading.index = item.at("index").get<std::int64_t>();
            reading.uuid = item.at("uuid").get<std::string>();
            reading.name = item.at("name").get<std::string>();
            reading.pci_bus_id = item.at("pci_bus_id").get<std::string>();
            reading.mig_profile = item.at("mig_profile").get<std::string>();
            for (const auto& [name, value] : item.at("values").items())
                reading.values[name] = value.get<std::int64_t>();
        }
    } catch (const json::exception&) {
        return std::nullopt;
    }
    return readings;
}

int watch_gpus(const std::string& nvml_library, std::int64_t period_ms) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    try {
        GpuReader reader(nvml_library);
        while (std::cout << encode_readings(reader.read()) << std::endl)
            std::this_thread::sleep_for(std::chrono::milliseconds(period_ms));
    } catch (const std::exception& error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
    return 0;
}

}  // namespace fallow::agent
