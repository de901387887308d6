#include "agent/slurm_meeting.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/lease_json.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::array<std::pair<SlurmPhase, const char*>, 5> phase_names = {{
    {SlurmPhase::pulling, "pulling"},
    {SlurmPhase::prepared, "prepared"},
    {SlurmPhase::running, "running"},
    {SlurmPhase::exited, "exited"},
    {SlurmPhase::failed, "failed"},
}};

const char* name_of(SlurmPhase phase) {
    for (const auto& [value, name] : phase_names)
        if (value == phase) return name;
    return "pulling";
}

SlurmPhase phase_named(const std::string& text) {
    for (const auto& [value, name] : phase_names)
        if (text == name) return value;
    throw std::runtime_error("a Slurm job has no phase \"" + text + "\"");
}

}  // namespace

SlurmMeeting meeting_of(const std::filesystem::path& lease_folder) {
    return {lease_folder / "slurm"};
}

std::string encode_errand(const SlurmErrand& errand) {
    LeaseRecord record;
    record.desired = errand.lease;
    return json{{"record", json::parse(encode_record(record))},
                {"host_id", errand.host_id},
                {"engine_socket", errand.engine_socket},
                {"runtime", errand.runtime},
                {"user_namespace", errand.user_namespace},
                {"inputs", errand.folders.inputs},
                {"outputs", errand.folders.outputs},
                {"notices", errand.folders.notices},
                {"is_elsewhere", errand.is_elsewhere},
                {"pulse_file", errand.pulse_file}}
        .dump(1);
}

SlurmErrand parse_errand(std::string_view text) {
    try {
        const json object = json::parse(text);
        const auto word = [&](const char* name) { return object.at(name).get<std::string>(); };
        return {.lease = parse_record(object.at("record").dump()).desired,
                .host_id = word("host_id"),
                .engine_socket = word("engine_socket"),
                .runtime = word("runtime"),
                .user_namespace = object.at("user_namespace").get<bool>(),
                .folders = {word("inputs"), word("outputs"), word("notices")},
                .is_elsewhere = object.at("is_elsewhere").get<bool>(),
                .pulse_file = word("pulse_file")};
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("an errand has not the expected form: ") + error.what());
    }
}

std::string encode_status(const SlurmStatus& status) {
    return json{{"phase", name_of(status.phase)},
                {"container_id", status.container_id},
                {"pid", status.pid},
                {"started_unix_ms", status.started_unix_ms},
                {"finished_unix_ms", status.finished_unix_ms},
                {"exit_code", status.exit_code},
                {"oom_killed", status.oom_killed},
                {"is_cleaned", status.is_cleaned},
                {"image_failed", status.image_failed},
                {"detail", status.detail}}
        .dump(1, ' ', false, json::error_handler_t::replace);
}

SlurmStatus parse_status(std::string_view text) {
    try {
        const json object = json::parse(text);
        const auto number = [&](const char* name) { return object.at(name).get<std::int64_t>(); };
        const auto flag = [&](const char* name) { return object.at(name).get<bool>(); };
        return {.phase = phase_named(object.at("phase").get<std::string>()),
                .container_id = object.at("container_id").get<std::string>(),
                .pid = number("pid"),
                .started_unix_ms = number("started_unix_ms"),
                .finished_unix_ms = number("finished_unix_ms"),
                .exit_code = number("exit_code"),
                .oom_killed = flag("oom_killed"),
                .is_cleaned = flag("is_cleaned"),
                .image_failed = flag("image_failed"),
                .detail = object.at("detail").get<std::string>()};
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("a job's status has not the expected form: ") + error.what());
    }
}

std::string encode_look(const SlurmLook& look) {
    return json{{"number", look.number}, {"command", look.command}, {"timeout_ms", look.timeout_ms}}.dump(
        1);
}

SlurmLook parse_look(std::string_view text) {
    try {
        const json object = json::parse(text);
        return {.number = object.at("number").get<std::int64_t>(),
                .command = object.at("command").get<std::vector<std::string>>(),
                .timeout_ms = object.at("timeout_ms").get<std::int64_t>()};
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("a look has not the expected form: ") + error.what());
    }
}

std::string encode_looked(const SlurmLooked& looked) {
    json object = {{"number", looked.number}, {"exit_code", nullptr}, {"problem", looked.problem}};
    if (looked.exit_code) object["exit_code"] = *looked.exit_code;
    return object.dump(1, ' ', false, json::error_handler_t::replace);
}

SlurmLooked parse_looked(std::string_view text) {
    try {
        const json object = json::parse(text);
        SlurmLooked looked;
        looked.number = object.at("number").get<std::int64_t>();
        if (const json& code = object.at("exit_code"); !code.is_null())
            looked.exit_code = code.get<std::int64_t>();
        looked.problem = object.at("problem").get<std::string>();
        return looked;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("a look's end has not the expected form: ") + error.what());
    }
}

std::optional<SlurmLook> read_look(const SlurmMeeting& meeting) {
    if (!std::filesystem::exists(meeting.look())) return std::nullopt;
    return parse_look(read_file(meeting.look()));
}

std::optional<SlurmLooked> read_looked(const SlurmMeeting& meeting) {
    if (!std::filesystem::exists(meeting.looked())) return std::nullopt;
    return parse_looked(read_file(meeting.looked()));
}

std::optional<SlurmStatus> read_status(const SlurmMeeting& meeting) {
    if (!std::filesystem::exists(meeting.status())) return std::nullopt;
    return parse_status(read_file(meeting.status()));
}

std::string read_job(const SlurmMeeting& meeting) {
    if (!std::filesystem::exists(meeting.job())) return {};
    std::string text = read_file(meeting.job());
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

}  // namespace fallow::agent
