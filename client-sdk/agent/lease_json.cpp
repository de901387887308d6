#include "agent/lease_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

std::string text_or_empty(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? std::string() : found->get<std::string>();
}

std::optional<std::int64_t> maybe_number(const json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return std::nullopt;
    return found->get<std::int64_t>();
}

template <class T>
T value_or(const json& object, const char* name, T otherwise) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? otherwise : found->get<T>();
}

json optional_json(const std::optional<std::int64_t>& value) {
    return value ? json(*value) : json(nullptr);
}

std::int64_t time_of(const json& object, const char* name) {
    const auto parsed = parse_rfc3339(object.at(name).get<std::string>());
    if (!parsed) throw std::runtime_error(std::string(name) + " is not a time");
    return *parsed;
}

std::optional<CheckpointSpec> checkpoint_from(const json& object) {
    const auto found = object.find("checkpoint");
    if (found == object.end() || found->is_null()) return std::nullopt;
    return CheckpointSpec{found->at("path").get<std::string>(),
                          found->at("interval_ms").get<std::int64_t>(),
                          found->at("bytes_max").get<std::int64_t>()};
}

json checkpoint_json(const std::optional<CheckpointSpec>& spec) {
    if (!spec) return nullptr;
    return {{"path", spec->path}, {"interval_ms", spec->interval_ms}, {"bytes_max", spec->bytes_max}};
}

std::optional<HealthSpec> health_from(const json& object) {
    const auto found = object.find("health");
    if (found == object.end() || found->is_null()) return std::nullopt;
    return HealthSpec{
        found->at("command").get<std::vector<std::string>>(), found->at("interval_ms").get<std::int64_t>(),
        found->at("timeout_ms").get<std::int64_t>(), found->at("start_period_ms").get<std::int64_t>(),
        found->at("retries").get<std::int64_t>()};
}

json health_json(const std::optional<HealthSpec>& health) {
    if (!health) return nullptr;
    return {{"command", health->command},
            {"interval_ms", health->interval_ms},
            {"timeout_ms", health->timeout_ms},
            {"start_period_ms", health->start_period_ms},
            {"retries", health->retries}};
}

std::optional<IdleSpec> idle_from(const json& object) {
    const auto found = object.find("idle");
    if (found == object.end() || found->is_null()) return std::nullopt;
    return IdleSpec{found->at("below_percent").get<std::int64_t>(),
                    found->at("for_ms").get<std::int64_t>()};
}

json idle_json(const std::optional<IdleSpec>& idle) {
    if (!idle) return nullptr;
    return {{"below_percent", idle->below_percent}, {"for_ms", idle->for_ms}};
}

std::optional<RestartSpec> restart_spec_from(const json& object) {
    const auto found = object.find("restart");
    if (found == object.end() || found->is_null()) return std::nullopt;
    return RestartSpec{value_or(*found, "exit_codes", std::vector<std::int64_t>()),
                       found->at("restarts_max").get<std::int64_t>(),
                       found->at("delay_ms").get<std::int64_t>()};
}

json restart_spec_json(const std::optional<RestartSpec>& restart) {
    if (!restart) return nullptr;
    return {{"exit_codes", restart->exit_codes},
            {"restarts_max", restart->restarts_max},
            {"delay_ms", restart->delay_ms}};
}

std::optional<Gang> gang_from(const json& object) {
    const auto found = object.find("gang");
    if (found == object.end() || found->is_null()) return std::nullopt;
    Gang gang = {found->at("rank").get<std::int64_t>(), found->at("hosts").get<std::int64_t>(), {}};
    for (const json& member : found->at("members"))
        gang.members.push_back({member.at("rank").get<std::int64_t>(),
                                member.at("public_key").get<std::string>(),
                                member.at("endpoint").get<std::string>()});
    return gang;
}

json gang_json(const std::optional<Gang>& gang) {
    if (!gang) return nullptr;
    json members = json::array();
    for (const GangMember& member : gang->members)
        members.push_back(
            {{"rank", member.rank}, {"public_key", member.public_key}, {"endpoint", member.endpoint}});
    return {{"rank", gang->rank}, {"hosts", gang->hosts}, {"members", members}};
}

