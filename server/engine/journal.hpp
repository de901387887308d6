// The journal: one record a batch, of row after-images and the events that they are. Secrets never enter
// it: the rows that hold them (job specifications, stored replies) are not part of it.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store.hpp"
#include "market/transaction.hpp"

namespace fallow::engine {

/// {"v":2,"entries":[{"t","id","event","reason","actor","orgs","row"}…],"rows":[{"t","row"}…],
/// "derived":[{"t","row"}…]}. `entries` are the events, in their order, each with the whole row. `rows` are
/// those whose last change is no event, whole; `derived` are those of which only columns have moved that
/// the database derives, with their key and these columns. All three together make a follower's state the
/// leader's.
[[nodiscard]] std::string journal_text(const std::vector<market::Entry>& entries);

/// SHA-256, lower-case hex.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

/// The next link of the chain: SHA-256 over the previous link's 64 hex digits and the record's bytes.
[[nodiscard]] std::string next_chain(const std::string& previous_hex, const std::string& record);

/// The hub's topics that a batch's readers wait on.
[[nodiscard]] std::vector<std::string> topics_of(const std::vector<market::Entry>& entries);

/// The receipts of the leases that ended in a batch, signed.
[[nodiscard]] std::vector<Receipt> receipts_of(const std::vector<market::Entry>& entries,
                                               const std::string& server_key,
                                               const std::function<std::string(const std::string&)>& sign);

}  // namespace fallow::engine
