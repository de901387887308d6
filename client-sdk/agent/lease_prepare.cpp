// The part of LeaseTask that makes a guest ready to start: its storage, image, container and network.
#include <spdlog/spdlog.h>

#include <future>
#include <stdexcept>
#include <utility>

#include "agent/lease_task.hpp"
#include "agent/transfer.hpp"

namespace fallow::agent {

std::future<void> LeaseTask::make_storage() {
    const LeaseRecord r = record();
    const std::int64_t bytes = r.desired.spec->disk_bytes;
    if (!runtime_->is_here(r.desired.cards)) {
        storage_.make_detached(bytes);
        return std::async(std::launch::deferred, [] {});
    }
    storage_.make_folders();
    return std::async(std::launch::async, [this, bytes, id = r.desired.lease_id] {
        storage_.make_outputs(context_.storage, bytes);
        spdlog::debug("{} has its storage", id);
    });
}

/// Whether its guest gets its network before its start: a process that is needed until then comes with it.
bool LeaseTask::is_connected_first(const JobSpec& spec) const {
    return spec.has_gang_network || !spec.secrets.empty() || !runtime_->connects_at_start();
}

std::future<void> LeaseTask::ready_network() {
    return std::async(std::launch::async, [this, terms = traffic_terms(record())] {
        try {
            runtime_->ready_network(terms);
            spdlog::debug("{} has its rules", terms.lease_id);
        } catch (const std::exception& error) {
            // The guest's own connection meets it, too, and is what fails.
            spdlog::debug("{} has no rules yet: {}", terms.lease_id, error.what());
        }
    });
}

/// Inputs, the checkpoint to go on from, and secrets.
void LeaseTask::fill_storage(DesiredLease& lease, std::stop_token stop) {
    const JobSpec& spec = *lease.spec;
    if (!spec.inputs.empty()) download_inputs(inputs_, lease.lease_id, storage_, note_progress(), stop);
    if (spec.checkpoint) {
        storage_.make_output_folder(spec.checkpoint->path);
        const auto number =
            restore_checkpoint(inputs_, lease.lease_id, *spec.checkpoint, storage_, note_progress(), stop);
        if (number) {
            lease.environment["FALLOW_CHECKPOINT_RESTORED"] = std::to_string(*number);
            spdlog::info("lease {} goes on from checkpoint {}", lease.lease_id, *number);
        }
    }
    if (!spec.secrets.empty()) fetch_secrets(stop);
}

void LeaseTask::make_guest(const ImageFacts& image, Beside beside, std::stop_token stop) {
    const LeaseRecord r = record();
    DesiredLease lease = r.desired;
    const JobSpec& spec = *r.desired.spec;
    const bool is_filled_here = needs_only_this_host(spec);
    if (!is_filled_here) {
        beside.storage.get();
        fill_storage(lease, stop);
    }
    if (stop.stop_requested()) return;
    GuestFolders folders = {storage_.inputs().string(), storage_.outputs().string(),
                            storage_.notices().string(),
                            spec.secrets.empty() ? "" : storage_.secrets().string()};
    if (spec.has_gang_network) prepare_gang(lease, folders);
    const std::string id = runtime_->create(lease, image, folders, stop);
    if (!id.empty()) spdlog::debug("{} has its container", lease.lease_id);
    if (is_filled_here) beside.storage.get();
    if (id.empty()) return;
    const bool is_connected = is_connected_first(spec);
    if (is_connected) runtime_->connect(id, traffic_terms(r));
    if (!spec.secrets.empty()) {
        const HostUser reader = runtime_->user_of(id, image);
        storage_.give_secrets(reader.uid, reader.gid);
    }
    // Where it starts at once, it is synced with the start: no container outlives the host's power.
    const bool waits = spec.has_gang_network || !record().accepted;
    const auto note = [&](LeaseRecord& changed) {
        changed.container_id = id;
        changed.connected = is_connected;
        changed.outputs = spec.outputs;
        changed.checkpoint = spec.checkpoint;
    };
    change(note, waits);
    guest_is_fresh_ = true;
}

void LeaseTask::prepare(std::stop_token stop) {
    guest_is_fresh_ = false;
    const LeaseRecord r = record();
    const JobSpec& spec = *r.desired.spec;
    const bool needs_reach =
        !spec.secrets.empty() || !spec.registry_secret.empty() || spec.idle || spec.restart;
    if (needs_reach && !runtime_->reaches_guests())
        return fail("start_failed",
                    "secrets, a login for the image's registry, an end when idle and restarts are not had "
                    "on a cluster");
    note_deadlines(false);
    try {
        Beside beside{make_storage(), is_connected_first(spec) ? ready_network() : std::future<void>()};
        const ImageFacts image = obtain_image(spec, stop);
        spdlog::debug("{} has its image", r.desired.lease_id);
        note_deadlines(true);
        make_guest(image, std::move(beside), stop);
        context_.progress->end(r.desired.lease_id);
    } catch (const sdk::TransportError&) {
        throw;  // the server or the engine is out of reach: the same may work in a moment
    } catch (const RuntimeUnreachable&) {
        throw;
    } catch (const ImageError& error) {
        fail("image_pull_failed", error.what());
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        fail("start_failed", error.what());
    } catch (const std::exception& error) {
        fail("start_failed", error.what());
    }
}

}  // namespace fallow::agent
