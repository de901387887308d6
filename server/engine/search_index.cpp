#include "engine/search_index.hpp"

namespace fallow::engine {

void SearchIndex::reset(const market::State& state, std::int64_t sequence) {
    market::search::Index fresh(state, sequence);
    const std::unique_lock lock(index_mutex_);
    const std::lock_guard waiting_lock(waiting_mutex_);
    index_ = std::move(fresh);
    waiting_.clear();
    waiting_rows_ = 0;
    newest_ = sequence;
}

void SearchIndex::apply(std::int64_t sequence, std::vector<CommittedRow> rows) {
    bool is_long = false;
    {
        const std::lock_guard lock(waiting_mutex_);
        // The first record of all follows a market that was read at 0.
        if (sequence <= newest_) return;
        if (sequence != newest_ + 1) {
            waiting_.clear();
            waiting_rows_ = 0;
            newest_ = 0;
            return;
        }
        waiting_rows_ += rows.size();
        waiting_.push_back({sequence, std::move(rows)});
        newest_ = sequence;
        is_long = waiting_rows_ > waiting_rows_max || waiting_.size() > waiting_rows_max;
    }
    if (is_long) carry_in();
}

void SearchIndex::catch_up() {
    {
        const std::lock_guard lock(waiting_mutex_);
        if (waiting_.empty()) return;
    }
    carry_in();
}

void SearchIndex::carry_in() {
    const std::unique_lock lock(index_mutex_);
    std::vector<Record> records;
    {
        const std::lock_guard waiting_lock(waiting_mutex_);
        records.swap(waiting_);
        waiting_rows_ = 0;
    }
    for (const Record& record : records) {
        for (const CommittedRow& row : record.rows) {
            if (row.is_removed)
                index_.remove(row.row);
            else
                index_.put(row.row);
        }
        index_.settle(record.sequence);
    }
}

}  // namespace fallow::engine
