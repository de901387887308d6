#include "api/agent_decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/field_decode.hpp"
#include "auth/keys.hpp"
#include "auth/signing.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t csr_bytes_max = 8 * 1024;
constexpr std::size_t statement_bytes_max = 2 * 1024;
constexpr std::size_t reason_bytes_max = 500;
constexpr std::size_t log_entries_max = 1000;
constexpr std::size_t heartbeat_leases_max = limits::cards_per_host_max;
constexpr std::int32_t cpu_cores_max = 1 << 20;
constexpr std::int64_t sequence_max = INT64_MAX / 2;

constexpr TextRule short_text{.bytes_max = limits::name_bytes_max};
constexpr TextRule loose_text{.bytes_max = limits::name_bytes_max, .may_be_empty = true};

std::string read_runtime(FieldReader& reader) {
    const std::string runtime = reader.text("runtime", short_text);
    static const std::set<std::string, std::less<>> known{"runc", "crun", "runsc", "kata"};
    if (!known.contains(runtime))
        reader.fail(ErrorCode::invalid_field, "runtime", "Give one of: runc, crun, runsc, kata.");
    return runtime;
}

Enrollment read_enrollment(FieldReader& reader) {
    Enrollment enrollment;
    enrollment.token = reader.text("token");
    enrollment.csr = reader.text("csr", {.bytes_max = csr_bytes_max, .is_multiline = true});
    enrollment.signing_key = reader.base64("signing_key", auth::public_key_bytes);
    enrollment.proof = reader.base64("proof", auth::signature_bytes);
    enrollment.agent_version = reader.text("agent_version", short_text);
    if (reader.has("runtime")) enrollment.runtime = read_runtime(reader);
    enrollment.engine = reader.text("engine", short_text);
    enrollment.cpu_cores = reader.integer32("cpu_cores", 1, cpu_cores_max);
    enrollment.memory_bytes = reader.integer("memory_bytes", 1, INT64_MAX);
    return enrollment;
}

std::optional<std::int32_t> optional_count(FieldReader& reader, std::string_view name) {
    const auto value = reader.optional_integer(name, 0, INT32_MAX);
    return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
}

void read_details(FieldReader& reader, market::CardDetails& details) {
    details.clock_mhz = optional_count(reader, "clock_mhz");
    if (reader.has("ecc")) details.ecc = reader.boolean("ecc");
    details.ecc_errors = reader.optional_integer("ecc_errors", 0, INT64_MAX);
    details.nvlink_links = optional_count(reader, "nvlink_links");
    details.nvlink_bytes_per_s = reader.optional_integer("nvlink_bytes_per_s", 0, INT64_MAX);
    details.nvlink_group = optional_count(reader, "nvlink_group");
    details.mig_profile = reader.optional_text("mig_profile", short_text);
    details.mig_parent = reader.optional_text("mig_parent", short_text);
}

std::optional<market::CardVerdict> read_verdict(FieldReader& reader) {
    auto object = reader.optional_object("verification");
    if (!object) return std::nullopt;
    market::CardVerdict verdict;
    verdict.verification = object->named<market::Verification>("state");
    verdict.refusal =
        object->optional_text("reason", {.bytes_max = reason_bytes_max, .is_multiline = true});
    verdict.verified_at = object->optional_time("at");
    const bool is_refused = verdict.verification == market::Verification::refused;
    if (is_refused != verdict.refusal.has_value())
        object->fail(ErrorCode::invalid_field, "reason", "Give it for a refused card, and for no other.");
    static_cast<void>(object->finish());
    return verdict;
}

