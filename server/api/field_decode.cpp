#include "api/field_decode.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/clock_text.hpp"
#include "auth/base64.hpp"

namespace fallow::api {
namespace {

using Json = nlohmann::json;

struct Refusal {
    std::string text;
};

/// Parses, and refuses what two readers could read differently: a name that stands twice in one object.
Json parse_strictly(std::string_view body) {
    std::vector<std::set<std::string>> names;  // of the objects that are open
    const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (event == Json::parse_event_t::object_start) names.emplace_back();
        if (event == Json::parse_event_t::object_end) names.pop_back();
        if (depth >= static_cast<int>(json_depth_max))
            throw Refusal{fmt::format("The body is nested deeper than {} levels.", json_depth_max)};
        if (event == Json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second)
            throw Refusal{fmt::format("The name \"{}\" stands twice in one object; give it once.",
                                      parsed.get<std::string>())};
        return true;
    };
    try {
        return Json::parse(body.begin(), body.end(), watch);
    } catch (const Json::parse_error& error) {
        throw Refusal{fmt::format("The body is not valid JSON at byte {}.", error.byte)};
    } catch (const Json::exception&) {
        throw Refusal{"The body holds a number that is out of range."};
    }
}

/// RFC 6901: "~" and "/" in a name are written "~0" and "~1".
std::string escape_pointer(std::string_view name) {
    std::string escaped;
    for (const char c : name) {
        if (c == '~')
            escaped += "~0";
        else if (c == '/')
            escaped += "~1";
        else
            escaped += c;
    }
    return escaped;
}

bool has_control(std::string_view text, bool is_multiline) {
    return std::ranges::any_of(text, [&](char c) {
        const auto byte = static_cast<unsigned char>(c);
        const bool is_layout = c == '\n' || c == '\r' || c == '\t';
        return byte == 0x7f || (byte < 0x20 && !(is_multiline && is_layout));
    });
}

}  // namespace

struct FieldReader::Shared {
    Json document;
    std::optional<Error> error;
};

FieldReader::FieldReader(std::shared_ptr<Shared> shared, const Json* object, std::string pointer)
    : shared_(std::move(shared)), object_(object), pointer_(std::move(pointer)) {}
FieldReader::~FieldReader() = default;
FieldReader::FieldReader(FieldReader&&) noexcept = default;
FieldReader& FieldReader::operator=(FieldReader&&) noexcept = default;

Result<FieldReader> FieldReader::parse(std::string_view body) {
    auto shared = std::make_shared<Shared>();
    shared->document = Json::object();
    try {
        if (body.find_first_not_of(" \t\r\n") != std::string_view::npos)
            shared->document = parse_strictly(body);
    } catch (const Refusal& refusal) {
        return refuse(ErrorCode::bad_json, refusal.text);
    }
    if (!shared->document.is_object())
        return refuse(ErrorCode::bad_json, "The body must be one JSON object.");
    const Json* root = &shared->document;
    return FieldReader(std::move(shared), root, "");
}

void FieldReader::fail(ErrorCode code, std::string_view name, std::string detail) {
    if (shared_->error) return;
    std::string pointer = pointer_;
    if (!name.empty()) pointer += "/" + std::string(name);
    shared_->error = Error{code, std::move(detail), std::move(pointer)};
}

bool FieldReader::has_failed() const {
    return shared_->error.has_value();
}

Status FieldReader::finish() {
    check_known();
    if (shared_->error) return *shared_->error;
    return Done{};
}

void FieldReader::check_known() {
    for (const auto& [name, value] : object_->items())
        if (!asked_.contains(name))
            return fail(ErrorCode::unknown_field, escape_pointer(name),
                        fmt::format("The field \"{}\" is not known here; leave it out.", name));
}

const Json* FieldReader::find(std::string_view name) {
    asked_.emplace(name);
    const auto at = object_->find(name);
    return at == object_->end() || at->is_null() ? nullptr : &*at;
}

const Json* FieldReader::need(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) fail(ErrorCode::missing_field, name, fmt::format("Give the field \"{}\".", name));
    return value;
}

bool FieldReader::has(std::string_view name) {
    return find(name) != nullptr;
}

