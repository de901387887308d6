// The self-test's rows of the host itself.
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "agent/clock.hpp"
#include "agent/crypto.hpp"
#include "agent/engine.hpp"
#include "agent/guard_link.hpp"
#include "agent/network_gate.hpp"
#include "agent/network_speed.hpp"
#include "agent/self_test.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t gib = 1LL << 30;
constexpr std::int64_t disk_bytes_least = gib;
constexpr std::int64_t disk_bytes_good = 20 * gib;
constexpr std::int64_t clock_off_ms_max = 60'000;

CheckRow row(const char* check, const std::string& measured, const std::string& expected,
             CheckVerdict verdict, const std::string& remedy) {
    return {"host", check, measured, expected, verdict, verdict == CheckVerdict::fine ? "" : remedy};
}

CheckRow engine_row(const std::string& socket) {
    try {
        return row("container engine", Engine(socket).facts().name, "", CheckVerdict::fine, "");
    } catch (const std::exception& error) {
        return row(
            "container engine", "no answer", "", CheckVerdict::wrong,
            fmt::format("systemctl enable --now podman.socket, or give another --engine-socket than {}: {}",
                        socket, error.what()));
    }
}

CheckRow control_group_row() {
    struct statfs system {};
    if (::statfs("/sys/fs/cgroup", &system) != 0)
        return row("control groups", "none", "v2", CheckVerdict::wrong, "mount /sys/fs/cgroup");
    const bool is_v2 = system.f_type == CGROUP2_SUPER_MAGIC;
    return row("control groups", is_v2 ? "v2" : "v1", "v2", is_v2 ? CheckVerdict::fine : CheckVerdict::note,
               "use runc and cgroupfs (crun starts nothing here), or boot with "
               "systemd.unified_cgroup_hierarchy=1");
}

/// The server's clock less the boot clock, as the last heartbeat knew it.
std::optional<std::int64_t> server_offset(const SelfTestOptions& options) {
    if (options.state_folder.empty()) return std::nullopt;
    const auto last = StateFolder(options.state_folder).acknowledged_heartbeat(current_boot_id());
    return last ? std::optional(last->server_offset_ms) : std::nullopt;
}

CheckRow clock_row(const std::optional<std::int64_t>& offset) {
    if (offset) {
        const std::int64_t off_ms = wall_clock_ms() - (boot_clock_ms() + *offset);
        return row("clock", fmt::format("{} ms from the server's", off_ms),
                   fmt::format("within {} ms", clock_off_ms_max),
                   std::abs(off_ms) <= clock_off_ms_max ? CheckVerdict::fine : CheckVerdict::wrong,
                   "set the clock: systemctl enable --now chrony");
    }
    timex state{};
    const bool is_kept = ::adjtimex(&state) >= 0 && (state.status & STA_UNSYNC) == 0;
    return row("clock", is_kept ? "synchronized" : "not synchronized", "synchronized",
               is_kept ? CheckVerdict::fine : CheckVerdict::note,
               "systemctl enable --now chrony: dates of measurements and an enrolment go by it");
}

CheckRow disk_row(const std::string& folder) {
    std::error_code failed;
    const auto space = std::filesystem::space(folder, failed);
    if (failed)
        return row("disk", failed.message(), "", CheckVerdict::wrong, "mount the disk of " + folder);
    const auto free = static_cast<std::int64_t>(space.available);
    const CheckVerdict verdict = free < disk_bytes_least  ? CheckVerdict::wrong
                                 : free < disk_bytes_good ? CheckVerdict::note
                                                          : CheckVerdict::fine;
    return row("disk", format_bytes(free) + " free", format_bytes(disk_bytes_good), verdict,
               "make room on the disk of " + folder + ": jobs keep their inputs and outputs there");
}