JobSpec spec_from(const json& object) {
    JobSpec spec;
    spec.image = object.at("image").get<std::string>();
    spec.command = value_or(object, "command", std::vector<std::string>());
    spec.env = value_or(object, "env", std::map<std::string, std::string>());
    for (const json& input : value_or(object, "inputs", json::array()))
        spec.inputs.push_back(
            {input.at("path").get<std::string>(), input.at("artifact_id").get<std::string>()});
    spec.outputs = value_or(object, "outputs", std::vector<std::string>());
    spec.max_duration_ms = value_or<std::int64_t>(object, "max_duration_ms", 0);
    spec.memory_bytes = value_or<std::int64_t>(object, "memory_bytes", std::int64_t{1} << 30);
    spec.cpu_millis = value_or<std::int64_t>(object, "cpu_millis", 1000);
    spec.pids_max = value_or<std::int64_t>(object, "pids_max", 256);
    spec.disk_bytes = value_or<std::int64_t>(object, "disk_bytes", std::int64_t{1} << 30);
    spec.checkpoint = checkpoint_from(object);
    spec.secrets = value_or(object, "secrets", std::vector<std::string>());
    spec.output_interval_ms = value_or<std::int64_t>(object, "output_interval_ms", 0);
    spec.shm_bytes = value_or<std::int64_t>(object, "shm_bytes", 0);
    spec.pull_timeout_ms = value_or<std::int64_t>(object, "pull_timeout_ms", 0);
    spec.start_timeout_ms = value_or<std::int64_t>(object, "start_timeout_ms", 0);
    spec.retry_exit_codes = value_or(object, "retry_exit_codes", std::vector<std::int64_t>());
    spec.health = health_from(object);
    spec.idle = idle_from(object);
    spec.registry_secret = value_or(object, "registry_secret", std::string());
    spec.has_gang_network = text_or_empty(object, "network") == "gang";
    spec.restart = restart_spec_from(object);
    return spec;
}

json spec_json(const JobSpec& spec) {
    json inputs = json::array();
    for (const JobInput& input : spec.inputs)
        inputs.push_back({{"path", input.path}, {"artifact_id", input.artifact_id}});
    return {{"image", spec.image},
            {"command", spec.command},
            {"env", spec.env},
            {"inputs", inputs},
            {"outputs", spec.outputs},
            {"max_duration_ms", spec.max_duration_ms},
            {"memory_bytes", spec.memory_bytes},
            {"cpu_millis", spec.cpu_millis},
            {"pids_max", spec.pids_max},
            {"disk_bytes", spec.disk_bytes},
            {"checkpoint", checkpoint_json(spec.checkpoint)},
            {"secrets", spec.secrets},
            {"output_interval_ms", spec.output_interval_ms},
            {"shm_bytes", spec.shm_bytes},
            {"pull_timeout_ms", spec.pull_timeout_ms},
            {"start_timeout_ms", spec.start_timeout_ms},
            {"retry_exit_codes", spec.retry_exit_codes},
            {"health", health_json(spec.health)},
            {"idle", idle_json(spec.idle)},
            {"registry_secret", spec.registry_secret},
            {"network", spec.has_gang_network ? json("gang") : json(nullptr)},
            {"restart", restart_spec_json(spec.restart)}};
}

std::vector<LeaseCard> cards_from(const json& array) {
    std::vector<LeaseCard> cards;
    for (const json& card : array)
        cards.push_back({.card_id = card.at("card_id").get<std::string>(),
                         .uuid = card.at("uuid").get<std::string>(),
                         .backend = card.at("backend").get<std::string>(),
                         .device_class = text_or_empty(card, "device_class"),
                         .index = value_or<std::int64_t>(card, "index", 0)});
    return cards;
}

