// How a path is put together from ids and queries.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "fallow/paging.hpp"
#include "fallow/url.hpp"

namespace fallow::sdk {

/// An id comes from people and files: escaped, it cannot become another path. An empty one would name the
/// list.
[[nodiscard]] std::string route(fmt::format_string<std::string> pattern, std::string_view id);

/// "?limit=…&cursor=…", after the pairs of a query.
[[nodiscard]] std::string page_query(const PageRequest& page,
                                     std::vector<std::pair<std::string, std::string>> pairs = {});

}  // namespace fallow::sdk
