#include "engine/journal.hpp"

#include <openssl/evp.h>

#include <array>
#include <map>
#include <set>

#include "base/assert.hpp"
#include "engine/json_writer.hpp"
#include "ledger/receipt.hpp"

namespace fallow::engine {
namespace {

template <class Row>
concept HasId = requires(const Row& row) {
    row.id.text();
};

template <class Row>
std::string id_text(const Row& row) {
    if constexpr (HasId<Row>)
        return row.id.text();
    else
        return {};
}

void append_entry(std::string& out, const market::Entry& entry) {
    const market::AnyRow& row = entry.after ? *entry.after : *entry.before;
    std::visit(
        [&](const auto& specific) {
            using Row = std::decay_t<decltype(specific)>;
            out += R"({"t":)";
            append_json_string(out, Row::table);
            out += R"(,"id":)";
            append_json_string(out, id_text(specific));
            out += R"(,"event":)";
            append_json_string(out, entry.event);
            out += R"(,"reason":)";
            if (entry.reason.empty())
                out += "null";
            else
                append_json_string(out, entry.reason);
            out += R"(,"actor":)";
            append_json_string(out, entry.actor);
            out += entry.after ? R"(,"orgs":[)" : R"(,"removed":true,"orgs":[)";
            bool first = true;
            for (const OrganizationId organization : market::audience(row)) {
                if (!first) out.push_back(',');
                first = false;
                append_json_string(out, organization.text());
            }
            out += R"(],"row":)";
            JsonRowWriter writer(out);
            Row::describe(specific, writer);
            writer.close();
            out.push_back('}');
        },
        row);
}

/// Rows of the state whose last change in a batch is no event. Without them a follower would not know it.
class SilentChanges {
  public:
    void note(const market::Entry& entry) {
        const market::AnyRow& any = entry.after ? *entry.after : *entry.before;
        std::visit(
            [&]<class Row>(const Row& row) {
                if constexpr (HasId<Row> && !std::is_same_v<Row, ledger::Transfer>)
                    note(entry, {any.index(), row.id.raw});
            },
            any);
    }

    /// ,"rows":[whole rows],"derived":[their key and the columns that the database derives]
    void append_to(std::string& out) const {
        append_list(out, R"(,"rows":[)", true);
        append_list(out, R"(],"derived":[)", false);
        out.push_back(']');
    }

  private:
    struct Change {
        const market::AnyRow* row = nullptr;
        bool is_whole = false;
    };
    using Key = std::pair<std::size_t, RawId>;

    void note(const market::Entry& entry, const Key& key) {
        // An event carries the whole row; only what came after it is silent.
        if (!entry.event.empty() || !entry.after) {
            changes_.erase(key);
            return;
        }
        Change& change = changes_[key];
        change.row = &*entry.after;
        change.is_whole = change.is_whole || !entry.derived;
    }

    void append_list(std::string& out, std::string_view opening, bool whole) const {
        out += opening;
        for (const auto& [key, change] : changes_) {
            if (change.is_whole != whole) continue;
            if (out.back() != '[') out.push_back(',');
            append_change(out, change);
        }
    }

    static void append_change(std::string& out, const Change& change) {
        std::visit(
            [&]<class Row>(const Row& row) {
                out += R"({"t":)";
                append_json_string(out, Row::table);
                out += R"(,"row":)";
                JsonRowWriter writer(out, change.is_whole ? JsonColumns::all : JsonColumns::derived);
                Row::describe(row, writer);
                writer.close();
                out.push_back('}');
            },
            *change.row);
    }

    std::map<Key, Change> changes_;
};

ledger::ReceiptFacts facts_of(const market::Lease& lease, const std::vector<ledger::Segment>& bill,
                              const std::string& server_key) {
    ledger::ReceiptFacts facts;
    facts.server_key = server_key;
    facts.lease = lease.id;
    facts.order = lease.order;
    facts.renter = lease.renter;
    facts.seller = lease.seller;
    facts.host = lease.host;
    facts.listing = lease.listing;
    facts.cards = lease.cards;
    facts.thousandths = lease.thousandths;
    facts.started_at = lease.running_at;
    facts.ended_at = *lease.ended_at;
    facts.end_reason = name_of(*lease.end_reason);
    facts.segments = bill.empty() ? std::vector{ledger::Segment{lease.price, lease.meter.running}} : bill;
    facts.storage_bytes = lease.storage_bytes;
    facts.storage_price = lease.storage_price;
    facts.egress_price = lease.egress_price;
    facts.meter = lease.meter;
    facts.usage_sha256 = lease.usage_sha256;
    return facts;
}

const market::Lease* lease_after(const market::Entry& entry) {
    return entry.after ? std::get_if<market::Lease>(&*entry.after) : nullptr;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    static constexpr std::string_view hex = "0123456789abcdef";
    out.push_back('"');
    std::size_t plain_from = 0;  // what needs no escape is copied in whole stretches
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const bool is_quoted = byte == '"' || byte == '\\';
        if (byte >= 0x20 && !is_quoted) continue;
        out.append(text, plain_from, i - plain_from);
        plain_from = i + 1;
        if (is_quoted) {
            out.push_back('\\');
            out.push_back(text[i]);
        } else {
            out += "\\u00";
            out.push_back(hex[byte >> 4]);
            out.push_back(hex[byte & 15]);
        }
    }
    out.append(text, plain_from);
    out.push_back('"');
}

std::string journal_text(const std::vector<market::Entry>& entries) {
    std::string out = R"({"v":2,"entries":[)";
    SilentChanges silent;
    bool first = true;
    for (const market::Entry& entry : entries) {
        silent.note(entry);
        if (entry.event.empty()) continue;
        if (!first) out.push_back(',');
        first = false;
        append_entry(out, entry);
    }
    out.push_back(']');
    silent.append_to(out);
    out.push_back('}');
    return out;
}

std::string sha256_hex(std::string_view bytes) {
    static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);  // once: it is slow
    std::array<unsigned char, 32> digest{};
    FALLOW_ASSERT(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, algorithm, nullptr) == 1);
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string text;
    text.reserve(64);
    for (const unsigned char byte : digest) {
        text.push_back(hex[byte >> 4]);
        text.push_back(hex[byte & 15]);
    }
    return text;
}

std::string next_chain(const std::string& previous_hex, const std::string& record) {
    return sha256_hex(previous_hex + record);
}

std::vector<std::string> topics_of(const std::vector<market::Entry>& entries) {
    std::set<std::string> topics{"journal"};
    for (const market::Entry& entry : entries) {
        if (!entry.after || entry.event.empty()) continue;
        if (const auto* lease = std::get_if<market::Lease>(&*entry.after))
            topics.insert("host/" + lease->host.text());
        else if (const auto* job = std::get_if<market::Job>(&*entry.after))
            topics.insert("job/" + job->id.text());
    }
    return {topics.begin(), topics.end()};
}

std::vector<Receipt> receipts_of(const std::vector<market::Entry>& entries, const std::string& server_key,
                                 const std::function<std::string(const std::string&)>& sign) {
    std::vector<Receipt> receipts;
    for (const market::Entry& entry : entries) {
        const market::Lease* lease = lease_after(entry);
        if (lease == nullptr || entry.event != "lease.ended") continue;
        std::string statement = ledger::receipt_text(facts_of(*lease, entry.bill, server_key));
        std::string signature = sign(statement);
        receipts.push_back(Receipt{lease->id, lease->renter, lease->seller, std::move(statement),
                                   std::move(signature), *lease->ended_at});
    }
    return receipts;
}

}  // namespace fallow::engine
