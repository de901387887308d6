#include "bench/agents/agent.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "agent/link_turns.hpp"
#include "agent/return_policy.hpp"

namespace fallow::bench {
namespace {

using nlohmann::json;

// Those of fallow-agent, beside what return_policy.hpp says.
constexpr std::int64_t heartbeat_ms = 5000;
constexpr std::int64_t heartbeat_timeout_ms = 2000;
constexpr std::int64_t idle_heartbeat_ms = heartbeat_ms + heartbeat_timeout_ms;  // as the server says
using agent::try_again_ms;
constexpr std::int64_t long_poll_ms = 20'000;
constexpr std::int64_t long_poll_slack_ms = 10'000;
constexpr std::int64_t shared_poll_margin_ms = 250;

constexpr std::int64_t run_ms_min = 3000;  ///< how long a lease's command takes here
constexpr std::int64_t run_ms_max = 120'000;
constexpr std::size_t noted_max = 1'000'000;

std::string request(std::string_view method, const std::string& path, const std::string& body) {
    std::string text(method);
    text += " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    if (!body.empty())
        text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
}

std::int64_t ms_until(Clock::time_point when) {
    return std::chrono::duration_cast<milliseconds>(when - Clock::now()).count();
}

}  // namespace

Agent::Agent(Swarm& swarm, EnrolledHost host)
    : swarm_(swarm),
      host_(std::move(host)),
      main_(swarm.wire, host_.certificate.get()),
      second_(swarm.wire, host_.certificate.get()) {}

milliseconds Agent::with_spread(std::int64_t least_ms, std::int64_t most_ms) {
    return milliseconds(std::uniform_int_distribution<std::int64_t>(least_ms, most_ms)(swarm_.random));
}

milliseconds Agent::with_jitter(std::int64_t ms) {
    return within(agent::about(ms));
}

milliseconds Agent::within(agent::Pause pause) {
    return with_spread(pause.least_ms, pause.most_ms);
}

/// After a try that got `status`, 0 being none.
milliseconds Agent::pause_after(int status, bool was_refused, int in_a_row) {
    const auto silent = was_refused ? agent::Failure::refused : agent::Failure::unanswered;
    return within(agent::pause_after({.failure = status == 0 ? silent : agent::Failure::answered,
                                      .in_a_row = in_a_row,
                                      .has_lease = !is_idle(),
                                      .idle_return_ms = swarm_.idle_return_ms}));
}

/// A heartbeat that is due waits until then for the reply to the long-poll on its connection.
Clock::time_point Agent::patience_ends() const {
    return next_beat_ + milliseconds(agent::late_reply_ms_max);
}

milliseconds Agent::timeout() const {
    return milliseconds(is_idle() ? idle_heartbeat_ms : heartbeat_timeout_ms);
}

void Agent::start(milliseconds spread) {
    const auto now = Clock::now();
    next_beat_ = now + with_spread(0, spread.count());
    next_poll_ = next_report_ = now;
    acknowledged_at_ = next_beat_;
    wake_at(next_beat_);
}

void Agent::wake_at(Clock::time_point when) {
    if (when >= alarm_at_) return;
    alarm_at_ = when;
    swarm_.alarms.push({when, this, ++alarm_});
}

void Agent::on_alarm(std::uint64_t number) {
    if (number != alarm_) return;
    alarm_at_ = Clock::time_point::max();
    look();
}

/// Does what is due, and sets the alarm for what will be.
void Agent::look() {
    const auto now = Clock::now();
    if (beating_ != nullptr && now >= beat_sent_ + timeout()) beating_->give_up();
    if (is_polling_ && now >= poll_ends_) main_.give_up();
    if (beating_ == nullptr && now >= next_beat_) {
        const bool waits = is_idle() && main_.is_busy() && now < patience_ends();
        Link& link = is_idle() && !main_.is_busy() ? main_ : second_;
        // A report is under way there: the heartbeat goes right after it.
        if (!waits && !link.is_busy()) beat(link);
    }
    report_next();
    poll();
    auto next = beating_ != nullptr ? beat_sent_ + timeout()
                : next_beat_ > now  ? next_beat_
                                    : patience_ends();
    if (is_polling_) next = std::min(next, poll_ends_);
    if (!reports_.empty() && !is_reporting_) next = std::min(next, next_report_);
    if (next_poll_ > now && !is_polling_ && !waits_for_contact_) next = std::min(next, next_poll_);
    if (next > now) wake_at(next);
    if (is_idle() && reports_.empty() && !second_.is_busy()) second_.close();
}

void Agent::beat(Link& link) {
    beating_ = &link;
    beat_sent_ = Clock::now();
    json leases = json::array();
    for (const auto& [id, epoch] : leases_)
        leases.push_back({{"lease_id", id}, {"lease_epoch", epoch}, {"phase", "running"}});
    const json body = {{"boot_id", "swarm"}, {"sequence", ++sequence_}, {"leases", leases}};
    ++swarm_.tally.heartbeats;
    link.send(request("POST", "/v1/agent/heartbeat", body.dump()),
              [this](int status, std::string_view text) { on_beat(status, text); });
}

void Agent::on_beat(int status, std::string_view body) {
    const bool was_refused = std::exchange(beating_, nullptr)->was_refused();
    const auto now = Clock::now();
    const auto gap = std::chrono::duration_cast<milliseconds>(now - acknowledged_at_).count();
    Tally& tally = swarm_.tally;
    if (status == 200) {
        tally.longest_gap_ms = std::max(tally.longest_gap_ms, gap);
        // A host without a lease has nothing to freeze.
        if (gap >= swarm_.fence_ms && !is_idle() && !std::exchange(is_fenced_, true)) ++tally.fenced;
        if (!is_idle()) tally.longest_leased_gap_ms = std::max(tally.longest_leased_gap_ms, gap);
        acknowledged_at_ = beat_sent_;
        waits_for_contact_ = false;
        failed_beats_ = 0;
        swarm_.idle_return_ms = json::parse(body).value("idle_return_ms", swarm_.idle_return_ms);
        if (tally.heartbeat_ms.size() < noted_max)
            tally.heartbeat_ms.push_back(
                std::chrono::duration<float, std::milli>(now - beat_sent_).count());
        next_beat_ = now + with_jitter(is_idle() ? idle_heartbeat_ms : heartbeat_ms);
    } else {
        ++tally.missed_heartbeats;
        ++tally.statuses[status];
        next_beat_ = now + pause_after(status, was_refused, ++failed_beats_);
    }
    look();
}

void Agent::poll() {
    if (is_polling_ || main_.is_busy() || waits_for_contact_ || Clock::now() < next_poll_) return;
    std::int64_t wait_ms = long_poll_ms;
    if (is_idle()) {
        wait_ms = std::min(wait_ms, ms_until(next_beat_) - shared_poll_margin_ms);
        if (wait_ms <= 0) return;
    }
    is_polling_ = true;
    ++swarm_.tally.polls;
    const std::string mark =
        version_.empty() ? "" : "?version=" + version_ + "&wait_ms=" + std::to_string(wait_ms);
    poll_ends_ = Clock::now() + milliseconds((version_.empty() ? 0 : wait_ms) + long_poll_slack_ms);
    main_.send(request("GET", "/v1/agent/desired" + mark, ""),
               [this](int status, std::string_view body) { on_poll(status, body); });
}

void Agent::on_poll(int status, std::string_view body) {
    is_polling_ = false;
    if (status == 200) {
        take_desired(body);
    } else {
        ++swarm_.tally.failed_polls;
        ++swarm_.tally.statuses[status];
        version_.clear();
        const auto now = Clock::now();
        next_poll_ = now + (status == 0 ? with_jitter(try_again_ms) : pause_after(status, false, 1));
        if (status == 0) {
            waits_for_contact_ = true;
            if (is_idle()) return main_.probe([this](int, std::string_view) { on_probe(); });
            next_beat_ = std::min(next_beat_, now);
        }
    }
    look();
}

void Agent::on_probe() {
    if (main_.was_refused()) next_beat_ = std::max(next_beat_, Clock::now() + pause_after(0, true, 1));
    look();
}

void Agent::take_desired(std::string_view body) {
    const json desired = json::parse(body);
    version_ = desired["version"];
    std::map<std::string, std::int64_t> now;
    for (const json& lease : desired["leases"]) {
        const std::string id = lease["lease_id"];
        now[id] = lease["lease_epoch"];
        if (leases_.contains(id)) continue;
        for (const char* phase : {"accepted", "running", "exited", "gone"})
            reports_.push_back({id, now[id], phase});
        next_report_ = std::min(next_report_, Clock::now());
    }
    if (leases_.empty() && !now.empty()) next_beat_ = Clock::now();
    leases_ = std::move(now);
}

void Agent::report_next() {
    if (is_reporting_ || reports_.empty() || second_.is_busy() || Clock::now() < next_report_) return;
    const Report& report = reports_.front();
    json body = {{"lease_epoch", report.epoch}, {"phase", report.phase}};
    if (report.phase == "running") body.update({{"container_id", "swarm"}, {"boot_id", "swarm"}});
    if (report.phase == "exited")
        body.update({{"exit_code", 0}, {"oom_killed", false}, {"duration_exceeded", false}});
    is_reporting_ = true;
    second_.send(request("POST", "/v1/agent/leases/" + report.lease + "/report", body.dump()),
                 [this](int status, std::string_view) { on_report(status); });
}

void Agent::on_report(int status) {
    is_reporting_ = false;
    const auto now = Clock::now();
    next_report_ = now;
    if (status == 0 || status >= 500) {
        next_report_ = now + milliseconds(try_again_ms);  // the same again
    } else {
        const Report done = std::move(reports_.front());
        reports_.pop_front();
        if (status != 200) {
            ++swarm_.tally.refused_reports;
            ++swarm_.tally.statuses[status];
        }
        if (done.phase == "running") next_report_ = now + with_spread(run_ms_min, run_ms_max);
        if (done.phase == "gone") ++swarm_.tally.leases_done;
    }
    look();
}

}  // namespace fallow::bench