/// The fields that read the same on the wire and on disk.
DesiredLease common_from(const json& object) {
    DesiredLease lease;
    lease.lease_id = object.at("lease_id").get<std::string>();
    lease.lease_epoch = object.at("lease_epoch").get<std::int64_t>();
    lease.run = object.at("want").get<std::string>() == "run";
    lease.stop_reason = text_or_empty(object, "stop_reason");
    lease.attempt = value_or<std::int64_t>(object, "attempt", 0);
    lease.job_id = text_or_empty(object, "job_id");
    if (const auto spec = object.find("spec"); spec != object.end() && !spec->is_null())
        lease.spec = spec_from(*spec);
    lease.cards = cards_from(value_or(object, "cards", json::array()));
    lease.environment = value_or(object, "environment", std::map<std::string, std::string>());
    lease.nonce = text_or_empty(object, "nonce");
    lease.usage_sequence = value_or<std::int64_t>(object, "usage_sequence", 0);
    lease.max_duration_ms = maybe_number(object, "max_duration_ms");
    lease.usage_interval_ms = value_or<std::int64_t>(object, "usage_interval_ms", lease.usage_interval_ms);
    lease.fence_ms = value_or<std::int64_t>(object, "fence_ms", lease.fence_ms);
    lease.reclaim_notice_ms = value_or<std::int64_t>(object, "reclaim_notice_ms", lease.reclaim_notice_ms);
    lease.price_micros_per_hour = value_or<std::int64_t>(object, "price_micros_per_hour", 0);
    lease.thousandths = value_or<std::int64_t>(object, "thousandths", 0);
    lease.egress_bytes_max = maybe_number(object, "egress_bytes_max");
    lease.gang = gang_from(object);
    return lease;
}

json desired_json(const DesiredLease& lease) {
    json cards = json::array();
    for (const LeaseCard& card : lease.cards)
        cards.push_back({{"card_id", card.card_id},
                         {"uuid", card.uuid},
                         {"backend", card.backend},
                         {"device_class", card.device_class},
                         {"index", card.index}});
    return {{"lease_id", lease.lease_id},
            {"lease_epoch", lease.lease_epoch},
            {"want", lease.run ? "run" : "stop"},
            {"stop_reason", lease.stop_reason},
            {"grace_until_boot_ms", lease.grace_until_boot_ms},
            {"attempt", lease.attempt},
            {"job_id", lease.job_id},
            {"spec", lease.spec ? spec_json(*lease.spec) : json(nullptr)},
            {"cards", cards},
            {"environment", lease.environment},
            {"nonce", lease.nonce},
            {"usage_sequence", lease.usage_sequence},
            {"paid_until_boot_ms", optional_json(lease.paid_until_boot_ms)},
            {"run_until_boot_ms", optional_json(lease.run_until_boot_ms)},
            {"max_duration_ms", optional_json(lease.max_duration_ms)},
            {"usage_interval_ms", lease.usage_interval_ms},
            {"fence_ms", lease.fence_ms},
            {"reclaim_notice_ms", lease.reclaim_notice_ms},
            {"price_micros_per_hour", lease.price_micros_per_hour},
            {"thousandths", lease.thousandths},
            {"egress_bytes_max", optional_json(lease.egress_bytes_max)},
            {"gang", gang_json(lease.gang)}};
}

json exit_json(const ContainerExit& exit) {
    return {{"exit_code", exit.exit_code},
            {"oom_killed", exit.oom_killed},
            {"duration_exceeded", exit.duration_exceeded},
            {"is_temporary", exit.is_temporary}};
}

ContainerExit exit_from(const json& exit) {
    return {exit.at("exit_code").get<std::int64_t>(), exit.at("oom_killed").get<bool>(),
            exit.at("duration_exceeded").get<bool>(), value_or(exit, "is_temporary", false)};
}

json restart_json(const std::optional<AwaitedRestart>& restart) {
    if (!restart) return nullptr;
    return {{"after", exit_json(restart->after)},
            {"finished_unix_ms", restart->finished_unix_ms},
            {"due_boot_ms", restart->due_boot_ms},
            {"line", restart->line},
            {"is_ready", restart->is_ready}};
}

void read_restarts(const json& object, LeaseRecord& record) {
    record.restarts = value_or<std::int64_t>(object, "restarts", 0);
    record.restarts_reported = value_or<std::int64_t>(object, "restarts_reported", 0);
    record.earlier_ms = value_or<std::int64_t>(object, "earlier_ms", 0);
    record.oom_kills = value_or<std::int64_t>(object, "oom_kills", 0);
    const auto found = object.find("restart");
    if (found == object.end() || found->is_null()) return;
    record.restart =
        AwaitedRestart{exit_from(found->at("after")), found->at("finished_unix_ms").get<std::int64_t>(),
                       found->at("due_boot_ms").get<std::int64_t>(), found->at("line").get<std::string>(),
                       found->at("is_ready").get<bool>()};
}