bool FieldReader::check_text(const Json& value, std::string_view name, const TextRule& rule) {
    if (!value.is_string()) {
        fail(ErrorCode::invalid_field, name, "Give a text in double quotes.");
        return false;
    }
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > rule.bytes_max)
        fail(ErrorCode::invalid_field, name, fmt::format("Give at most {} bytes.", rule.bytes_max));
    else if (text.empty() && !rule.may_be_empty)
        fail(ErrorCode::invalid_field, name, "Give a text that is not empty.");
    else if (has_control(text, rule.is_multiline))
        fail(ErrorCode::invalid_field, name, "Give a text without control characters.");
    else
        return true;
    return false;
}

std::string FieldReader::text(std::string_view name, TextRule rule) {
    const Json* value = need(name);
    return value != nullptr && check_text(*value, name, rule) ? value->get<std::string>() : std::string();
}

std::optional<std::string> FieldReader::optional_text(std::string_view name, TextRule rule) {
    const Json* value = find(name);
    if (value == nullptr || !check_text(*value, name, rule)) return std::nullopt;
    return value->get<std::string>();
}

bool FieldReader::check_integer(const Json& value, std::string_view name, std::int64_t min,
                                std::int64_t max) {
    // An unsigned value above the signed range must not be read as a negative one.
    const bool too_big = value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX;
    if (!value.is_number_integer())
        fail(ErrorCode::invalid_field, name, "Give a whole number, not a text and without a fraction.");
    else if (too_big || value.get<std::int64_t>() < min || value.get<std::int64_t>() > max)
        fail(ErrorCode::invalid_field, name, fmt::format("Give a whole number from {} to {}.", min, max));
    else
        return true;
    return false;
}

std::int64_t FieldReader::integer(std::string_view name, std::int64_t min, std::int64_t max) {
    const Json* value = need(name);
    return value != nullptr && check_integer(*value, name, min, max) ? value->get<std::int64_t>() : min;
}

std::optional<std::int64_t> FieldReader::optional_integer(std::string_view name, std::int64_t min,
                                                          std::int64_t max) {
    const Json* value = find(name);
    if (value == nullptr || !check_integer(*value, name, min, max)) return std::nullopt;
    return value->get<std::int64_t>();
}

std::int64_t FieldReader::integer_or(std::string_view name, std::int64_t otherwise, std::int64_t min,
                                     std::int64_t max) {
    return optional_integer(name, min, max).value_or(otherwise);
}

std::int32_t FieldReader::integer32(std::string_view name, std::int32_t min, std::int32_t max) {
    return static_cast<std::int32_t>(integer(name, min, max));
}

std::int32_t FieldReader::integer32_or(std::string_view name, std::int32_t otherwise, std::int32_t min,
                                       std::int32_t max) {
    return static_cast<std::int32_t>(integer_or(name, otherwise, min, max));
}

bool FieldReader::boolean(std::string_view name) {
    return need(name) != nullptr && boolean_or(name, false);
}

bool FieldReader::boolean_or(std::string_view name, bool otherwise) {
    const Json* value = find(name);
    if (value == nullptr) return otherwise;
    if (value->is_boolean()) return value->get<bool>();
    fail(ErrorCode::invalid_field, name, "Give true or false.");
    return otherwise;
}

std::optional<Time> FieldReader::optional_time(std::string_view name) {
    const auto given = optional_text(name);
    if (!given) return std::nullopt;
    const auto parsed = parse_rfc3339(*given);
    if (!parsed)
        fail(ErrorCode::invalid_field, name,
             "Give a time as RFC 3339 has it, like 2026-01-02T03:04:05.678Z.");
    return parsed;
}

Time FieldReader::time(std::string_view name) {
    if (need(name) == nullptr) return Time();
    return optional_time(name).value_or(Time());
}

std::string FieldReader::country(std::string_view name) {
    const std::string given = text(name);
    const bool good =
        given.size() == 2 && std::ranges::all_of(given, [](char c) { return c >= 'A' && c <= 'Z'; });
    if (!good)
        fail(ErrorCode::invalid_field, name,
             "Give a country as two capital letters (ISO 3166-1 alpha-2), like DE.");
    return given;
}

std::string FieldReader::base64(std::string_view name, std::size_t bytes) {
    const std::string given = text(name, {.bytes_max = (bytes + 2) / 3 * 4});
    const auto decoded = auth::base64_decode(given);
    if (!decoded || decoded->size() != bytes)
        fail(ErrorCode::invalid_field, name, fmt::format("Give {} bytes in base64 with padding.", bytes));
    return given;
}

