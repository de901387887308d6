// What the account stores share: the journal's stream of their own, and locks on what has no row to lock.
#pragma once

#include <string>
#include <vector>

#include "accounts/accounts.hpp"
#include "accounts/journal.hpp"
#include "store/column_batch.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

/// Appends one record. The stream's row stays locked until the commit, so this is a transaction's last
/// statement.
void append_journal(Transaction& tx, const accounts::Author& author,
                    const std::vector<accounts::JournalEntry>& entries);

/// Until the end of the transaction nobody else holds the lock of this name. For what a constraint cannot
/// say: a limit on the number of rows, or a row that is not there yet.
void lock_name(Transaction& tx, const std::string& name);

/// select_list<Row>() with each column after "alias.".
[[nodiscard]] std::string qualified_columns(const std::vector<Column>& columns, const std::string& alias);

}  // namespace fallow::store
