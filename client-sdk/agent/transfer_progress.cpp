#include "agent/transfer_progress.hpp"

#include <array>

namespace fallow::agent {

std::string_view name_of(TransferStep step) {
    constexpr std::array<std::string_view, 4> names = {"pulling_image", "fetching_inputs",
                                                       "restoring_checkpoint", "uploading_outputs"};
    return names.at(static_cast<std::size_t>(step));
}

TransferCount::TransferCount(TransferStep step, std::int64_t total_bytes, OnProgress on_progress)
    : progress_{step, 0, total_bytes}, on_progress_(std::move(on_progress)) {}

void TransferCount::add(std::int64_t bytes) {
    progress_.done_bytes += bytes;
    if (on_progress_) on_progress_(progress_);
}

void ProgressBook::note(const std::string& lease_id, const TransferProgress& progress) {
    const std::lock_guard lock(mutex_);
    Noted& noted = noted_[lease_id];
    noted.progress = progress;
    noted.is_over = false;
}

void ProgressBook::end(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    const auto found = noted_.find(lease_id);
    if (found == noted_.end()) return;
    Noted& noted = found->second;
    noted.is_over = true;
    const bool may_be_known = noted.given_out == noted.progress.step;
    if (!may_be_known || noted.told == noted.progress) noted_.erase(found);
}

void ProgressBook::forget(const std::string& lease_id) {
    const std::lock_guard lock(mutex_);
    noted_.erase(lease_id);
}

std::vector<ProgressBook::Entry> ProgressBook::untold() {
    const std::lock_guard lock(mutex_);
    std::vector<Entry> entries;
    for (auto& [lease_id, noted] : noted_) {
        if (noted.told == noted.progress) continue;
        noted.given_out = noted.progress.step;
        entries.emplace_back(lease_id, noted.progress);
    }
    return entries;
}

void ProgressBook::told(const Entry& entry) {
    const std::lock_guard lock(mutex_);
    const auto found = noted_.find(entry.first);
    if (found == noted_.end()) return;
    Noted& noted = found->second;
    noted.told = entry.second;
    if (noted.is_over && noted.told == noted.progress) noted_.erase(found);
}

}  // namespace fallow::agent