void read_outcome(const json& object, LeaseRecord& record) {
    if (const json& exit = object.at("exit"); !exit.is_null()) record.exit = exit_from(exit);
    if (const json& failure = object.at("failure"); !failure.is_null())
        record.failure =
            LeaseFailure{failure.at("reason").get<std::string>(), failure.at("detail").get<std::string>()};
}

DesiredLease desired_from_disk(const json& object) {
    DesiredLease lease = common_from(object);
    lease.paid_until_boot_ms = maybe_number(object, "paid_until_boot_ms");
    lease.run_until_boot_ms = maybe_number(object, "run_until_boot_ms");
    lease.grace_until_boot_ms = value_or<std::int64_t>(object, "grace_until_boot_ms", 0);
    return lease;
}

}  // namespace

Desired parse_desired(std::string_view text, const Exchanged& when) {
    try {
        const json reply = json::parse(text);
        Desired desired;
        desired.version = reply.at("version").get<std::string>();
        desired.epoch = reply.at("epoch").get<std::int64_t>();
        desired.asked_boot_ms = when.asked_boot_ms;
        const std::int64_t server_ms = time_of(reply, "server_time");
        const std::int64_t said_boot_ms =
            std::clamp(server_ms - when.server_offset_ms, when.asked_boot_ms, when.received_boot_ms);
        const auto deadline = [&](const json& lease, const char* name) -> std::optional<std::int64_t> {
            if (!lease.contains(name) || lease.at(name).is_null()) return std::nullopt;
            return said_boot_ms + time_of(lease, name) - server_ms;
        };
        for (const json& item : reply.at("leases")) {
            DesiredLease lease = common_from(item);
            lease.paid_until_boot_ms = deadline(item, "paid_until");
            lease.run_until_boot_ms = deadline(item, "run_until");
            lease.grace_until_boot_ms = said_boot_ms + value_or<std::int64_t>(item, "grace_ms", 0);
            desired.leases.push_back(std::move(lease));
        }
        return desired;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the desired state has not the expected form: ") +
                                 error.what());
    }
}

std::string encode_record(const LeaseRecord& r) {
    const json failure =
        r.failure ? json{{"reason", r.failure->reason}, {"detail", r.failure->detail}} : json(nullptr);
    const json object = {{"desired", desired_json(r.desired)},
                         {"boot_id", r.boot_id},
                         {"outputs", r.outputs},
                         {"checkpoint", checkpoint_json(r.checkpoint)},
                         {"checkpoint_boot_ms", r.checkpoint_boot_ms},
                         {"checkpoint_saved", r.checkpoint_saved},
                         {"outputs_boot_ms", r.outputs_boot_ms},
                         {"prepare_boot_ms", r.prepare_boot_ms},
                         {"image_boot_ms", r.image_boot_ms},
                         {"own_stop", name_of(r.own_stop)},
                         {"own_stop_boot_ms", r.own_stop_boot_ms},
                         {"container_id", r.container_id},
                         {"connected", r.connected},
                         {"gang_public_key", r.gang_public_key},
                         {"gang_port", r.gang_port},
                         {"gang_endpoint", r.gang_endpoint},
                         {"gang_reported", r.gang_reported},
                         {"started", r.started},
                         {"started_boot_ms", r.started_boot_ms},
                         {"stop_cause", name_of(r.stop_cause)},
                         {"terminated_boot_ms", r.terminated_boot_ms},
                         {"kill_sent", r.kill_sent},
                         {"paused_boot_ms", r.paused_boot_ms},
                         {"reclaim_until_boot_ms", optional_json(r.reclaim_until_boot_ms)},
                         {"restart", restart_json(r.restart)},
                         {"restarts", r.restarts},
                         {"restarts_reported", r.restarts_reported},
                         {"earlier_ms", r.earlier_ms},
                         {"oom_kills", r.oom_kills},
                         {"exit", r.exit ? exit_json(*r.exit) : json(nullptr)},
                         {"failure", failure},
                         {"logs_drained", r.logs_drained},
                         {"outputs_uploaded", r.outputs_uploaded},
                         {"removed", r.removed},
                         {"accepted", r.accepted},
                         {"running_reported", r.running_reported},
                         {"reclaim_reported", r.reclaim_reported},
                         {"final_usage_stated", r.final_usage_stated},
                         {"exit_reported", r.exit_reported},
                         {"failure_reported", r.failure_reported},
                         {"gone_reported", r.gone_reported},
                         {"accumulated_ms", r.meter.accumulated_ms},
                         {"counted_at_boot_ms", r.meter.counted_at_boot_ms},
                         {"counting", r.meter.counting},
                         {"nonce", r.nonce},
                         {"usage_sequence", r.usage_sequence},
                         {"stated_ms", r.stated_ms},
                         {"usage_stated_boot_ms", r.usage_stated_boot_ms},
                         {"egress_bytes", r.egress_bytes},
                         {"paid_until_boot_ms", r.paid_until_boot_ms}};
    return object.dump(1);
}

