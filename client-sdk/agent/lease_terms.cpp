// The part of LeaseTask that keeps what a job has asked for itself: its secrets, what its image is pulled
// with, its deadlines, its outputs saved while it runs, its health, and an end when it is idle.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/container_use.hpp"
#include "agent/image_reference.hpp"
#include "agent/lease_task.hpp"
#include "agent/registry_login.hpp"

namespace fallow::agent {
namespace {

std::string seconds(std::int64_t ms) {
    return std::to_string(ms / 1000) + " s";
}

}  // namespace

/// On disk, so that an agent that is started anew does not give the time again.
void LeaseTask::note_deadlines(bool has_image) {
    const LeaseRecord r = record();
    const JobSpec& spec = *r.desired.spec;
    if (spec.pull_timeout_ms == 0 && spec.start_timeout_ms == 0) return;
    const std::int64_t now = boot_clock_ms();
    if (!has_image && r.prepare_boot_ms == 0)
        change([&](LeaseRecord& changed) { changed.prepare_boot_ms = now; });
    if (has_image && r.image_boot_ms == 0)
        change([&](LeaseRecord& changed) { changed.image_boot_ms = now; });
}

void LeaseTask::fail_start() {
    const LeaseRecord r = record();
    if (r.image_boot_ms == 0)
        return fail("image_pull_failed",
                    "the image was not here within " + seconds(r.desired.spec->pull_timeout_ms));
    fail("start_timeout",
         "it was not started within " + seconds(r.desired.spec->start_timeout_ms) + " of its image");
}

void LeaseTask::refuse_cards() {
    fail("start_failed", "the memory of a card could not be overwritten after the guest before");
}

/// Of the job's login for its image's registry, as the engine takes it. Throws ImageError.
std::string LeaseTask::fetch_registry_auth(const JobSpec& spec, std::stop_token stop) {
    const auto refuse = [&](const std::string& why) -> ImageError {
        return ImageError("the secret \"" + spec.registry_secret + "\" " + why);
    };
    try {
        LeaseSecrets secrets = inputs_.secrets(record().desired.lease_id, stop);
        for (SecretValue& secret : secrets.files)
            wipe(secret.octets);
        if (!secrets.registry) throw refuse("was not given");
        auto auth = registry_auth(secrets.registry->octets, registry_of(spec.image));
        wipe(secrets.registry->octets);
        if (!auth)
            throw refuse(
                "is no login: it has to be one line USER:PASSWORD, {\"username\": …, \"password\": …} or "
                "{\"identitytoken\": …}");
        return std::move(*auth);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        throw refuse(std::string("is not given: ") + error.what());
    }
}

/// A login is in memory here until the pull is over, and nowhere else on this host.
ImageFacts LeaseTask::obtain_image(const JobSpec& spec, std::stop_token stop) {
    if (spec.registry_secret.empty()) return runtime_->obtain_image(spec.image, stop);
    std::string auth = fetch_registry_auth(spec, stop);
    try {
        ImageFacts image = runtime_->obtain_private_image(spec.image, auth, stop);
        wipe(auth);
        return image;
    } catch (const ImageError& error) {
        wipe(auth);
        throw ImageError("with the secret \"" + spec.registry_secret + "\": " + error.what());
    } catch (...) {
        wipe(auth);
        throw;
    }
}

/// They are in memory, here and in the guest's folder, and nowhere else on this host.
void LeaseTask::fetch_secrets(std::stop_token stop) {
    storage_.make_secrets();
    LeaseSecrets secrets = inputs_.secrets(record().desired.lease_id, stop);
    if (secrets.registry) wipe(secrets.registry->octets);
    for (SecretValue& secret : secrets.files) {
        if (!is_safe_path(secret.name) || secret.name.find('/') != std::string::npos)
            throw std::runtime_error("a secret's name is not allowed");
        storage_.write_secret(secret.name, secret.octets);
        wipe(secret.octets);
    }
}

void LeaseTask::save_outputs(std::stop_token stop) {
    const LeaseRecord r = change([](LeaseRecord& changed) { changed.outputs_boot_ms = boot_clock_ms(); });
    if (!output_saver_)
        output_saver_ = std::make_unique<OutputSaver>(r.desired.lease_id, r.desired.lease_epoch, storage_);
    try {
        for (const std::string& sentence :
             output_saver_->save(checkpoints_, r.outputs, false, note_progress(), stop).left_out)
            spdlog::debug("an output of lease {} stays as it was: {}", r.desired.lease_id, sentence);
        context_.progress->end(r.desired.lease_id);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::warn("the outputs of lease {} were not saved: {}", r.desired.lease_id, error.what());
    } catch (const std::exception&) {
        if (!stop.stop_requested()) throw;
    }
}

void LeaseTask::upload() {
    const LeaseRecord r = record();
    try {
        OutputSaver saver(r.desired.lease_id, r.desired.lease_epoch, storage_);
        for (const std::string& sentence :
             saver.save(server_, r.outputs, true, note_progress(), {}).left_out)
            spdlog::warn("an output of lease {} is left out: {}", r.desired.lease_id, sentence);
        context_.progress->end(r.desired.lease_id);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::warn("the outputs of lease {} were refused: {}", r.desired.lease_id, error.what());
    }
    change([](LeaseRecord& changed) { changed.outputs_uploaded = true; });
}

void LeaseTask::stop_own(StopCause cause) {
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.own_stop = cause;
        changed.own_stop_boot_ms = boot_clock_ms();
    });
    spdlog::info("lease {} is {}: it is ended, as its job asks", r.desired.lease_id, name_of(cause));
}

