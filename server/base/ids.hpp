// Typed 128-bit ids. As text: a prefix, '_' and 26 lower-case Crockford base32 digits ("lease_7z…").
// In the database: uuid.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.hpp"

namespace fallow {

struct RawId {
    std::uint64_t high = 0;
    std::uint64_t low = 0;

    friend constexpr auto operator<=>(const RawId&, const RawId&) = default;
    [[nodiscard]] constexpr bool is_nil() const { return high == 0 && low == 0; }
};

[[nodiscard]] std::string format_id(std::string_view prefix, const RawId& raw);
/// Nothing unless `text` is exactly `prefix`, '_' and 26 canonical digits.
[[nodiscard]] std::optional<RawId> parse_id(std::string_view prefix, std::string_view text);
/// "01234567-89ab-cdef-0123-456789abcdef", as PostgreSQL writes a uuid.
[[nodiscard]] std::string format_uuid(const RawId& raw);
[[nodiscard]] std::optional<RawId> parse_uuid(std::string_view text);

template <class Tag>
struct Id {
    RawId raw;

    constexpr Id() = default;
    constexpr explicit Id(RawId value) : raw(value) {}
    static constexpr std::string_view prefix = Tag::prefix;
    [[nodiscard]] constexpr bool is_nil() const { return raw.is_nil(); }
    [[nodiscard]] std::string text() const { return format_id(prefix, raw); }
    [[nodiscard]] static std::optional<Id> parse(std::string_view text) {
        const auto found = parse_id(prefix, text);
        return found ? std::optional<Id>(Id(*found)) : std::nullopt;
    }
    friend constexpr auto operator<=>(const Id&, const Id&) = default;
};

#define FALLOW_ID(name, text)                            \
    struct name##Tag {                                   \
        static constexpr std::string_view prefix = text; \
    };                                                   \
    using name = Id<name##Tag>

FALLOW_ID(OrganizationId, "org");
FALLOW_ID(HostId, "host");
FALLOW_ID(CardId, "card");
FALLOW_ID(ListingId, "listing");
FALLOW_ID(OrderId, "order");
FALLOW_ID(QuoteId, "quote");
FALLOW_ID(ReservationId, "reservation");
FALLOW_ID(BookingId, "booking");
FALLOW_ID(LeaseId, "lease");
FALLOW_ID(JobId, "job");
FALLOW_ID(AccountId, "account");
FALLOW_ID(TransferId, "transfer");
FALLOW_ID(KeyId, "key");
FALLOW_ID(ArtifactId, "artifact");
FALLOW_ID(TokenId, "token");
FALLOW_ID(FreezeId, "freeze");
FALLOW_ID(ApprovalId, "approval");
FALLOW_ID(SpotPoolId, "pool");
FALLOW_ID(SegmentId, "segment");
FALLOW_ID(RequestId, "req");

#undef FALLOW_ID

/// Derives any number of ids from one seed that came in with a command, so that a decision stays a pure
/// function. Ids are not secrets; access never rests on their being hard to guess.
class IdMint {
  public:
    /// Ids in no order.
    explicit IdMint(RawId seed) : seed_(seed) {}
    /// Ids laid out as a ULID: 48 bits of time in milliseconds, then 80 that look random. Rows that are
    /// made together then lie together in the database's indexes.
    IdMint(RawId seed, Time now) : seed_(seed), now_(now) {}
    [[nodiscard]] RawId next();

  private:
    RawId seed_;
    std::optional<Time> now_;
    std::uint64_t count_ = 0;
};

}  // namespace fallow

template <class Tag>
struct std::hash<fallow::Id<Tag>> {
    std::size_t operator()(const fallow::Id<Tag>& id) const noexcept {
        return static_cast<std::size_t>(id.raw.high ^ (id.raw.low * 0x9e3779b97f4a7c15ULL));
    }
};
