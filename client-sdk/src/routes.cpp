#include "routes.hpp"

#include <stdexcept>

namespace fallow::sdk {

std::string route(fmt::format_string<std::string> pattern, std::string_view id) {
    // "." and ".." are unreserved, and a client folds them away before they are sent.
    if (id.empty() || id == "." || id == "..") throw std::invalid_argument("an id is missing");
    return fmt::format(pattern, percent_encode(id));
}

std::string page_query(const PageRequest& page, std::vector<std::pair<std::string, std::string>> pairs) {
    pairs.emplace_back("limit", std::to_string(page.limit));
    pairs.emplace_back("cursor", page.cursor);
    return query_string(pairs);
}

}  // namespace fallow::sdk