std::string FieldReader::base64_bytes(std::string_view name, std::size_t bytes_max) {
    const std::string given = text(name, {.bytes_max = (bytes_max + 2) / 3 * 4, .may_be_empty = true});
    auto decoded = auth::base64_decode(given);
    if (!decoded || decoded->size() > bytes_max) {
        fail(ErrorCode::invalid_field, name,
             fmt::format("Give at most {} bytes in base64 with padding.", bytes_max));
        return {};
    }
    return std::move(*decoded);
}

std::string FieldReader::item_name(std::string_view name, std::size_t index) {
    return fmt::format("{}/{}", name, index);
}

std::vector<std::string> FieldReader::texts(std::string_view name, std::size_t items_max, TextRule rule,
                                            std::size_t items_min) {
    std::vector<std::string> found;
    const Json* value = items_min > 0 ? need(name) : find(name);
    if (value == nullptr) return found;
    if (!value->is_array() || value->size() > items_max || value->size() < items_min) {
        fail(ErrorCode::invalid_field, name,
             fmt::format("Give a list of {} to {} texts.", items_min, items_max));
        return found;
    }
    for (std::size_t i = 0; i < value->size(); ++i) {
        if (!check_text((*value)[i], item_name(name, i), rule)) return {};
        found.push_back((*value)[i].get<std::string>());
    }
    return found;
}

std::optional<std::vector<std::int64_t>> FieldReader::optional_integers(std::string_view name,
                                                                        std::size_t items_max,
                                                                        std::int64_t min,
                                                                        std::int64_t max) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    std::vector<std::int64_t> found;
    if (!value->is_array() || value->size() > items_max) {
        fail(ErrorCode::invalid_field, name, fmt::format("Give a list of at most {} numbers.", items_max));
        return found;
    }
    for (std::size_t i = 0; i < value->size(); ++i) {
        if (!check_integer((*value)[i], item_name(name, i), min, max)) return std::nullopt;
        found.push_back((*value)[i].get<std::int64_t>());
    }
    return found;
}

std::vector<std::pair<std::string, std::string>> FieldReader::text_map(std::string_view name,
                                                                       std::size_t items_max,
                                                                       TextRule rule) {
    std::vector<std::pair<std::string, std::string>> found;
    const Json* value = find(name);
    if (value == nullptr) return found;
    if (!value->is_object() || value->size() > items_max) {
        fail(ErrorCode::invalid_field, name, fmt::format("Give an object of at most {} texts.", items_max));
        return found;
    }
    for (const auto& [key, item] : value->items()) {
        if (!check_text(item, fmt::format("{}/{}", name, escape_pointer(key)), rule)) return {};
        found.emplace_back(key, item.get<std::string>());
    }
    return found;
}

std::optional<FieldReader> FieldReader::optional_object(std::string_view name) {
    const Json* value = find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_object()) {
        fail(ErrorCode::invalid_field, name, "Give an object in braces.");
        return std::nullopt;
    }
    return FieldReader(shared_, value, fmt::format("{}/{}", pointer_, name));
}

FieldReader FieldReader::object(std::string_view name) {
    static const Json empty = Json::object();
    if (need(name) != nullptr)
        if (auto found = optional_object(name)) return std::move(*found);
    return FieldReader(shared_, &empty, fmt::format("{}/{}", pointer_, name));
}

std::vector<FieldReader> FieldReader::objects(std::string_view name, std::size_t items_max, bool needed) {
    std::vector<FieldReader> found;
    const Json* value = needed ? need(name) : find(name);
    if (value == nullptr) return found;
    if (!value->is_array() || value->size() > items_max) {
        fail(ErrorCode::invalid_field, name, fmt::format("Give a list of at most {} objects.", items_max));
        return found;
    }
    for (std::size_t i = 0; i < value->size(); ++i) {
        if (!(*value)[i].is_object()) {
            fail(ErrorCode::invalid_field, item_name(name, i), "Give an object in braces.");
            return {};
        }
        found.push_back(FieldReader(shared_, &(*value)[i], fmt::format("{}/{}/{}", pointer_, name, i)));
    }
    return found;
}

void FieldReader::fail_id(std::string_view name, std::string_view prefix) {
    fail(ErrorCode::invalid_id, name,
         fmt::format("Give an id that is \"{}_\" and 26 lower-case letters and digits.", prefix));
}

void FieldReader::fail_named(std::string_view name, std::string_view allowed) {
    fail(ErrorCode::invalid_field, name, fmt::format("Give one of: {}.", allowed));
}

}  // namespace fallow::api
