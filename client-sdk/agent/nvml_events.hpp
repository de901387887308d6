// The errors that NVIDIA's driver reports of one card (Xid), from the moment of construction on, through
// NVML's event sets (NVML API reference, chapter "Event Handling Methods").
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fallow::agent {

class XidListener {
  public:
    /// Hears nothing where the library or the card does not tell.
    XidListener(const std::string& nvml_library, const std::string& card_uuid);
    ~XidListener();
    XidListener(const XidListener&) = delete;
    XidListener& operator=(const XidListener&) = delete;

    /// Those that are there now. Throws std::runtime_error when the card is lost from the bus.
    [[nodiscard]] std::vector<std::int64_t> drain();

  private:
    template <class Function>
    void load(const char* name, Function& function);

    void* handle_ = nullptr;
    void* set_ = nullptr;
    bool listens_ = false;
    int (*init_)() = nullptr;
    int (*shutdown_)() = nullptr;
    int (*by_uuid_)(const char*, void**) = nullptr;
    int (*create_)(void**) = nullptr;
    int (*register_)(void*, unsigned long long, void*) = nullptr;
    int (*wait_)(void*, void*, unsigned int) = nullptr;
    int (*free_)(void*) = nullptr;
};

}  // namespace fallow::agent
