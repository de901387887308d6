#include "http/message.hpp"

#include <algorithm>

namespace fallow::http {
namespace {

const std::string* value_of(const Fields& fields, std::string_view name) {
    const auto found = std::ranges::find_if(fields, [&](const auto& field) { return field.first == name; });
    return found == fields.end() ? nullptr : &found->second;
}

}  // namespace

std::string_view name_of(Method method) {
    switch (method) {
        case Method::get:
            return "GET";
        case Method::head:
            return "HEAD";
        case Method::post:
            return "POST";
        case Method::put:
            return "PUT";
        case Method::patch:
            return "PATCH";
        case Method::del:
            return "DELETE";
        case Method::options:
            return "OPTIONS";
    }
    return "";
}

const std::string* Request::header(std::string_view lower_case_name) const {
    return value_of(headers, lower_case_name);
}

const std::string* Request::query_value(std::string_view name) const {
    return value_of(query, name);
}

}  // namespace fallow::http
