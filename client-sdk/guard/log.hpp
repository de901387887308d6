// Lines of the agent's form on standard error, written after the deeds they tell of and never waited for: a
// log that nobody reads must not hold up a freeze.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fallow::guard {

class Log {
  public:
    void info(std::string message) { add("info", std::move(message)); }
    void warn(std::string message) { add("warning", std::move(message)); }
    void error(std::string message) { add("error", std::move(message)); }
    /// Drops what standard error does not take at once.
    void flush();

  private:
    void add(std::string_view level, std::string message);

    std::vector<std::string> lines_;
};

}  // namespace fallow::guard
