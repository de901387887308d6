#include "fallow/environment.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>

namespace fallow::sdk {
namespace {

class SystemEnvironment final : public Environment {
  public:
    std::int64_t now_ms() override {
        const auto since_start = std::chrono::steady_clock::now().time_since_epoch();
        return std::chrono::duration_cast<std::chrono::milliseconds>(since_start).count();
    }

    void pause(std::int64_t duration_ms, const std::stop_token& stop) override {
        std::mutex mutex;
        std::condition_variable_any never_notified;
        std::unique_lock lock(mutex);
        never_notified.wait_for(lock, stop, std::chrono::milliseconds(duration_ms), [] { return false; });
    }

    std::uint64_t random_bits() override {
        std::random_device device;
        return (static_cast<std::uint64_t>(device()) << 32) | device();
    }
};

}  // namespace

Environment& system_environment() {
    static SystemEnvironment environment;
    return environment;
}

}  // namespace fallow::sdk