/// As the agent measured it last: this does not, since others may use the network.
CheckRow network_speed_row(const std::string& folder) {
    constexpr double megabyte = 1e6;
    const auto speed = kept_network_speed(folder);
    if (!speed)
        return row("network", "not measured yet", "", CheckVerdict::skipped,
                   "start the agent: it measures the way to the server within an hour, while nobody rents");
    return row("network",
               fmt::format("{:.1f} MB/s up, {:.1f} MB/s down to the server at {}",
                           static_cast<double>(speed->up_bytes_per_s) / megabyte,
                           static_cast<double>(speed->down_bytes_per_s) / megabyte,
                           format_rfc3339(speed->measured_unix_ms)),
               "", CheckVerdict::fine, "");
}

CheckRow network_row() {
    const GateOptions programs;
    std::string missing;
    for (const std::string& program : {programs.ip_program, programs.nft_program})
        if (::access(program.c_str(), X_OK) != 0) missing += (missing.empty() ? "" : ", ") + program;
    return row("guests' network", missing.empty() ? programs.nft_program : "no " + missing, "",
               missing.empty() ? CheckVerdict::fine : CheckVerdict::wrong,
               "apt-get install nftables iproute2: without them no job starts, unless the policy says "
               "egress = \"none\"");
}

CheckRow guard_row() {
    const std::filesystem::path program = program_beside_this("fallow-guard");
    std::string what;
    try {
        const WatchLimits limits{.silence_ms = 5000, .total_ms = 5000};
        const WatchedProcess run = run_watched({program.string(), "--help"}, limits, {});
        if (run.end == ProcessEnd::exited && run.code == 0)
            return row("guard", program.string(), "", CheckVerdict::fine, "");
        what = describe(run, limits);
    } catch (const std::exception& error) {
        what = error.what();
    }
    return row("guard", what, program.string(), CheckVerdict::wrong,
               "install fallow-guard beside fallow-agent: without it no container is started");
}

CheckRow certificate_row(const StateFolder& state, std::int64_t now_unix_ms) {
    const CertificateLife life = certificate_life(read_file(state.certificate_file()));
    const std::string until = "until " + format_rfc3339(life.not_after_ms);
    if (now_unix_ms >= life.not_after_ms || now_unix_ms < life.not_before_ms)
        return row("certificate", until, "valid now", CheckVerdict::wrong,
                   "set the clock, or enrol the host again");
    return row("certificate", until, "",
               now_unix_ms < renewal_moment(life) ? CheckVerdict::fine : CheckVerdict::note,
               "start the agent: it renews the certificate");
}

CheckRow server_row(const StateFolder& state, std::int64_t offset_ms) {
    const std::string url = state.identity().url;
    try {
        ServerLink server(state, [&] { return boot_clock_ms() + offset_ms; });
        const Desired desired = server.desired("", 0, offset_ms, {});
        return row("server", fmt::format("answers, {} leases wanted", desired.leases.size()), "",
                   CheckVerdict::fine, "");
    } catch (const ServerError& error) {
        return row("server", "refuses", "", CheckVerdict::wrong,
                   std::string("enrol this host again: ") + error.what());
    } catch (const std::exception& error) {
        return row(
            "server", "no answer", "", CheckVerdict::wrong,
            fmt::format("let this host reach {}; if the server's ca.pem has changed, enrol again: {}", url,
                        error.what()));
    }
}

}  // namespace

std::vector<CheckRow> host_rows(const SelfTestOptions& options) {
    const auto offset = server_offset(options);
    std::vector<CheckRow> rows{engine_row(options.engine_socket), control_group_row(), clock_row(offset),
                               guard_row(), network_row()};
    if (options.state_folder.empty()) return rows;
    rows.push_back(disk_row(options.state_folder));
    const StateFolder state(options.state_folder);
    if (!state.is_enrolled()) {
        rows.push_back(row("server", "not enrolled", "", CheckVerdict::skipped, "fallow-agent enroll"));
        return rows;
    }
    const std::int64_t offset_ms = offset.value_or(wall_clock_ms() - boot_clock_ms());
    rows.push_back(server_row(state, offset_ms));
    rows.push_back(certificate_row(state, boot_clock_ms() + offset_ms));
    rows.push_back(network_speed_row(options.state_folder));
    return rows;
}

}  // namespace fallow::agent
