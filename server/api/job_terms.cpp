#include "api/job_terms.hpp"

#include <fmt/format.h>

#include <set>
#include <string_view>

#include "accounts/secrets.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t second_ms = 1000;
constexpr std::int64_t minute_ms = 60 * second_ms;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr std::int64_t output_interval_ms_default = 10 * minute_ms;
constexpr std::int64_t shm_bytes_min = 64 * 1024;
constexpr std::int64_t health_interval_ms_default = 30 * second_ms;
constexpr std::int64_t health_timeout_ms_min = 100;
constexpr std::int64_t health_timeout_ms_default = 10 * second_ms;
constexpr std::int64_t health_timeout_ms_max = 10 * minute_ms;
constexpr std::int32_t health_retries_default = 3;
constexpr std::int32_t health_retries_max = 100;
constexpr std::int64_t exit_code_max = 255;
constexpr std::size_t exit_codes_max = exit_code_max;
constexpr std::int64_t restart_delay_ms_default = 1 * second_ms;
constexpr std::int64_t restart_delay_ms_max = 5 * minute_ms;  // and of what the agent doubles it to

std::vector<std::string> read_secrets(FieldReader& reader) {
    auto names =
        reader.texts("secrets", limits::secrets_per_job_max, {.bytes_max = limits::name_bytes_max});
    std::set<std::string> once;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const std::string pointer = fmt::format("secrets/{}", i);
        if (const Status good = accounts::check_secret_name(names[i]); !good)
            reader.fail(good.error().code, pointer, good.error().detail);
        if (!once.insert(names[i]).second)
            reader.fail(ErrorCode::invalid_field, pointer, "Name each secret once.");
    }
    return names;
}

/// Whether a reference says which registry it is of, as the engines read it. "localhost" alone stands for
/// images that were made on the host.
bool names_registry(std::string_view image) {
    const auto slash = image.find('/');
    return slash != std::string_view::npos && image.substr(0, slash).find_first_of(".:") < slash;
}

std::optional<std::string> read_registry_secret(FieldReader& reader, const JobSpec& spec) {
    auto name = reader.optional_text("registry_secret", {.bytes_max = limits::name_bytes_max});
    if (!name) return std::nullopt;
    if (const Status good = accounts::check_secret_name(*name); !good)
        reader.fail(good.error().code, "registry_secret", good.error().detail);
    if (!names_registry(spec.image))
        reader.fail(
            ErrorCode::invalid_field, "image",
            "Begin the image with its registry, like docker.io/team/model:1, so that the secret goes "
            "there and nowhere else.");
    return name;
}

std::optional<Millis> optional_span(FieldReader& reader, std::string_view name, std::int64_t least,
                                    std::int64_t most) {
    const auto span = reader.optional_integer(name, least, most);
    return span ? std::optional(Millis(*span)) : std::nullopt;
}

std::optional<Millis> read_output_interval(FieldReader& reader, const JobSpec& spec) {
    const auto interval = optional_span(reader, "output_interval_ms", second_ms, day_ms);
    if (!spec.outputs.empty()) return interval.value_or(Millis(output_interval_ms_default));
    if (interval)
        reader.fail(ErrorCode::invalid_field, "output_interval_ms",
                    "Leave it out: the job declares no outputs to save.");
    return std::nullopt;
}

std::optional<std::vector<std::int64_t>> read_exit_codes(FieldReader& reader, std::string_view name) {
    auto codes = reader.optional_integers(name, exit_codes_max, 1, exit_code_max);
    if (!codes) return codes;
    const std::set<std::int64_t> once(codes->begin(), codes->end());
    if (once.size() != codes->size())
        reader.fail(ErrorCode::invalid_field, name, "Name each exit code once.");
    return codes;
}

std::vector<std::int64_t> read_retry_exit_codes(FieldReader& reader, const JobSpec& spec) {
    auto codes = read_exit_codes(reader, "retry_exit_codes").value_or(std::vector<std::int64_t>());
    if (!codes.empty() && spec.attempts_max == 1)
        reader.fail(ErrorCode::invalid_field, "attempts_max",
                    "Give 2 or more: with one attempt nothing is tried again.");
    return codes;
}