void read_host_details(FieldReader& reader, market::HostDetails& details) {
    details.cpu_model = reader.optional_text("cpu_model", short_text);
    details.cpu_clock_mhz = optional_count(reader, "cpu_clock_mhz");
    details.rack = reader.optional_text("rack", short_text);
    details.guest_network = reader.optional_named<market::GuestNetwork>("guest_network");
    details.working_storage = reader.optional_named<market::WorkingStorage>("working_storage");
    if (reader.has("gang_network")) details.gang_network = reader.boolean("gang_network");
    if (auto speed = reader.optional_object("disk_speed")) {
        details.disk_write_bytes_per_s = speed->integer("write_bytes_per_s", 0, INT64_MAX);
        details.disk_read_bytes_per_s = speed->integer("read_bytes_per_s", 0, INT64_MAX);
        details.disk_measured_at = speed->time("measured_at");
        static_cast<void>(speed->finish());
    }
    if (auto speed = reader.optional_object("network_speed")) {
        details.network_up_bytes_per_s = speed->integer("up_bytes_per_s", 0, INT64_MAX);
        details.network_down_bytes_per_s = speed->integer("down_bytes_per_s", 0, INT64_MAX);
        details.network_measured_at = speed->time("measured_at");
        static_cast<void>(speed->finish());
    }
}

market::ReportedCard read_card(FieldReader& reader) {
    market::ReportedCard card;
    card.index = reader.integer32("index", 0, static_cast<std::int32_t>(limits::cards_per_host_max) - 1);
    card.uuid = reader.text("uuid", short_text);
    card.pci_address = reader.optional_text("pci_address", short_text);
    card.product = reader.text("product", short_text);
    card.vendor = reader.text("vendor", loose_text);
    card.device_class = reader.named<market::DeviceClass>("device_class");
    card.backend = reader.named<market::Backend>("backend");
    card.driver_version = reader.text("driver_version", loose_text);
    card.cuda_version = reader.optional_text("cuda_version", short_text);
    card.compute_capability = reader.optional_text("compute_capability", short_text);
    card.pcie_generation = optional_count(reader, "pcie_generation");
    card.pcie_width = optional_count(reader, "pcie_width");
    card.power_limit_watts = optional_count(reader, "power_limit_watts");
    card.offered = reader.boolean_or("offered", true);
    card.withheld_reason =
        reader.optional_text("withheld_reason", {.bytes_max = reason_bytes_max, .is_multiline = true});
    if (card.offered && card.withheld_reason)
        reader.fail(ErrorCode::invalid_field, "withheld_reason",
                    "Give it for a card that is not offered, and for no other.");
    read_details(reader, card.details);
    card.verdict = read_verdict(reader);
    if (auto capacity = reader.optional_object("capacity")) {
        card.vram_bytes = capacity->integer("vram_bytes", 0, INT64_MAX);
        card.memory_bandwidth_bytes_per_s = capacity->integer("memory_bandwidth_bytes_per_s", 0, INT64_MAX);
        card.fp32_flops = capacity->integer("fp32_flops", 0, INT64_MAX);
        card.measured_at = capacity->time("measured_at");
        card.speeds.fp16_flops = capacity->optional_integer("fp16_flops", 0, INT64_MAX);
        card.speeds.to_device_bytes_per_s =
            capacity->optional_integer("to_device_bytes_per_s", 0, INT64_MAX);
        card.speeds.from_device_bytes_per_s =
            capacity->optional_integer("from_device_bytes_per_s", 0, INT64_MAX);
        static_cast<void>(capacity->finish());
    }
    return card;
}

market::ReportInventory read_inventory(FieldReader& reader) {
    market::ReportInventory inventory;
    inventory.boot_id = reader.text("boot_id", short_text);
    inventory.agent_version = reader.text("agent_version", short_text);
    inventory.runtime = read_runtime(reader);
    inventory.engine = reader.text("engine", short_text);
    inventory.cpu_cores = reader.integer32("cpu_cores", 1, cpu_cores_max);
    inventory.memory_bytes = reader.integer("memory_bytes", 1, INT64_MAX);
    inventory.cpu_architecture = reader.optional_text("cpu_architecture", short_text);
    inventory.disk_bytes = reader.optional_integer("disk_bytes", 0, INT64_MAX);
    read_host_details(reader, inventory.details);
    std::set<std::string> uuids;
    for (FieldReader& item : reader.objects("cards", limits::cards_per_host_max, true)) {
        inventory.cards.push_back(read_card(item));
        if (!uuids.insert(inventory.cards.back().uuid).second)
            item.fail(ErrorCode::invalid_field, "uuid", "Report each card once.");
        if (!item.finish()) break;
    }
    return inventory;
}

