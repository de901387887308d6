#include "agent/owner_desk.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/state.hpp"
#include "guard/process.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

json processes_json(const std::vector<OwnerProcess>& processes) {
    json array = json::array();
    for (const OwnerProcess& process : processes)
        array.push_back({{"pid", process.pid}, {"start_ticks", process.start_ticks}});
    return array;
}

OwnerHold hold_from(const json& item) {
    OwnerHold hold{.boot_id = item.at("boot_id").get<std::string>(),
                   .since_boot_ms = item.at("since_boot_ms").get<std::int64_t>(),
                   .since_unix_ms = item.at("since_unix_ms").get<std::int64_t>(),
                   .at_once = item.at("at_once").get<bool>(),
                   .until_released = item.at("until_released").get<bool>(),
                   .processes = {}};
    for (const json& process : item.at("processes"))
        hold.processes.push_back(
            {process.at("pid").get<std::int64_t>(), process.at("start_ticks").get<std::int64_t>()});
    return hold;
}

bool has_ended(const OwnerProcess& process) {
    return !guard::is_alive(process.pid, process.start_ticks);
}

}  // namespace

std::string encode_holds(const std::map<std::string, OwnerHold>& holds) {
    json array = json::array();
    for (const auto& [uuid, hold] : holds)
        array.push_back({{"uuid", uuid},
                         {"boot_id", hold.boot_id},
                         {"since_boot_ms", hold.since_boot_ms},
                         {"since_unix_ms", hold.since_unix_ms},
                         {"at_once", hold.at_once},
                         {"until_released", hold.until_released},
                         {"processes", processes_json(hold.processes)}});
    return json{{"held", array}}.dump(1);
}

std::map<std::string, OwnerHold> parse_holds(std::string_view text) {
    try {
        std::map<std::string, OwnerHold> holds;
        const json document = json::parse(text);
        for (const json& item : document.at("held"))
            holds[item.at("uuid").get<std::string>()] = hold_from(item);
        return holds;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("what the owner holds has not the expected form: ") +
                                 error.what());
    }
}

OwnerDesk::OwnerDesk(const std::filesystem::path& state_folder, std::string boot_id)
    : file_(state_folder / "held.json"), boot_id_(std::move(boot_id)) {
    if (std::filesystem::exists(file_)) holds_ = parse_holds(read_file(file_));
}

void OwnerDesk::save(const std::map<std::string, OwnerHold>& holds) {
    write_file_atomically(file_, encode_holds(holds), true);
    holds_ = holds;
}

void OwnerDesk::take(const std::string& uuid, bool at_once, const std::optional<OwnerProcess>& process) {
    const std::lock_guard lock(mutex_);
    auto holds = holds_;
    OwnerHold& hold =
        holds.try_emplace(uuid, OwnerHold{boot_id_, boot_clock_ms(), wall_clock_ms(), at_once, false, {}})
            .first->second;
    if (hold.boot_id != boot_id_)
        hold = {boot_id_, boot_clock_ms(), wall_clock_ms(), at_once, hold.until_released, {}};
    hold.at_once = hold.at_once || at_once;
    std::erase_if(hold.processes, has_ended);
    if (process)
        hold.processes.push_back(*process);
    else
        hold.until_released = true;
    save(holds);
}

bool OwnerDesk::release(const std::string& uuid) {
    const std::lock_guard lock(mutex_);
    auto holds = holds_;
    if (holds.erase(uuid) == 0) return false;
    save(holds);
    return true;
}

std::vector<std::string> OwnerDesk::release_ended() {
    const std::lock_guard lock(mutex_);
    auto holds = holds_;
    std::vector<std::string> released;
    for (const auto& [uuid, hold] : holds_) {
        const bool is_over = !hold.until_released &&
                             (hold.boot_id != boot_id_ || std::ranges::all_of(hold.processes, has_ended));
        if (!is_over) continue;
        holds.erase(uuid);
        released.push_back(uuid);
    }
    if (!released.empty()) save(holds);
    return released;
}

std::map<std::string, OwnerHold> OwnerDesk::holds() const {
    const std::lock_guard lock(mutex_);
    return holds_;
}

std::vector<OwnerClaim> OwnerDesk::claims() const {
    const std::lock_guard lock(mutex_);
    std::vector<OwnerClaim> claims;
    for (const auto& [uuid, hold] : holds_)
        // Of another boot: nothing has run since, so that no notice is left.
        claims.push_back({uuid, hold.boot_id == boot_id_ ? hold.since_boot_ms : 0, true, hold.at_once});
    return claims;
}

}  // namespace fallow::agent