std::optional<HealthSpec> read_health(FieldReader& reader) {
    const TextRule word{
        .bytes_max = limits::job_spec_bytes_max, .may_be_empty = true, .is_multiline = true};
    auto object = reader.optional_object("health");
    if (!object) return std::nullopt;
    HealthSpec health;
    health.command = object->texts("command", limits::command_words_max, word, 1);
    health.interval =
        Millis(object->integer_or("interval_ms", health_interval_ms_default, second_ms, hour_ms));
    health.timeout = Millis(object->integer_or("timeout_ms", health_timeout_ms_default,
                                               health_timeout_ms_min, health_timeout_ms_max));
    health.start_period = Millis(object->integer_or("start_period_ms", 0, 0, day_ms));
    health.retries = object->integer32_or("retries", health_retries_default, 1, health_retries_max);
    static_cast<void>(object->finish());
    return health;
}

std::optional<IdleSpec> read_idle(FieldReader& reader) {
    auto object = reader.optional_object("idle");
    if (!object) return std::nullopt;
    IdleSpec idle;
    idle.below_percent = object->integer32("below_percent", 1, 100);
    idle.duration = Millis(object->integer("for_ms", 10 * second_ms, day_ms));
    static_cast<void>(object->finish());
    return idle;
}

std::optional<RestartSpec> read_restart(FieldReader& reader) {
    auto object = reader.optional_object("restart");
    if (!object) return std::nullopt;
    RestartSpec restart;
    restart.exit_codes = read_exit_codes(*object, "exit_codes");
    if (restart.exit_codes && restart.exit_codes->empty())
        object->fail(ErrorCode::invalid_field, "exit_codes",
                     "Name at least one exit code, or leave it out for all of them.");
    restart.restarts_max = object->integer32("restarts_max", 1, limits::job_restarts_max);
    restart.delay =
        Millis(object->integer_or("delay_ms", restart_delay_ms_default, second_ms, restart_delay_ms_max));
    static_cast<void>(object->finish());
    return restart;
}

void write(JsonWriter& json, const HealthSpec& health) {
    json.key("health")
        .begin_object()
        .field("command", health.command)
        .field("interval_ms", health.interval)
        .field("timeout_ms", health.timeout)
        .field("start_period_ms", health.start_period)
        .field("retries", health.retries)
        .end_object();
}

void write(JsonWriter& json, const IdleSpec& idle) {
    json.key("idle")
        .begin_object()
        .field("below_percent", idle.below_percent)
        .field("for_ms", idle.duration)
        .end_object();
}

void write(JsonWriter& json, const RestartSpec& restart) {
    json.key("restart").begin_object();
    if (restart.exit_codes) json.field("exit_codes", *restart.exit_codes);
    json.field("restarts_max", restart.restarts_max).field("delay_ms", restart.delay).end_object();
}

}  // namespace

void read_job_terms(FieldReader& reader, JobSpec& spec) {
    spec.secrets = read_secrets(reader);
    spec.output_interval = read_output_interval(reader, spec);
    spec.shm_bytes = reader.optional_integer("shm_bytes", shm_bytes_min, spec.memory_bytes);
    spec.pull_timeout = optional_span(reader, "pull_timeout_ms", second_ms, day_ms);
    spec.start_timeout = optional_span(reader, "start_timeout_ms", second_ms, day_ms);
    spec.retry_exit_codes = read_retry_exit_codes(reader, spec);
    spec.health = read_health(reader);
    spec.idle = read_idle(reader);
    spec.registry_secret = read_registry_secret(reader, spec);
    spec.network = reader.optional_named<JobNetwork>("network");
    spec.restart = read_restart(reader);
}

void write_job_terms(JsonWriter& json, const JobSpec& spec) {
    if (!spec.secrets.empty()) json.field("secrets", spec.secrets);
    if (spec.output_interval) json.field("output_interval_ms", *spec.output_interval);
    if (spec.shm_bytes) json.field("shm_bytes", *spec.shm_bytes);
    if (spec.pull_timeout) json.field("pull_timeout_ms", *spec.pull_timeout);
    if (spec.start_timeout) json.field("start_timeout_ms", *spec.start_timeout);
    if (!spec.retry_exit_codes.empty()) json.field("retry_exit_codes", spec.retry_exit_codes);
    if (spec.health) write(json, *spec.health);
    if (spec.idle) write(json, *spec.idle);
    if (spec.registry_secret) json.field("registry_secret", *spec.registry_secret);
    if (spec.network) json.field("network", *spec.network);
    if (spec.restart) write(json, *spec.restart);
}

}  // namespace fallow::api