/// Nobody looks while it is frozen, and what is not known counts as well and as busy.
void LeaseTask::forget_looks() {
    const std::lock_guard lock(mutex_);
    looks_.forgotten_boot_ms = looks_.busy_boot_ms = boot_clock_ms();
    looks_.health_failures = 0;
}

void LeaseTask::check_health(std::stop_token stop) {
    const LeaseRecord r = record();
    if (!r.desired.spec || !r.desired.spec->health) return;
    const HealthSpec& health = *r.desired.spec->health;
    if (!looking_runtime_) looking_runtime_ = context_.connect();
    const std::int64_t began = boot_clock_ms();
    std::optional<std::int64_t> code;
    try {
        code = looking_runtime_->run_in(r.container_id, health.command, health.timeout_ms, stop);
    } catch (const RuntimeError& error) {
        // The engine has answered: the command is not there, or the container has just ended.
        spdlog::debug("the health check of lease {} could not be run: {}", r.desired.lease_id,
                      error.what());
    }
    if (stop.stop_requested()) return;
    const std::lock_guard lock(mutex_);
    const bool is_counted =
        began - r.started_boot_ms >= health.start_period_ms && began >= looks_.forgotten_boot_ms;
    looks_.health_checked_boot_ms = began;
    if (code == 0)
        looks_.health_failures = 0;
    else if (is_counted)
        ++looks_.health_failures;
    if (code != 0)
        spdlog::info("lease {} has failed a health check{}: {}", r.desired.lease_id,
                     is_counted ? "" : ", which does not count",
                     code ? "exit code " + std::to_string(*code) : "it did not end in time");
}

/// Of the busiest of its cards; a CPU device's is what the container uses of its cores.
std::optional<std::int64_t> LeaseTask::use_percent() {
    const LeaseRecord r = record();
    const std::vector<LeaseCard>& cards = r.desired.cards;
    const bool is_cpu =
        std::ranges::all_of(cards, [](const LeaseCard& card) { return card.device_class == "cpu"; });
    if (!is_cpu) return context_.card_use ? context_.card_use(cards) : std::nullopt;
    if (!looking_runtime_) looking_runtime_ = context_.connect();
    const auto inspection = looking_runtime_->inspect(r.container_id);
    const auto groups = inspection ? container_groups_of(inspection->pid, r.container_id) : std::nullopt;
    const auto use = groups ? read_use(*groups) : std::nullopt;
    return cpu_use_.percent(use ? std::optional(use->cpu_ns) : std::nullopt, boot_clock_ms(),
                            r.desired.spec->cpu_millis);
}

/// What is not known counts as busy: nothing is ended for it.
void LeaseTask::sample_use() {
    const LeaseRecord r = record();
    if (!r.desired.spec || !r.desired.spec->idle) return;
    const auto percent = use_percent();
    const std::int64_t now = boot_clock_ms();
    const bool is_busy =
        !percent || *percent >= r.desired.spec->idle->below_percent || r.paused_boot_ms != 0;
    const std::lock_guard lock(mutex_);
    looks_.use_sampled_boot_ms = now;
    if (is_busy) looks_.busy_boot_ms = now;
}

}  // namespace fallow::agent
