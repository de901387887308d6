// The journal's records of what happens outside the market, in the stream "accounts": the same format as
// the market's, row after-images with their events, never a secret or a hash.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "accounts/keys.hpp"
#include "accounts/saved_searches.hpp"
#include "accounts/secrets.hpp"

namespace fallow::accounts {

inline constexpr std::string_view journal_stream = "accounts";

/// One entry: `event` names what happened to a row of `table`; `row` is its after-image as JSON.
struct JournalEntry {
    std::string table;
    std::string id;
    std::string event;                          ///< "key.created"
    std::string reason;                         ///< empty when the event says it all
    std::string actor;                          ///< "key_…", "host_…" or "system"
    std::vector<OrganizationId> organizations;  ///< who may see it
    std::string row;
};

[[nodiscard]] JournalEntry journal_entry(const ApiKey& key, std::string event, std::string actor);
[[nodiscard]] JournalEntry journal_entry(const EnrollmentToken& token, std::string event,
                                         std::string actor);
[[nodiscard]] JournalEntry journal_entry(const AgentCertificate& certificate, std::string event,
                                         std::string actor);

[[nodiscard]] JournalEntry journal_entry(const SavedSearch& search, std::string event, std::string actor);
[[nodiscard]] JournalEntry journal_entry(const Secret& secret, std::string event, std::string actor);

/// {"v":1,"entries":[{"t","id","event","reason","actor","orgs","row"}]}
[[nodiscard]] std::string journal_record(const std::vector<JournalEntry>& entries);

}  // namespace fallow::accounts
