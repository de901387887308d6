// The texts that are signed: a first line that names the form, then "name: value" lines in one fixed order.
// Read strictly, so that one meaning has one text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::sdk {

class SignedTextReader {
  public:
    /// Fails unless the text starts with `form` as a line of its own.
    SignedTextReader(std::string_view text, std::string_view form);

    /// The value of the next line, which must have that name. After a failure everything is empty.
    [[nodiscard]] std::string value(std::string_view name);
    [[nodiscard]] std::int64_t number(std::string_view name);
    [[nodiscard]] bool next_is(std::string_view name) const;
    void fail() { ok_ = false; }
    [[nodiscard]] bool ok() const { return ok_; }
    /// Everything was read, and nothing failed.
    [[nodiscard]] bool finished() const { return ok_ && rest_.empty(); }

  private:
    std::optional<std::string_view> line();

    std::string_view rest_;
    bool ok_ = true;
};

/// Decimal digits without a sign or a zero in front, up to 2^63-1.
[[nodiscard]] std::optional<std::int64_t> parse_natural(std::string_view text);
/// "2026-01-02T03:04:05.678Z" by its form; such texts order as the moments do.
[[nodiscard]] bool is_moment(std::string_view text);

/// "fallow-host-key-v1": the server says whose signing key this is.
struct HostKeyStatement {
    std::string host;
    std::string key;
};
[[nodiscard]] std::optional<HostKeyStatement> parse_host_key_statement(std::string_view text);

/// "fallow-usage-v2": the host says how long a lease has run and what it has sent out; "fallow-usage-v1",
/// of agents that counted no traffic, says only the first.
struct UsageStatement {
    std::string lease;
    std::int64_t running_ms = 0;
    std::int64_t egress_bytes = 0;
    bool is_final = false;
};
[[nodiscard]] std::optional<UsageStatement> parse_usage_statement(std::string_view text);

}  // namespace fallow::sdk
