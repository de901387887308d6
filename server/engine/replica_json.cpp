#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "engine/journal.hpp"
#include "engine/json_reader.hpp"
#include "engine/replica.hpp"
#include "market/transaction.hpp"

namespace fallow::engine {
namespace {

using Json = nlohmann::json;

constexpr int version = 2;

/// A visitor that reads the key alone, to find the row that the object is about.
class JsonKeyReader : JsonRowReader {
  public:
    using JsonRowReader::JsonRowReader;
    using JsonRowReader::key;
    template <class T>
    void derived(std::string_view, T&) {}
    template <class T>
    void field(std::string_view, T&) {}
};

/// The rows that a State keeps; the journal tells of others as well.
template <class... Rows>
struct RowList {};
using KeptRows = RowList<market::Organization, ledger::Account, market::Host, market::Card, market::Listing,
                         market::Order, market::Lease, market::Job, market::Reservation, market::Booking,
                         market::Freeze, market::Settings, market::Policy, market::PolicyApproval,
                         market::SpotPool, market::LeaseSegment>;

class Applied {
  public:
    explicit Applied(market::State& state) : state_(state) {}

    void event(const Json& entry) {
        const bool is_removed = entry.value("removed", false);
        on_row(entry, [&]<class Row>(const Row& row, const Row* known) {
            if (!is_removed) {
                put(row, known);
                note(row);
            } else if (known != nullptr) {
                change(row, true);
                state_.replace<Row>(known, nullptr);
            }
        });
    }
    void row(const Json& entry) {
        on_row(entry, [&]<class Row>(const Row& row, const Row* known) { put(row, known); });
    }
    void derived(const Json& entry) {
        on_row(entry, [&]<class Row>(const Row& row, const Row* known) {
            if (known == nullptr) throw std::runtime_error("a column of a row that is not known has moved");
            put(row, known);
        });
    }
    /// What nothing can change any more leaves the state, as it leaves the leader's.
    void forget_final_rows() {
        for (const market::AnyRow& row : finals_)
            market::forget_if_final(state_, row);
    }
    [[nodiscard]] std::vector<CommittedRow> take_changed() { return std::move(changed_); }
    [[nodiscard]] std::vector<std::string> topics() const { return {topics_.begin(), topics_.end()}; }

  private:
    template <class Row>
    void put(const Row& row, const Row* known) {
        state_.replace<Row>(known, &row);
        change(row, false);
    }
    template <class Row>
    void change(const Row& row, bool is_removed) {
        if constexpr (std::is_constructible_v<market::AnyRow, Row>)
            if (market::AnyRow any(row); market::search::is_indexed(any))
                changed_.push_back({std::move(any), is_removed});
    }

    template <class Row>
    void note(const Row& row) {
        if constexpr (std::is_same_v<Row, market::Lease>) topics_.insert("host/" + row.host.text());
        if constexpr (std::is_same_v<Row, market::Job>) topics_.insert("job/" + row.id.text());
        if constexpr (std::is_same_v<Row, market::Lease> || std::is_same_v<Row, market::Order> ||
                      std::is_same_v<Row, market::Reservation>)
            finals_.emplace_back(row);
    }

    template <class Visit>
    void on_row(const Json& entry, Visit&& visit) {
        on_row(entry, visit, KeptRows{});
    }
    template <class Visit, class... Rows>
    void on_row(const Json& entry, Visit& visit, RowList<Rows...>) {
        const auto& table = entry.at("t").get_ref<const std::string&>();
        static_cast<void>(((table == Rows::table && (read<Rows>(entry.at("row"), visit), true)) || ...));
    }

    /// A known row is the base that the object's columns are laid over.
    template <class Row, class Visit>
    void read(const Json& object, Visit& visit) {
        Row row;
        Row::describe(row, JsonKeyReader(object));
        const Row* known = state_.find<Row>(market::KeyOf<Row>::of(row));
        if (known != nullptr) row = *known;
        Row::describe(row, JsonRowReader(object));
        visit(row, known);
    }

    market::State& state_;
    std::vector<market::AnyRow> finals_;
    std::vector<CommittedRow> changed_;
    std::set<std::string> topics_{"journal"};
};

std::vector<std::string> apply_text(market::State& state, const std::string& text,
                                    std::vector<CommittedRow>& changed) {
    const Json document = Json::parse(text);
    if (document.at("v") != version)
        throw std::runtime_error("its version is not " + std::to_string(version));
    Applied applied(state);
    for (const Json& entry : document.at("entries"))
        applied.event(entry);
    for (const Json& entry : document.at("rows"))
        applied.row(entry);
    for (const Json& entry : document.at("derived"))
        applied.derived(entry);
    applied.forget_final_rows();
    changed = applied.take_changed();
    return applied.topics();
}

}  // namespace

std::vector<std::string> Replica::apply(const JournalRecord& record) try {
    if (record.sequence != position_.sequence + 1) throw std::runtime_error("the one before it is missing");
    if (record.chain_hex != next_chain(position_.chain_hex, record.record))
        throw std::runtime_error("its chain does not follow from the one before it");
    std::vector<std::string> topics = apply_text(state_, record.record, changed_);
    position_ = {record.sequence, record.chain_hex, record.at};
    return topics;
} catch (const std::exception& error) {
    throw JournalBroken("journal record " + std::to_string(record.sequence) + ": " + error.what());
}

}  // namespace fallow::engine