market::AgentReport read_report(FieldReader& reader, LeaseId lease) {
    market::AgentReport report;
    report.lease = lease;
    report.lease_epoch = reader.integer("lease_epoch", 0, INT64_MAX);
    report.phase = reader.named<market::AgentPhase>("phase");
    using enum market::AgentPhase;
    if (report.phase == running) {
        report.container = reader.text("container_id", {.bytes_max = 128});
        report.boot = reader.text("boot_id", short_text);
        report.restarts = reader.integer32_or("restarts", 0, 0, limits::job_restarts_max);
    }
    if (report.phase == exited) {
        report.exit_code = reader.integer32("exit_code", INT32_MIN, INT32_MAX);
        report.oom_killed = reader.boolean_or("oom_killed", false);
        report.duration_exceeded = reader.boolean_or("duration_exceeded", false);
        report.stop = reader.named_or("stop", market::StopCause::none);
        report.is_temporary = reader.boolean_or("is_temporary", false);
    }
    if (report.phase == reclaimed)
        if (const auto notice = reader.optional_integer("notice_ms", 0, limits::reclaim_notice_ms_max))
            report.notice = Millis(*notice);
    if (report.phase == failed) {
        report.failure = reader.named<market::EndReason>("reason");
        if (*report.failure != market::EndReason::image_pull_failed &&
            *report.failure != market::EndReason::start_failed &&
            *report.failure != market::EndReason::start_timeout)
            reader.fail(ErrorCode::invalid_field, "reason",
                        "Give one of: image_pull_failed, start_failed, start_timeout.");
        // For the agent's own log; the server keeps the reason alone.
        static_cast<void>(reader.optional_text(
            "detail",
            {.bytes_max = 4 * limits::text_field_bytes_max, .may_be_empty = true, .is_multiline = true}));
    }
    return report;
}

LogChunk read_logs(FieldReader& reader) {
    LogChunk chunk;
    chunk.first_sequence = reader.integer("sequence", 0, sequence_max);
    std::int64_t sequence = chunk.first_sequence;
    for (FieldReader& item : reader.objects("entries", log_entries_max, true)) {
        accounts::LogEntry entry;
        entry.sequence = sequence++;
        const auto stream = accounts::parse_log_stream(item.text("stream"));
        if (!stream) item.fail(ErrorCode::invalid_field, "stream", "Give one of: stdout, stderr.");
        entry.stream = stream.value_or(accounts::LogStream::stdout_stream);
        entry.at = item.time("at");
        entry.data = item.base64_bytes("data", limits::log_chunk_bytes_max);
        if (!item.finish()) break;
        chunk.entries.push_back(std::move(entry));
    }
    return chunk;
}

}  // namespace

Result<Enrollment> decode_enrollment(std::string_view body) {
    return decode_body(body, read_enrollment);
}

Result<std::string> decode_certificate_request(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        return reader.text("csr", {.bytes_max = csr_bytes_max, .is_multiline = true});
    });
}

Result<market::ReportInventory> decode_inventory(std::string_view body) {
    return decode_body(body, read_inventory);
}

Status decode_heartbeat(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        static_cast<void>(reader.text("boot_id", short_text));
        static_cast<void>(reader.integer("sequence", 0, INT64_MAX));
        for (FieldReader& item : reader.objects("leases", heartbeat_leases_max, true)) {
            static_cast<void>(item.id<LeaseId>("lease_id"));
            static_cast<void>(item.integer("lease_epoch", 0, INT64_MAX));
            static_cast<void>(item.text("phase", short_text));
            if (!item.finish()) break;
        }
        return Done{};
    });
}

Result<market::AgentReport> decode_report(std::string_view body, LeaseId lease) {
    return decode_body(body, [&](FieldReader& reader) { return read_report(reader, lease); });
}

Result<SignedStatement> decode_usage(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        SignedStatement usage;
        usage.statement =
            reader.text("statement", {.bytes_max = statement_bytes_max, .is_multiline = true});
        usage.signature = reader.base64("signature", auth::signature_bytes);
        return usage;
    });
}

Result<LogChunk> decode_logs(std::string_view body) {
    return decode_body(body, read_logs);
}

}  // namespace fallow::api
