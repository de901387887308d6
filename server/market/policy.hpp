// The operator's hand on the market: freezes and settings.
#pragma once

#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::market {

FALLOW_ENUM(FreezeKind, organization, host, market, image)

/// While it exists its target takes no new lease; leases of a frozen organization, host or image end.
struct Freeze {
    static constexpr std::string_view table = "freezes";
    FreezeId id;
    FreezeKind kind = FreezeKind::organization;
    std::string target;  ///< an id, the market's name, or an image reference or digest
    std::string note;
    std::string created_by;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("kind", row.kind);
        visit.field("target", row.target);
        visit.field("note", row.note);
        visit.field("created_by", row.created_by);
        visit.field("created_at", row.created_at);
    }
};

struct Settings {
    static constexpr std::string_view table = "market_settings";
    std::string market = "main";
    std::int32_t fee_ppm = 0;  ///< the operator's part of new leases' charges
    std::int64_t version = 1;
    ledger::Price spot_step = ledger::Price(limits::spot_step_micros_default);  ///< a bid outbids by this

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("market", row.market);
        visit.field("fee_ppm", row.fee_ppm);
        visit.field("spot_step_micros_per_hour", row.spot_step);
        visit.field("version", row.version);
    }
};

}  // namespace fallow::market
