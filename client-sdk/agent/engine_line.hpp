// The line to the container engine's socket, which all clients of it here share: one call, one reply, and
// how the engine says no.
#pragma once

#include <cstdint>
#include <string>

#include "agent/runtime.hpp"
#include "fallow/http_client.hpp"

namespace fallow::agent {

/// The engine answered with an error. `status` is its HTTP status; 200 for an error inside a pull's stream.
class EngineError : public RuntimeError {
  public:
    EngineError(int status, const std::string& what) : RuntimeError(what), status_(status) {}
    [[nodiscard]] int status() const { return status_; }

  private:
    int status_;
};

inline constexpr const char* engine_api = "/v1.41";  ///< of Docker; Podman answers to it as well
inline constexpr std::int64_t engine_call_timeout_ms = 30'000;

/// One thread at a time, like the HTTP client below it.
class EngineLine {
  public:
    explicit EngineLine(std::string socket_path);

    /// The reply, whatever its status; `body` is JSON. Throws sdk::TransportError.
    sdk::HttpResponse call(const std::string& method, const std::string& path,
                           const std::string& body = {});
    /// For what is no single call: streams, long waits.
    [[nodiscard]] sdk::HttpClient& http() { return http_; }

  private:
    sdk::HttpClient http_;
};

/// The engine's own words in a reply that is an error.
[[nodiscard]] std::string engine_message(const sdk::HttpResponse& response);
/// Throws EngineError with them.
[[noreturn]] void throw_engine_error(const sdk::HttpResponse& response);

}  // namespace fallow::agent
