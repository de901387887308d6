// Matches a method and a path against patterns such as "/v1/leases/{lease}/end".
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

struct RouteMatch {
    std::size_t index = 0;  ///< the number that add() returned
    Fields parameters;      ///< in the pattern's order
};

class Router {
  public:
    /// Returns the route's index, counted from 0. Two equal patterns with one method are a programming error.
    std::size_t add(Method method, std::string_view pattern);

    /// route_not_found, or method_not_allowed (the caller adds Allow from allowed()).
    [[nodiscard]] Result<RouteMatch> match(Method method, std::string_view path) const;
    [[nodiscard]] std::string allowed(std::string_view path) const;

  private:
    struct Entry {
        Method method;
        std::vector<std::string> segments;
    };
    std::vector<Entry> entries_;
};

}  // namespace fallow::http
