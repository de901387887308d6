#include "api/job_decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "accounts/artifacts.hpp"
#include "accounts/checkpoints.hpp"
#include "api/job_terms.hpp"
#include "api/json_writer.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t mib = 1024 * 1024;
constexpr std::int64_t gib = 1024 * mib;
constexpr std::int64_t container_bytes_max = 16 * 1024 * gib;
constexpr std::int64_t cpu_millis_max = 1'024'000;
constexpr std::int64_t pids_max_max = 65'536;
constexpr std::int64_t duration_ms_min = 1000;
constexpr std::int64_t checkpoint_interval_ms_min = 1000;
constexpr std::int64_t checkpoint_interval_ms_max = 24LL * 3600 * 1000;
constexpr std::int64_t checkpoint_interval_ms_default = 5LL * 60 * 1000;

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_image_reference(std::string_view text) {
    const auto fits = [](char c) {
        return is_letter(c) || is_digit(c) || std::string_view("._-:/@+").find(c) != std::string_view::npos;
    };
    return !text.empty() && (is_letter(text.front()) || is_digit(text.front())) &&
           std::ranges::all_of(text, fits);
}

bool is_environment_name(std::string_view name) {
    const auto fits = [](char c) { return is_letter(c) || is_digit(c) || c == '_'; };
    return !name.empty() && !is_digit(name.front()) && std::ranges::all_of(name, fits) &&
           name.size() <= limits::name_bytes_max;
}

void check_environment(FieldReader& reader, const JobSpec& spec) {
    for (const auto& [name, value] : spec.env) {
        if (!is_environment_name(name))
            reader.fail(
                ErrorCode::invalid_field, "env",
                fmt::format("\"{}\" is not a name of a variable; use letters, digits and _.", name));
        // These steer the loader and the device hooks of the host's container runtime.
        if (name.starts_with("LD_") || name.starts_with("NVIDIA_"))
            reader.fail(ErrorCode::invalid_field, "env/" + name,
                        "Names that start with LD_ or NVIDIA_ are not allowed; choose another.");
    }
}

std::vector<JobInput> read_inputs(FieldReader& reader) {
    std::vector<JobInput> inputs;
    std::set<std::string> paths;
    for (FieldReader& item : reader.objects("inputs", limits::inputs_per_job_max)) {
        JobInput input{item.text("path", {.bytes_max = limits::text_field_bytes_max}),
                       item.id<ArtifactId>("artifact_id")};
        if (const Status good = accounts::check_job_path(input.path); !good && !item.has_failed())
            item.fail(good.error().code, "path", good.error().detail);
        if (!paths.insert(input.path).second)
            item.fail(ErrorCode::invalid_field, "path", "Give each input a path of its own.");
        if (!item.finish()) break;
        inputs.push_back(std::move(input));
    }
    return inputs;
}

std::vector<std::string> read_outputs(FieldReader& reader) {
    const auto outputs =
        reader.texts("outputs", limits::outputs_per_job_max, {.bytes_max = limits::text_field_bytes_max});
    std::set<std::string> paths;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        const std::string name = fmt::format("outputs/{}", i);
        if (const Status good = accounts::check_job_path(outputs[i]); !good)
            reader.fail(good.error().code, name, good.error().detail);
        if (!paths.insert(outputs[i]).second)
            reader.fail(ErrorCode::invalid_field, name, "Name each output once.");
    }
    return outputs;
}

std::optional<CheckpointSpec> read_checkpoint(FieldReader& reader, std::int64_t disk_bytes) {
    auto object = reader.optional_object("checkpoint");
    if (!object) return std::nullopt;
    CheckpointSpec checkpoint;
    checkpoint.path = object->text("path", {.bytes_max = limits::text_field_bytes_max});
    if (const Status good = accounts::check_job_path(checkpoint.path); !good && !object->has_failed())
        object->fail(good.error().code, "path", good.error().detail);
    checkpoint.interval =
        Millis(object->integer_or("interval_ms", checkpoint_interval_ms_default, checkpoint_interval_ms_min,
                                  checkpoint_interval_ms_max));
    checkpoint.bytes_max =
        object->integer_or("bytes_max", std::min(disk_bytes, accounts::checkpoint_bytes_max), 1,
                           accounts::checkpoint_bytes_max);
    static_cast<void>(object->finish());
    return checkpoint;
}

