#include "base/error.hpp"

#include <array>

namespace fallow {
namespace {

struct Entry {
    std::string_view name;
    std::string_view title;
    ErrorKind kind;
    bool retryable;
};

constexpr auto table = std::to_array<Entry>({
#define FALLOW_ERROR(code, kind, retryable, title) {#code, title, ErrorKind::kind, retryable},
#include "base/errors.def"
#undef FALLOW_ERROR
});

const Entry& entry_of(ErrorCode code) {
    return table.at(static_cast<std::size_t>(code));
}

}  // namespace

std::string_view name_of(ErrorCode code) {
    return entry_of(code).name;
}
std::string_view title_of(ErrorCode code) {
    return entry_of(code).title;
}
ErrorKind kind_of(ErrorCode code) {
    return entry_of(code).kind;
}
bool is_retryable(ErrorCode code) {
    return entry_of(code).retryable;
}

}  // namespace fallow
