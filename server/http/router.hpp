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
    Fields parameters;      ///< in the pattern's order; never empty values
};

/// A literal segment is preferred to a parameter, from the left. HEAD is answered by a path's GET route
/// when it has no HEAD route of its own (the session sends no body).
class Router {
  public:
    /// Returns the route's index, counted from 0. Two equal patterns with one method are a programming
    /// error.
    std::size_t add(Method method, std::string_view pattern);

    /// route_not_found, or method_not_allowed (the caller adds Allow from allowed()).
    [[nodiscard]] Result<RouteMatch> match(Method method, std::string_view path) const;
    /// The methods of a path as the value of Allow: "GET, HEAD, POST". Empty when there is no such path.
    [[nodiscard]] std::string allowed(std::string_view path) const;

  private:
    struct Segment {
        std::string text;  ///< the literal, or the parameter's name
        bool is_parameter = false;
    };
    struct Entry {
        Method method;
        std::vector<Segment> segments;
    };
    static bool fits(const Entry& entry, const std::vector<std::string_view>& segments);
    static bool is_more_literal(const Entry& left, const Entry& right);
    static bool has_same_shape(const Entry& left, const Entry& right);

    std::vector<Entry> entries_;
};

}  // namespace fallow::http
