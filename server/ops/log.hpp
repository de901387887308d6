// Log lines: one JSON object a line on stderr, with time, level, message and the caller's fields.
// error: someone must look. warn: someone should, some day. info: one line a request and each change of
// state.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace fallow::ops {

enum class Level { debug, info, warn, error };

[[nodiscard]] std::optional<Level> parse_level(std::string_view name);

struct LogField {
    std::string_view name;  ///< a fixed identifier of ours; never input
    std::variant<std::string_view, std::int64_t, bool> value;
};

/// One finished request. The query is left out on purpose: it may hold what its sender did not mean to be
/// kept.
struct AccessLine {
    std::string_view request_id;
    std::string_view method;
    std::string_view path;
    std::string_view remote_address;
    std::string_view user_agent;
    std::string_view traceparent;
    int status = 0;
    std::int64_t bytes_in = 0;
    std::int64_t bytes_out = 0;
    std::int64_t duration_us = 0;
};

/// May be used from any number of threads.
class Log {
  public:
    /// To stderr.
    explicit Log(Level least);
    /// Each line without its end goes to `sink`, one at a time.
    Log(Level least, std::function<void(std::string_view line)> sink);
    ~Log();
    Log(const Log&) = delete;
    Log& operator=(const Log&) = delete;

    void debug(std::string_view message, std::initializer_list<LogField> fields = {});
    void info(std::string_view message, std::initializer_list<LogField> fields = {});
    void warn(std::string_view message, std::initializer_list<LogField> fields = {});
    void error(std::string_view message, std::initializer_list<LogField> fields = {});
    /// Level info, or error for a status of 500.
    void access(const AccessLine& line);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// `text` as a JSON string with its quotes. Bytes that are not UTF-8 become U+FFFD, control characters are
/// escaped, so that a line stays one line whatever a client sent.
[[nodiscard]] std::string json_string(std::string_view text);

/// Replaces what has the shape of an API key or token, the password in a URL, and password=… in a
/// connection string.
[[nodiscard]] std::string redacted(std::string_view text);

}  // namespace fallow::ops
