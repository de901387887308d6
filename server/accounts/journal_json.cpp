#include <nlohmann/json.hpp>

#include "accounts/journal.hpp"

namespace fallow::accounts {

namespace {

using Json = nlohmann::ordered_json;

/// Writes a described row as a JSON object.
class RowJson {
  public:
    template <class Value>
    void key(const char* name, const Value& value) {
        field(name, value);
    }
    template <class Tag>
    void field(const char* name, const Id<Tag>& id) {
        object_[name] = id.text();
    }
    void field(const char* name, const Time& time) { object_[name] = to_rfc3339(time); }
    void field(const char* name, const std::string& text) { object_[name] = text; }
    void field(const char* name, std::int64_t number) { object_[name] = number; }
    void field(const char* name, const std::vector<std::string>& texts) { object_[name] = texts; }
    template <class Value>
    void field(const char* name, const std::optional<Value>& value) {
        if (value) {
            field(name, *value);
        } else {
            object_[name] = nullptr;
        }
    }
    [[nodiscard]] std::string text() const { return object_.dump(); }

  private:
    Json object_ = Json::object();
};

template <class Row>
JournalEntry entry_of(const Row& row, std::string id, std::string event, std::string actor) {
    RowJson json;
    Row::describe(row, json);
    return JournalEntry{std::string(Row::table), std::move(id),      std::move(event), {},
                        std::move(actor),        {row.organization}, json.text()};
}

}  // namespace

JournalEntry journal_entry(const ApiKey& key, std::string event, std::string actor) {
    return entry_of(key, key.id.text(), std::move(event), std::move(actor));
}

JournalEntry journal_entry(const EnrollmentToken& token, std::string event, std::string actor) {
    return entry_of(token, token.id.text(), std::move(event), std::move(actor));
}

JournalEntry journal_entry(const AgentCertificate& certificate, std::string event, std::string actor) {
    return entry_of(certificate, certificate.serial_hex, std::move(event), std::move(actor));
}

JournalEntry journal_entry(const SavedSearch& search, std::string event, std::string actor) {
    return entry_of(search, search.id.text(), std::move(event), std::move(actor));
}

JournalEntry journal_entry(const Secret& secret, std::string event, std::string actor) {
    return entry_of(secret, secret.id.text(), std::move(event), std::move(actor));
}

std::string journal_record(const std::vector<JournalEntry>& entries) {
    Json list = Json::array();
    for (const JournalEntry& entry : entries) {
        Json organizations = Json::array();
        for (const OrganizationId id : entry.organizations)
            organizations.push_back(id.text());
        list.push_back(Json{{"t", entry.table},
                            {"id", entry.id},
                            {"event", entry.event},
                            {"reason", entry.reason.empty() ? Json(nullptr) : Json(entry.reason)},
                            {"actor", entry.actor},
                            {"orgs", std::move(organizations)},
                            {"row", Json::parse(entry.row)}});
    }
    return Json{{"v", 1}, {"entries", std::move(list)}}.dump();
}

}  // namespace fallow::accounts