void write_checkpoint(JsonWriter& json, const CheckpointSpec& checkpoint) {
    json.key("checkpoint")
        .begin_object()
        .field("path", checkpoint.path)
        .field("interval_ms", checkpoint.interval)
        .field("bytes_max", checkpoint.bytes_max)
        .end_object();
}

}  // namespace

JobSpec read_job_spec(FieldReader& reader) {
    const TextRule word{
        .bytes_max = limits::job_spec_bytes_max, .may_be_empty = true, .is_multiline = true};
    JobSpec spec;
    spec.image = reader.text("image", {.bytes_max = limits::image_bytes_max});
    if (!is_image_reference(spec.image))
        reader.fail(ErrorCode::invalid_field, "image",
                    "Give an image reference, like docker.io/library/busybox:1.36 or one with @sha256:….");
    spec.command = reader.texts("command", limits::command_words_max, word);
    spec.env = reader.text_map("env", limits::environment_entries_max, word);
    check_environment(reader, spec);
    spec.inputs = read_inputs(reader);
    spec.outputs = read_outputs(reader);
    spec.max_duration = Millis(reader.integer("max_duration_ms", duration_ms_min, limits::term_ms_max));
    spec.memory_bytes = reader.integer_or("memory_bytes", gib, 8 * mib, container_bytes_max);
    spec.cpu_millis = reader.integer_or("cpu_millis", 1000, 10, cpu_millis_max);
    spec.pids_max = reader.integer_or("pids_max", 256, 1, pids_max_max);
    spec.disk_bytes = reader.integer_or("disk_bytes", gib, mib, limits::working_storage_bytes_max);
    spec.checkpoint = read_checkpoint(reader, spec.disk_bytes);
    // Whoever saves a job's work wants it to go on elsewhere.
    const std::int32_t attempts = spec.checkpoint ? limits::job_attempts_max : 1;
    spec.attempts_max = reader.integer32_or("attempts_max", attempts, 1, limits::job_attempts_max);
    read_job_terms(reader, spec);
    if (!reader.has_failed() && job_spec_json(spec).size() > limits::job_spec_bytes_max)
        reader.fail(ErrorCode::invalid_field, "",
                    fmt::format("Keep the job's description under {} bytes.", limits::job_spec_bytes_max));
    static_cast<void>(reader.finish());
    return spec;
}

std::string job_spec_json(const JobSpec& spec) {
    JsonWriter json;
    json.begin_object().field("image", spec.image).field("command", spec.command);
    json.key("env").begin_object();
    for (const auto& [name, value] : spec.env)
        json.field(name, value);
    json.end_object();
    json.key("inputs").begin_array();
    for (const JobInput& input : spec.inputs)
        json.begin_object().field("path", input.path).field("artifact_id", input.artifact).end_object();
    json.end_array();
    json.field("outputs", spec.outputs)
        .field("max_duration_ms", spec.max_duration)
        .field("attempts_max", spec.attempts_max)
        .field("memory_bytes", spec.memory_bytes)
        .field("cpu_millis", spec.cpu_millis)
        .field("pids_max", spec.pids_max)
        .field("disk_bytes", spec.disk_bytes);
    if (spec.checkpoint) write_checkpoint(json, *spec.checkpoint);
    write_job_terms(json, spec);
    json.end_object();
    return json.take();
}

market::JobRequest job_request(const JobSpec& spec) {
    return {spec.image, spec.max_duration, spec.attempts_max, job_spec_json(spec), spec.disk_bytes};
}

Result<JobSpec> decode_job_spec(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) { return read_job_spec(reader); });
}

std::vector<ArtifactId> artifacts_of(const JobSpec& spec) {
    std::vector<ArtifactId> artifacts;
    for (const JobInput& input : spec.inputs)
        artifacts.push_back(input.artifact);
    return artifacts;
}

}  // namespace fallow::api