LeaseRecord parse_record(std::string_view text) {
    try {
        const json object = json::parse(text);
        LeaseRecord r;
        const auto flag = [&](const char* name) { return object.at(name).get<bool>(); };
        const auto number = [&](const char* name) { return object.at(name).get<std::int64_t>(); };
        r.desired = desired_from_disk(object.at("desired"));
        r.boot_id = object.at("boot_id").get<std::string>();
        r.outputs = object.at("outputs").get<std::vector<std::string>>();
        r.container_id = object.at("container_id").get<std::string>();
        // Records of before an update are of containers that were connected as soon as they were made.
        r.connected = value_or(object, "connected", !r.container_id.empty());
        r.started = flag("started");
        r.started_boot_ms = number("started_boot_ms");
        r.stop_cause = stop_cause_named(object.at("stop_cause").get<std::string>());
        r.terminated_boot_ms = number("terminated_boot_ms");
        r.kill_sent = flag("kill_sent");
        r.paused_boot_ms = number("paused_boot_ms");
        // Records of before an update have neither of the two.
        r.reclaim_until_boot_ms = maybe_number(object, "reclaim_until_boot_ms");
        r.reclaim_reported = value_or(object, "reclaim_reported", false);
        // Nor any of these.
        r.checkpoint = checkpoint_from(object);
        r.checkpoint_boot_ms = value_or<std::int64_t>(object, "checkpoint_boot_ms", 0);
        r.checkpoint_saved = value_or(object, "checkpoint_saved", false);
        r.outputs_boot_ms = value_or<std::int64_t>(object, "outputs_boot_ms", 0);
        r.prepare_boot_ms = value_or<std::int64_t>(object, "prepare_boot_ms", 0);
        r.image_boot_ms = value_or<std::int64_t>(object, "image_boot_ms", 0);
        r.own_stop = stop_cause_named(value_or<std::string>(object, "own_stop", "none"));
        r.own_stop_boot_ms = value_or<std::int64_t>(object, "own_stop_boot_ms", 0);
        r.egress_bytes = value_or<std::int64_t>(object, "egress_bytes", 0);
        r.gang_public_key = text_or_empty(object, "gang_public_key");
        r.gang_port = value_or<std::int64_t>(object, "gang_port", 0);
        r.gang_endpoint = text_or_empty(object, "gang_endpoint");
        r.gang_reported = value_or(object, "gang_reported", false);
        read_restarts(object, r);
        read_outcome(object, r);
        r.logs_drained = flag("logs_drained");
        r.outputs_uploaded = flag("outputs_uploaded");
        r.removed = flag("removed");
        r.accepted = flag("accepted");
        r.running_reported = flag("running_reported");
        r.final_usage_stated = flag("final_usage_stated");
        r.exit_reported = flag("exit_reported");
        r.failure_reported = flag("failure_reported");
        r.gone_reported = flag("gone_reported");
        r.meter = {number("accumulated_ms"), number("counted_at_boot_ms"), flag("counting")};
        r.nonce = object.at("nonce").get<std::string>();
        r.usage_sequence = number("usage_sequence");
        r.stated_ms = number("stated_ms");
        r.usage_stated_boot_ms = number("usage_stated_boot_ms");
        r.paid_until_boot_ms = number("paid_until_boot_ms");
        return r;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("a lease record has not the expected form: ") + error.what());
    }
}

}  // namespace fallow::agent
