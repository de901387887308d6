// What a key may do. No scope implies another: an admin key without renter:write cannot place an order.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace fallow::auth {

/// One bit each. The values are stored in the database and never change their meaning.
enum class Scope : std::uint32_t {
    seller_read = 1U << 0,
    seller_write = 1U << 1,
    renter_read = 1U << 2,
    renter_write = 1U << 3,
    admin = 1U << 4,
};

/// "seller:read" and so on.
[[nodiscard]] std::string_view name_of(Scope scope);
[[nodiscard]] std::optional<Scope> parse_scope(std::string_view name);

class ScopeSet {
  public:
    constexpr ScopeSet() = default;
    constexpr ScopeSet(std::initializer_list<Scope> scopes) {
        for (const Scope scope : scopes)
            insert(scope);
    }
    /// Nothing when a bit is set that names no scope.
    [[nodiscard]] static std::optional<ScopeSet> from_bits(std::uint32_t bits);
    /// Every scope there is: what the first admin key gets.
    [[nodiscard]] static ScopeSet all();

    constexpr void insert(Scope scope) { bits_ |= static_cast<std::uint32_t>(scope); }
    [[nodiscard]] constexpr bool has(Scope scope) const {
        return (bits_ & static_cast<std::uint32_t>(scope)) != 0;
    }
    [[nodiscard]] constexpr bool includes(ScopeSet other) const { return (other.bits_ & ~bits_) == 0; }
    [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
    [[nodiscard]] constexpr std::uint32_t bits() const { return bits_; }
    /// In the order of the enum.
    [[nodiscard]] std::vector<std::string> names() const;
    /// The names with one space between them.
    [[nodiscard]] std::string text() const;

    friend constexpr bool operator==(ScopeSet, ScopeSet) = default;

  private:
    std::uint32_t bits_ = 0;
};

/// invalid_field with a pointer to the first unknown or repeated name ("/scopes/1"), or to `pointer` when
/// empty.
[[nodiscard]] Result<ScopeSet> parse_scopes(const std::vector<std::string>& names,
                                            std::string_view pointer = "/scopes");

}  // namespace fallow::auth
