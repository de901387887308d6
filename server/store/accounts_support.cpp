#include "store/accounts_support.hpp"

namespace fallow::store {

void append_journal(Transaction& tx, const accounts::Author& author,
                    const std::vector<accounts::JournalEntry>& entries) {
    tx.query("SELECT journal_append($1, $2)", author.now, accounts::journal_record(entries));
}

void lock_name(Transaction& tx, const std::string& name) {
    tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", name);
}

std::string qualified_columns(const std::vector<Column>& columns, const std::string& alias) {
    std::string list;
    for (const Column& column : columns)
        list += (list.empty() ? "" : ", ") + alias + "." + column.name;
    return list;
}

}  // namespace fallow::store
