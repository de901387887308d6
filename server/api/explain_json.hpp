// Explanations and what search finds, as the API shows them (schema/openapi.yaml).
#pragma once

#include <string>

#include "api/json_writer.hpp"
#include "market/explain.hpp"
#include "market/search/index.hpp"

namespace fallow::api {

void write(JsonWriter& json, const market::Explanation& explanation);

/// A field's value: a number in its base unit, a text, true, false, or null when it is not known. Versions
/// and times are texts.
void write(JsonWriter& json, const market::search::Field& field, const market::search::Value& value);

/// The members that a refusal's facts add to its problem, as a JSON object; empty when there are none.
[[nodiscard]] std::string problem_members(const Error& error);

}  // namespace fallow::api
