// The reference of the query language, made from the table of fields: schema/search.md is this text.
#pragma once

#include <string>

namespace fallow::market::search {

[[nodiscard]] std::string reference_markdown();

}  // namespace fallow::market::search
