#include "agent/private_images.hpp"

#include <fstream>
#include <stdexcept>
#include <utility>

#include "agent/state.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t repositories_max = 4096;

}  // namespace

PrivateImages::PrivateImages(std::filesystem::path file) : file_(std::move(file)) {
    if (!std::filesystem::exists(file_)) return;
    std::ifstream lines(file_);
    for (std::string line; std::getline(lines, line);)
        if (!line.empty()) known_.insert(line);
    if (lines.bad() || !lines.eof()) throw std::runtime_error("cannot read " + file_.string());
}

void PrivateImages::begin(const std::string& repository) {
    const std::lock_guard lock(mutex_);
    const bool is_new = !known_.contains(repository) && !pulling_.contains(repository);
    if (is_new && known_.size() + pulling_.size() >= repositories_max)
        throw std::runtime_error("this host remembers " + std::to_string(repositories_max) +
                                 " private repositories, which is as many as it can");
    ++pulling_[repository];
    if (!is_new) return;
    try {
        save();
    } catch (...) {
        pulling_.erase(repository);
        throw;
    }
}

void PrivateImages::end(const std::string& repository, bool may_have_arrived) {
    const std::lock_guard lock(mutex_);
    if (may_have_arrived) known_.insert(repository);
    const auto found = pulling_.find(repository);
    if (found == pulling_.end() || --found->second > 0) return;
    pulling_.erase(found);
    if (!known_.contains(repository)) save();
}

bool PrivateImages::holds(const std::string& repository) const {
    const std::lock_guard lock(mutex_);
    return known_.contains(repository) || pulling_.contains(repository);
}

void PrivateImages::save() const {
    std::set<std::string> all = known_;
    for (const auto& [repository, unused] : pulling_)
        all.insert(repository);
    std::string text;
    for (const std::string& repository : all)
        text += repository + "\n";
    write_file_atomically(file_, text);
}

}  // namespace fallow::agent
