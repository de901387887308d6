#include "agent/nvml_events.hpp"

#include <dlfcn.h>

#include <stdexcept>

namespace fallow::agent {
namespace {

constexpr int nvml_success = 0;
constexpr int nvml_gpu_is_lost = 15;
constexpr unsigned long long xid_critical_error = 8;  // nvmlEventTypeXidCriticalError
constexpr int xids_max = 64;

struct EventData {  // nvmlEventData_t of nvmlEventSetWait_v2
    void* device;
    unsigned long long type;
    unsigned long long data;  ///< the Xid
    unsigned int gpu_instance;
    unsigned int compute_instance;
};
static_assert(sizeof(EventData) == 32);

}  // namespace

template <class Function>
void XidListener::load(const char* name, Function& function) {
    if (handle_ == nullptr) return;
    function = reinterpret_cast<Function>(::dlsym(handle_, name));
    if (function == nullptr) {
        ::dlclose(handle_);
        handle_ = nullptr;
    }
}

XidListener::XidListener(const std::string& nvml_library, const std::string& card_uuid)
    : handle_(::dlopen(nvml_library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    load("nvmlInit_v2", init_);
    load("nvmlShutdown", shutdown_);
    load("nvmlDeviceGetHandleByUUID", by_uuid_);
    load("nvmlEventSetCreate", create_);
    load("nvmlDeviceRegisterEvents", register_);
    load("nvmlEventSetWait_v2", wait_);
    load("nvmlEventSetFree", free_);
    if (handle_ == nullptr) return;
    if (init_() != nvml_success) {
        ::dlclose(handle_);
        handle_ = nullptr;
        return;
    }
    void* device = nullptr;
    listens_ = by_uuid_(card_uuid.c_str(), &device) == nvml_success && create_(&set_) == nvml_success &&
               register_(device, xid_critical_error, set_) == nvml_success;
}

XidListener::~XidListener() {
    if (handle_ == nullptr) return;
    if (set_ != nullptr) free_(set_);
    shutdown_();
    ::dlclose(handle_);
}

std::vector<std::int64_t> XidListener::drain() {
    std::vector<std::int64_t> xids;
    EventData event{};
    while (listens_ && xids.size() < xids_max) {
        const int code = wait_(set_, &event, 0);
        if (code == nvml_gpu_is_lost) throw std::runtime_error("the card is lost from the bus");
        if (code != nvml_success) break;
        xids.push_back(static_cast<std::int64_t>(event.data));
    }
    return xids;
}

}  // namespace fallow::agent
