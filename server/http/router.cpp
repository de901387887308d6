#include "http/router.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.hpp"

namespace fallow::http {
namespace {

/// "/a/b" is {"a", "b"}; "/" is {""}.
std::vector<std::string_view> split(std::string_view path) {
    std::vector<std::string_view> segments;
    if (path.starts_with('/')) path.remove_prefix(1);
    while (true) {
        const std::size_t slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return segments;
        path.remove_prefix(slash + 1);
    }
}

}  // namespace

std::size_t Router::add(Method method, std::string_view pattern) {
    FALLOW_ASSERT(pattern.starts_with('/'));
    Entry entry{method, {}};
    for (const std::string_view segment : split(pattern)) {
        const bool is_parameter = segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
        const std::string_view text = is_parameter ? segment.substr(1, segment.size() - 2) : segment;
        FALLOW_ASSERT(text.find_first_of("{}") == std::string_view::npos);
        entry.segments.push_back(Segment{std::string(text), is_parameter});
    }
    FALLOW_ASSERT(std::ranges::none_of(entries_, [&](const Entry& other) {
        return other.method == entry.method && has_same_shape(other, entry);
    }));
    entries_.push_back(std::move(entry));
    return entries_.size() - 1;
}

Result<RouteMatch> Router::match(Method method, std::string_view path) const {
    const std::vector<std::string_view> segments = split(path);
    const Entry* best = nullptr;
    bool path_exists = false;
    for (const Entry& entry : entries_) {
        if (!fits(entry, segments)) continue;
        path_exists = true;
        const bool stands_in = method == Method::head && entry.method == Method::get;
        if (entry.method != method && !stands_in) continue;
        const bool is_own_head = best && has_same_shape(entry, *best) && entry.method == method;
        if (!best || is_own_head || is_more_literal(entry, *best)) best = &entry;
    }
    if (!best && !path_exists)
        return refuse(ErrorCode::route_not_found, "The API has no route with this path.");
    if (!best)
        return refuse(ErrorCode::method_not_allowed, fmt::format("This path takes {}.", allowed(path)));

    RouteMatch found{static_cast<std::size_t>(best - entries_.data()), {}};
    for (std::size_t i = 0; i < segments.size(); ++i)
        if (best->segments[i].is_parameter)
            found.parameters.emplace_back(best->segments[i].text, std::string(segments[i]));
    return found;
}

std::string Router::allowed(std::string_view path) const {
    const std::vector<std::string_view> segments = split(path);
    std::string text;
    const auto has = [&](Method method) {
        return std::ranges::any_of(
            entries_, [&](const Entry& entry) { return entry.method == method && fits(entry, segments); });
    };
    for (const Method method : {Method::get, Method::head, Method::post, Method::put, Method::patch,
                                Method::del, Method::options}) {
        if (!has(method) && !(method == Method::head && has(Method::get))) continue;
        if (!text.empty()) text += ", ";
        text += name_of(method);
    }
    return text;
}

bool Router::fits(const Entry& entry, const std::vector<std::string_view>& segments) {
    return std::ranges::equal(entry.segments, segments, [](const Segment& wanted, std::string_view given) {
        return wanted.is_parameter ? !given.empty() : wanted.text == given;
    });
}

bool Router::is_more_literal(const Entry& left, const Entry& right) {
    return std::ranges::lexicographical_compare(left.segments, right.segments, {}, &Segment::is_parameter,
                                                &Segment::is_parameter);
}

bool Router::has_same_shape(const Entry& left, const Entry& right) {
    return std::ranges::equal(left.segments, right.segments, [](const Segment& a, const Segment& b) {
        return a.is_parameter == b.is_parameter && (a.is_parameter || a.text == b.text);
    });
}

}  // namespace fallow::http
