#include "api/queries.hpp"

#include <fmt/format.h>

namespace fallow::api {

std::string newest_first(const std::string& where, const std::string& time_column, const PageRequest& page,
                         store::Parameters& parameters) {
    std::string condition = where;
    if (page.after) {
        parameters.push_back(store::parameter_of(page.after->numbers.at(0)));
        parameters.push_back(format_uuid(page.after->id));
        condition += fmt::format("{}({}, id) < (${}::bigint, ${}::uuid)", where.empty() ? "" : " AND ",
                                 time_column, parameters.size() - 1, parameters.size());
    }
    parameters.push_back(store::parameter_of(page.limit + 1));
    return fmt::format("{}{} ORDER BY {} DESC, id DESC LIMIT ${}::bigint",
                       condition.empty() ? "" : " WHERE ", condition, time_column, parameters.size());
}

}  // namespace fallow::api
