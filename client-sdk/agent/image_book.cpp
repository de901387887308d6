#include "agent/image_book.hpp"

#include <sys/stat.h>

namespace fallow::agent {
namespace {

constexpr std::size_t images_max = 256;
constexpr std::int64_t ns_per_s = 1'000'000'000;

}  // namespace

std::optional<ImageBook::Version> ImageBook::version() const {
    struct stat facts {};
    if (file_.empty() || ::stat(file_.c_str(), &facts) != 0) return std::nullopt;
    return Version{facts.st_dev, facts.st_ino, facts.st_size,
                   facts.st_mtim.tv_sec * ns_per_s + facts.st_mtim.tv_nsec};
}

std::optional<ImageFacts> ImageBook::find(const std::string& reference,
                                          const std::function<std::optional<ImageFacts>()>& ask) {
    const auto before = version();
    if (before) {
        const std::lock_guard lock(mutex_);
        const auto known = known_.find(reference);
        if (version_ == before && known != known_.end()) return known->second;
    }
    auto found = ask();
    if (!found || !before || version() != before) return found;
    const std::lock_guard lock(mutex_);
    if (version_ != before || known_.size() == images_max) known_.clear();
    version_ = *before;
    known_.insert_or_assign(reference, *found);
    return found;
}

}  // namespace fallow::agent
