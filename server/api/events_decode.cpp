#include <nlohmann/json.hpp>
#include <stdexcept>

#include "api/events.hpp"

namespace fallow::api {

std::vector<JournalItem> parse_journal_record(std::string_view record) try {
    const auto document = nlohmann::ordered_json::parse(record);
    // Of version 2 the events are the same; what it adds is for followers.
    if (document.at("v") != 1 && document.at("v") != 2)
        throw std::runtime_error("a journal record has an unknown version");
    std::vector<JournalItem> items;
    for (const auto& entry : document.at("entries")) {
        JournalItem item;
        entry.at("t").get_to(item.table);
        entry.at("id").get_to(item.object_id);
        entry.at("event").get_to(item.event);
        if (const auto& reason = entry.at("reason"); !reason.is_null() && reason != "")
            item.reason = reason;
        entry.at("actor").get_to(item.actor);
        for (const auto& organization : entry.at("orgs"))
            if (const auto id = OrganizationId::parse(organization.get<std::string>()))
                item.organizations.push_back(*id);
        item.row = entry.at("row").dump();
        items.push_back(std::move(item));
    }
    return items;
} catch (const nlohmann::json::exception& error) {
    throw std::runtime_error(std::string("a journal record cannot be read: ") + error.what());
}

}  // namespace fallow::api
