#include <algorithm>
#include <string_view>

#include "checks.hpp"
#include "text.hpp"

namespace fallow_proof {
namespace {

/// micros per card-hour × ms × thousandths of a card, per micro.
constexpr Wide numerator_per_micro = 3'600'000'000;
/// A GiB in bytes, for a month of 730 hours.
constexpr Wide bytes_hours_per_gib_month = Wide{1'073'741'824} * 730;
constexpr std::int64_t bytes_per_mib = 1'048'576;
constexpr Wide mib_per_gib = 1024;

class LeaseCheck {
  public:
    LeaseCheck(const Lease& lease, const Report& report)
        : lease_(lease), report_(report), name_(id_text("lease", lease.id)) {}

    void run() {
        check_usage();
        check_segments();
        check_charge();
        check_money();
        check_receipt();
    }

  private:
    void expect(const char* check, const std::string& expected, const std::string& found,
                const std::string& part = {}) {
        if (expected != found) report_({check, part.empty() ? name_ : name_ + " " + part, expected, found});
    }
    void expect(const char* check, Wide expected, Wide found, const std::string& part = {}) {
        expect(check, decimal(expected), decimal(found), part);
    }

    void check_usage() {
        std::int64_t before_ms = 0;
        std::int64_t claimed_before_ms = 0;
        std::int64_t sequence = 0;
        for (const Usage& usage : lease_.usage) {
            const std::string part = "usage " + std::to_string(usage.sequence);
            expect("usage_sequence", ++sequence, usage.sequence, part);
            sequence = usage.sequence;
            if (usage.accepted_ms < before_ms)
                report_({"usage_monotone", name_ + " " + part, std::to_string(before_ms) + " or more",
                         std::to_string(usage.accepted_ms)});
            const Wide claimed = static_cast<Wide>(usage.accepted_ms) + usage.clipped_ms;
            if (claimed < claimed_before_ms)
                report_({"usage_claim_monotone", name_ + " " + part,
                         std::to_string(claimed_before_ms) + " or more", decimal(claimed)});
            before_ms = usage.accepted_ms;
            claimed_before_ms = static_cast<std::int64_t>(claimed);
            expect("usage_renter", id_text("org", lease_.renter), id_text("org", usage.renter), part);
            expect("usage_seller", id_text("org", lease_.seller), id_text("org", usage.seller), part);
            check_statement(usage, part, claimed);
        }
        expect("usage_last_sequence", lease_.usage_sequence, sequence);
        const std::string last = lease_.usage.empty() ? "none" : lease_.usage.back().sha256;
        expect("usage_digest", last, lease_.usage_sha256.value_or("none"));
        expect("usage_traffic_claimed", claimed_bytes_, lease_.egress_bytes_claimed);
    }

    /// The signed text says what the row says.
    void check_statement(const Usage& usage, const std::string& part, Wide claimed) {
        const auto text = parse_signed(usage.statement);
        if (!text) {
            report_({"usage_statement_form", name_ + " " + part, "lines of a name and a value",
                     "something else"});
            return;
        }
        const bool tells_traffic = text->head == "fallow-usage-v2";
        if (!tells_traffic) expect("usage_statement_form", "fallow-usage-v1", text->head, part);
        expect("usage_statement_lease", name_, text->one("lease"), part);
        expect("usage_statement_epoch", std::to_string(lease_.epoch), text->one("epoch"), part);
        expect("usage_statement_sequence", std::to_string(usage.sequence), text->one("sequence"), part);
        expect("usage_statement_running", text->one("running_ms"), decimal(claimed), part);
        expect("usage_statement_final", usage.final ? "true" : "false", text->one("final"), part);
        if (tells_traffic) read_claimed_bytes(text->one("egress_bytes"), part);
        std::int64_t mib = claimed_bytes_ / bytes_per_mib;
        if (lease_.egress_mib_max) mib = std::min(mib, *lease_.egress_mib_max);
        expect("usage_traffic_accepted", mib, usage.accepted_egress_mib, part);
    }

    /// Cumulative; a statement that does not tell leaves it as it was.
    void read_claimed_bytes(const std::string& stated, const std::string& part) {
        const auto bytes = parse_count(stated);
        if (!bytes || *bytes < claimed_bytes_)
            return report_({"usage_traffic_monotone", name_ + " " + part,
                            std::to_string(claimed_bytes_) + " or more", stated});
        claimed_bytes_ = *bytes;
    }

    /// A lease at a fixed price has one stretch, of which the lease itself tells. A spot lease's stretches
    /// follow each other, none costs more than the bid of its time, and the last one is what it costs now.
    void check_segments() {
        if (!lease_.is_spot) {
            expect("segments_of_spot_alone", 0, static_cast<Wide>(lease_.segments.size()));
            return;
        }
        if (lease_.segments.empty()) return report_({"segments_exist", name_, "a segment", "none"});
        std::int64_t sequence = 0;
        std::int64_t from_ms = 0;
        for (const Segment& segment : lease_.segments) {
            const std::string part = "segment " + std::to_string(segment.sequence);
            expect("segment_sequence", ++sequence, segment.sequence, part);
            if (sequence == 1) expect("segment_from_the_start", 0, segment.from_ms, part);
            if (segment.from_ms < from_ms || segment.from_ms > lease_.running_ms)
                report_({"segment_in_running_time", name_ + " " + part,
                         std::to_string(from_ms) + " to " + std::to_string(lease_.running_ms),
                         std::to_string(segment.from_ms)});
            if (segment.price > segment.bid)
                report_({"segment_within_bid", name_ + " " + part, std::to_string(segment.bid) + " or less",
                         std::to_string(segment.price)});
            from_ms = segment.from_ms;
        }
        expect("segment_is_the_price", lease_.price, lease_.segments.back().price);
    }

    /// The running time at each price, in their order.
    std::vector<std::pair<std::int64_t, std::int64_t>> stretches() const {
        if (!lease_.is_spot) return {{lease_.price, lease_.running_ms}};
        std::vector<std::pair<std::int64_t, std::int64_t>> found;
        for (std::size_t i = 0; i < lease_.segments.size(); ++i) {
            const bool is_last = i + 1 == lease_.segments.size();
            const std::int64_t end_ms = is_last ? lease_.running_ms : lease_.segments[i + 1].from_ms;
            found.emplace_back(lease_.segments[i].price, end_ms - lease_.segments[i].from_ms);
        }
        return found;
    }

    /// What the reserved storage costs, in thousandths of a micro per hour. Below 2^63 by the columns'
    /// bounds.
    Wide storage_rate() const {
        return static_cast<Wide>(lease_.storage_price) * lease_.storage_bytes * 1000 /
               bytes_hours_per_gib_month;
    }

    /// What the traffic adds to the numerator: whole MiB at a price for a GiB, exactly.
    Wide traffic() const {
        return static_cast<Wide>(lease_.egress_price) * lease_.egress_mib *
               (numerator_per_micro / mib_per_gib);
    }

    /// From usage and prices to the charge and the fee, by the published rule.
    void check_charge() {
        const std::int64_t running = lease_.usage.empty() ? 0 : lease_.usage.back().accepted_ms;
        expect("running_is_accepted_usage", running, lease_.running_ms);
        const std::int64_t sent = lease_.usage.empty() ? 0 : lease_.usage.back().accepted_egress_mib;
        expect("traffic_is_accepted_usage", sent, lease_.egress_mib);
        Wide numerator = 0;
        for (const auto& [price, ms] : stretches()) {
            Wide part = 0;
            if (__builtin_mul_overflow(static_cast<Wide>(price) * lease_.thousandths, static_cast<Wide>(ms),
                                       &part) ||
                __builtin_add_overflow(numerator, part, &numerator))
                return report_({"charge_from_usage", name_, "a charge that fits 128 bits", "more"});
        }
        numerator += storage_rate() * lease_.running_ms + traffic();
        expect("numerator_from_usage", decimal(numerator), lease_.numerator);
        const Wide charge = numerator / numerator_per_micro;
        expect("charge_from_usage", charge, lease_.charged);
        expect("fee_of_charge", charge * lease_.fee_ppm / 1'000'000, lease_.fee);
    }

    /// The transfers that name the lease come to what the lease says.
    void check_money() {
        expect("charge_transfers", lease_.charged, lease_.charges + lease_.fees);
        expect("fee_transfers", lease_.fee, lease_.fees);
        expect("held_from_transfers", lease_.holds - lease_.releases - lease_.charges - lease_.fees,
               lease_.held);
        if (lease_.state == "ended") expect("hold_released_at_end", 0, lease_.held);
    }

    void check_receipt() {
        if (!lease_.receipt) {
            if (lease_.state == "ended") report_({"receipt_exists", name_, "a receipt", "none"});
            return;
        }
        const Receipt& receipt = *lease_.receipt;
        if (lease_.state != "ended")
            report_({"receipt_after_end", name_, "no receipt before the end", "a receipt"});
        expect("receipt_renter", id_text("org", lease_.renter), id_text("org", receipt.renter), "receipt");
        expect("receipt_seller", id_text("org", lease_.seller), id_text("org", receipt.seller), "receipt");
        const auto text = parse_signed(receipt.statement);
        if (!text) {
            report_({"receipt_form", name_, "lines of a name and a value", "something else"});
            return;
        }
        expect("receipt_form", "fallow-receipt-v1", text->head, "receipt");
        const auto agrees = [&](const char* field, const std::string& expected) {
            expect("receipt_agrees", expected, text->one(field), "receipt " + std::string(field));
        };
        agrees("lease", name_);
        agrees("order", id_text("order", lease_.order));
        agrees("renter", id_text("org", lease_.renter));
        agrees("seller", id_text("org", lease_.seller));
        agrees("host", id_text("host", lease_.host));
        agrees("listing", id_text("listing", lease_.listing));
        agrees("cards", cards_text());
        agrees("thousandths", std::to_string(lease_.thousandths));
        agrees("started_at", lease_.started_at);
        agrees("ended_at", lease_.ended_at);
        agrees("end_reason", lease_.end_reason);
        agrees("running_ms", std::to_string(lease_.running_ms));
        agrees("charged_micros", std::to_string(lease_.charged));
        agrees("fee_micros", std::to_string(lease_.fee));
        agrees("usage_sha256", lease_.usage.empty() ? "none" : lease_.usage.back().sha256);
        check_receipt_segments(*text);
    }

    /// The segments alone give the charge: that is what a holder of the receipt can verify.
    void check_receipt_segments(const SignedText& text) {
        Wide numerator = 0;
        Wide running = 0;
        std::string listed;
        const auto segments = text.fields.find("segment");
        if (segments != text.fields.end()) {
            for (const std::string& segment : segments->second) {
                const auto space = segment.find(' ');
                const auto price = parse_count(segment.substr(0, space));
                const auto ms = parse_count(space == std::string::npos ? "" : segment.substr(space + 1));
                if (!price || !ms) {
                    report_({"receipt_segments", name_ + " receipt", "a price and a time", segment});
                    return;
                }
                running += *ms;
                if (*ms > 0) listed += segment + "; ";
                numerator += static_cast<Wide>(*price) * *ms;
            }
        }
        expect("receipt_segments", stretches_text(), listed, "receipt prices");
        expect("receipt_segments", lease_.running_ms, running, "receipt running time");
        const Wide of_cards = numerator * lease_.thousandths;
        const Wide of_time = of_cards + storage_rate() * running;
        const Wide charge = (of_time + traffic()) / numerator_per_micro;
        expect("receipt_segments", lease_.charged, charge, "receipt charge");
        check_receipt_storage(text, of_time / numerator_per_micro - of_cards / numerator_per_micro);
        check_receipt_traffic(text, charge - of_time / numerator_per_micro);
    }

    /// A receipt tells of storage where it cost something, and of none elsewhere.
    void check_receipt_storage(const SignedText& text, Wide part) {
        if (storage_rate() == 0) {
            if (text.fields.contains("storage_micros"))
                report_({"receipt_storage", name_ + " receipt", "no storage", "storage"});
            return;
        }
        const auto agrees = [&](const char* field, Wide expected) {
            expect("receipt_storage", decimal(expected), text.one(field), "receipt " + std::string(field));
        };
        agrees("storage_bytes", lease_.storage_bytes);
        agrees("storage_micros_per_gib_month", lease_.storage_price);
        agrees("storage_nanos_per_hour", storage_rate());
        agrees("storage_micros", part);
    }

    /// The same of traffic.
    void check_receipt_traffic(const SignedText& text, Wide part) {
        if (traffic() == 0) {
            if (text.fields.contains("egress_micros"))
                report_({"receipt_traffic", name_ + " receipt", "no traffic", "traffic"});
            return;
        }
        const auto agrees = [&](const char* field, Wide expected) {
            expect("receipt_traffic", decimal(expected), text.one(field), "receipt " + std::string(field));
        };
        agrees("egress_mib", lease_.egress_mib);
        agrees("egress_micros_per_gib", lease_.egress_price);
        agrees("egress_micros", part);
    }

    /// The stretches in which anything ran, as a receipt lists them.
    std::string stretches_text() const {
        std::string list;
        for (const auto& [price, ms] : stretches())
            if (ms > 0) list += std::to_string(price) + " " + std::to_string(ms) + "; ";
        return list;
    }

    std::string cards_text() const {
        std::string list;
        for (const std::string& card : lease_.cards)
            list += (list.empty() ? "" : ",") + id_text("card", card);
        return list;
    }

    const Lease& lease_;
    const Report& report_;
    std::string name_;
    std::int64_t claimed_bytes_ = 0;  ///< by the statement that was looked at last
};

}  // namespace

void check_leases(const Ledger& ledger, const Report& report) {
    for (const auto& [id, lease] : ledger.leases)
        LeaseCheck(lease, report).run();
    for (const auto& [id, usage] : ledger.orphaned_usage)
        report({"usage_lease_exists", id_text("lease", id) + " usage " + std::to_string(usage.sequence),
                "a lease", "none"});
    for (const std::string& id : ledger.orphaned_receipts)
        report({"receipt_lease_exists", id_text("lease", id) + " receipt", "a lease", "none"});
    for (const std::string& id : ledger.orphaned_segments)
        report({"segment_lease_exists", id_text("lease", id) + " segment", "a lease", "none"});
}

}  // namespace fallow_proof
