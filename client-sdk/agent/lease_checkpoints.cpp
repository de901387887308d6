// The half of LeaseTask that saves checkpoints. A save that fails costs the job nothing but that
// checkpoint; why it failed is the renter's to know.
#include <spdlog/spdlog.h>

#include "agent/clock.hpp"
#include "agent/lease_task.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t problem_bytes_max = 500;

}  // namespace

void LeaseTask::save_checkpoint(bool is_last, std::stop_token stop) {
    const LeaseRecord r =
        change([](LeaseRecord& changed) { changed.checkpoint_boot_ms = boot_clock_ms(); });
    if (!saver_)
        saver_ = std::make_unique<CheckpointSaver>(r.desired.lease_id, r.desired.lease_epoch, *r.checkpoint,
                                                   storage_);
    try {
        if (const auto number = saver_->save(checkpoints_, is_last, stop))
            spdlog::info("lease {} has its checkpoint {}", r.desired.lease_id, *number);
    } catch (const sdk::TransportError&) {
        throw;
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        if (!stop.stop_requested()) report_checkpoint_problem(error.what());
    } catch (const std::exception& error) {
        if (!stop.stop_requested()) report_checkpoint_problem(error.what());
    }
    if (is_last && !stop.stop_requested())
        change([](LeaseRecord& changed) { changed.checkpoint_saved = true; });
}

void LeaseTask::report_checkpoint_problem(const std::string& problem) {
    const LeaseRecord r = record();
    spdlog::warn("the checkpoint of lease {} was not saved: {}", r.desired.lease_id, problem);
    try {
        checkpoints_.note_checkpoint_problem(r.desired.lease_id, r.desired.lease_epoch,
                                             problem.substr(0, problem_bytes_max));
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::debug("nobody wants to know: {}", error.what());
    }
}

}  // namespace fallow::agent
